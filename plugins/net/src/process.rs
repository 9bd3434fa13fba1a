//! [`PerProcess`]: state that a child process does not share with its parent.
//!
//! After a `fork`, parent and child have the same open connections, and would read each other's replies. Locks that
//! other threads of the parent held are never released in the child, and those threads do not exist there.

use std::fmt;
use std::process;
use std::sync::OnceLock;

/// A value that each process has one of. A forked child builds its own and touches no lock of its parent.
///
/// This is safe if the process was forked while no other thread was inside a call that uses the value.
pub struct PerProcess<T> {
    build: Box<dyn Fn() -> T + Send + Sync>,
    /// Closes what the parent opened, as far as it can without waiting.
    abandon: fn(&T),
    first: Own<T>,
}

/// The value of one process, and that of its child.
struct Own<T> {
    process: u32,
    value: T,
    child: OnceLock<Box<Own<T>>>,
}

impl<T> Own<T> {
    fn new(process: u32, value: T) -> Self {
        Own { process, value, child: OnceLock::new() }
    }
}

impl<T> PerProcess<T> {
    /// Creates the value of this process with `build`, which each child calls, too.
    ///
    /// A child calls `abandon` with its parent's value. It should close what the parent opened, and must wait for no lock.
    pub fn new(build: impl Fn() -> T + Send + Sync + 'static, abandon: fn(&T)) -> Self {
        let first = Own::new(process::id(), build());
        PerProcess { build: Box::new(build), abandon, first }
    }

    /// Returns the value of this process. Asks the system for the process ID, which takes about 100 ns.
    pub fn get(&self) -> &T {
        self.get_in(process::id())
    }

    /// Returns a value whose settings are those of every process.
    pub fn any(&self) -> &T {
        &self.first.value
    }

    fn get_in(&self, process: u32) -> &T {
        let mut own = &self.first;
        while own.process != process {
            own = own.child.get_or_init(|| {
                (self.abandon)(&own.value);
                Box::new(Own::new(process, (self.build)()))
            });
        }
        &own.value
    }
}

impl<T: fmt::Debug> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.any(), f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_process_builds_one_value() {
        static ABANDONED: AtomicUsize = AtomicUsize::new(0);
        let built = AtomicUsize::new(0);
        let build = move || built.fetch_add(1, Ordering::SeqCst);
        let abandon = |_: &usize| {
            ABANDONED.fetch_add(1, Ordering::SeqCst);
        };
        let own = PerProcess::new(build, abandon);
        let this = process::id();
        let (child, grandchild) = (this + 1, this + 2);
        for _ in 0..2 {
            assert_eq!((*own.get(), *own.get_in(child), *own.get_in(grandchild)), (0, 1, 2));
        }
        assert_eq!(ABANDONED.load(Ordering::SeqCst), 2);
    }
}
