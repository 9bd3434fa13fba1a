//! Threads that meet without sleeping, and tests that end although something waits for ever.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long anything is waited for, before the test fails.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Something that happens once, and is waited for.
#[derive(Clone, Debug, Default)]
pub struct Signal(Arc<(Mutex<bool>, Condvar)>);

impl Signal {
    /// It has happened.
    pub fn give(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    /// Blocks until it has happened.
    ///
    /// # Panics
    /// If it does not happen within [`LIMIT`].
    pub fn wait(&self) {
        let mut given = self.0.0.lock();
        while !*given {
            let waited = self.0.1.wait_for(&mut given, LIMIT);
            assert!(!waited.timed_out(), "the signal was not given within {LIMIT:?}");
        }
    }
}

/// Blocks until `holds`, which is asked again and again: for what nobody tells.
///
/// # Panics
/// If that is not so within [`LIMIT`].
pub fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..LIMIT.as_millis() {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("waited {LIMIT:?} for this in vain: {what}");
}

/// Runs `test` on a thread of its own, so that one that waits for ever fails.
///
/// # Panics
/// As `test` does, or if it does not end within [`LIMIT`].
pub fn bounded(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more if it took too long.
        let _ = ended.send(catch_unwind(AssertUnwindSafe(test)));
    });
    match end.recv_timeout(LIMIT) {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => panic!("the test still runs after {LIMIT:?}: somebody waits for ever"),
    }
}

/// Runs `work` on `count` threads at once, each with its number; answers what they answered, in order.
///
/// # Panics
/// If one of them does.
pub fn together<R: Send>(count: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let (start, work) = (Barrier::new(count), &work);
    thread::scope(|scope| {
        let begin = |number| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                work(number)
            })
        };
        let threads: Vec<_> = (0..count).map(begin).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}
