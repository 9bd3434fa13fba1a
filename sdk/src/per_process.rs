//! [`PerProcess`]: state that a forked child does not share with its parent.

use std::fmt;
use std::sync::OnceLock;

pub use dogpile_abi::process_id;

/// A value that each process has one of. A forked child builds its own.
///
/// After a `fork`, a child has copies of all that its parent had, and only the thread that forked. A connection would
/// deliver the parent's replies to the child, a queue would wait for threads that do not exist, and a lock that another
/// thread held would never be released. A child therefore uses no value of its parent. It touches no lock of it either.
///
/// ```
/// use std::sync::Mutex;
///
/// use dogpile_sdk::PerProcess;
///
/// let seen: PerProcess<Mutex<Vec<u32>>> = PerProcess::new(Mutex::default, |_| {});
/// seen.get().lock().unwrap().push(1);
/// assert_eq!(*seen.get().lock().unwrap(), [1]);
/// ```
///
/// The parent's value is dropped in the child together with the child's own. Its destructor must not wait for threads
/// of the parent.
pub struct PerProcess<T> {
    build: Box<dyn Fn() -> T + Send + Sync>,
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
    /// Creates the value of this process with `build`.
    ///
    /// `build` runs at once, and again in each forked child. A forked child calls `abandon` with its parent's value
    /// before it builds its own. It closes what the parent opened, as far as it can without waiting for a lock or a
    /// thread.
    pub fn new(build: impl Fn() -> T + Send + Sync + 'static, abandon: fn(&T)) -> Self {
        let first = Own::new(process_id(), build());
        PerProcess { build: Box::new(build), abandon, first }
    }

    /// Returns the value of this process. The first call in a forked child builds it.
    ///
    /// Other callers wait while it is built. If `build` panics, the panic reaches the caller, and the next call tries
    /// again.
    ///
    /// On Linux, this takes some nanoseconds, and the `fork` of the C library is what makes a child: a raw `clone` is not
    /// noticed. Elsewhere, each call gets the process ID from the system.
    #[inline]
    pub fn get(&self) -> &T {
        self.get_in(process_id())
    }

    /// Returns the value of any process, for state that all share, such as settings.
    pub fn any(&self) -> &T {
        &self.first.value
    }

    #[inline]
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
        let this = process_id();
        let (child, grandchild) = (this + 1, this + 2);
        for _ in 0..2 {
            assert_eq!((*own.get(), *own.get_in(child), *own.get_in(grandchild)), (0, 1, 2));
        }
        assert_eq!(ABANDONED.load(Ordering::SeqCst), 2);
    }
}
