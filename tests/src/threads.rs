//! Helpers that synchronize threads without sleeping, and a time limit for tests that could hang.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The longest time that any of these helpers waits before the test fails.
pub const LIMIT: Duration = Duration::from_secs(30);

/// An event that happens once and that threads can wait for.
#[derive(Clone, Debug, Default)]
pub struct Signal(Arc<(Mutex<bool>, Condvar)>);

impl Signal {
    /// Marks the event as happened and wakes its waiters.
    pub fn give(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }

    /// Blocks until the event has happened.
    ///
    /// # Panics
    /// Panics if the event does not happen within [`LIMIT`].
    pub fn wait(&self) {
        let mut given = self.0.0.lock();
        while !*given {
            let waited = self.0.1.wait_for(&mut given, LIMIT);
            assert!(!waited.timed_out(), "the signal was not given within {LIMIT:?}");
        }
    }
}

/// Polls `holds` until it returns true, for conditions that give no signal.
///
/// # Panics
/// Panics if `holds` does not return true within [`LIMIT`].
pub fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..LIMIT.as_millis() {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("timed out after {LIMIT:?} waiting until {what}");
}

/// Runs `test` on a new thread and fails if it hangs.
///
/// # Panics
/// Panics if `test` panics, or if it does not end within [`LIMIT`].
pub fn bounded(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        // If the test took too long, the receiver is gone.
        let _ = ended.send(catch_unwind(AssertUnwindSafe(test)));
    });
    match end.recv_timeout(LIMIT) {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => panic!("the test still runs after {LIMIT:?}: it may be deadlocked"),
    }
}

/// Runs `work` on `count` threads at once and returns the results in order.
///
/// Each thread passes its number, from 0 up, to `work`.
///
/// # Panics
/// Panics if one of the threads panics.
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

/// Blocks until `future` has its output.
///
/// # Panics
/// Panics if the future is not woken within [`LIMIT`].
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Bell(Mutex<Signal>);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.lock().give();
        }
    }
    let bell = Arc::new(Bell(Mutex::default()));
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        // Each poll gets a signal of its own, so that a wake-up during the poll is not lost.
        let signal = Signal::default();
        *bell.0.lock() = signal.clone();
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        signal.wait();
    }
}
