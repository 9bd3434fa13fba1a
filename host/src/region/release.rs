//! Releases mutexes in the background: those of leaders that were dropped before they could, and those whose backend
//! has just timed out.
//!
//! A destructor performs no I/O. It hands its mutex to a few threads, which start when needed and end when idle.

use std::collections::VecDeque;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use dogpile_sdk::PerProcess;
use parking_lot::{Condvar, Mutex};

use crate::engine::HeldMutex;

/// How many threads there are at most. A server that hangs keeps one of them busy.
const THREADS: usize = 4;

/// How long a thread waits for more to do before it ends.
const IDLE: Duration = Duration::from_secs(2);

/// The mutexes to release. A forked child has none of its parent's: only the parent may release them.
static RELEASER: LazyLock<PerProcess<Arc<Releaser>>> =
    LazyLock::new(|| PerProcess::new(Arc::<Releaser>::default, |_| {}));

#[derive(Default)]
struct Releaser {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    mutexes: VecDeque<HeldMutex>,
    threads: usize,
    idle: usize,
}

/// Has `mutex` released soon, on another thread.
pub(super) fn release_later(mutex: HeldMutex) {
    let releaser = RELEASER.get();
    let mut queue = releaser.queue.lock();
    queue.mutexes.push_back(mutex);
    if queue.mutexes.len() <= queue.idle || queue.threads == THREADS {
        releaser.filled.notify_one();
        return;
    }
    let its = Arc::clone(releaser);
    let started = thread::Builder::new().name("dogpile-release".to_owned()).spawn(move || its.run());
    match started {
        Ok(_ends_when_idle) => queue.threads += 1,
        Err(error) if queue.threads == 0 => {
            let left = std::mem::take(&mut queue.mutexes);
            drop(queue);
            let error = &error as &(dyn Error + 'static);
            tracing::warn!(error, "no thread could be started to release a mutex; its lease ends by itself");
            drop(left);
        }
        Err(_) => {}
    }
}

impl Releaser {
    fn run(&self) {
        while let Some(mutex) = self.next() {
            release(&mutex);
        }
    }

    fn next(&self) -> Option<HeldMutex> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(mutex) = queue.mutexes.pop_front() {
                return Some(mutex);
            }
            queue.idle += 1;
            let is_over = self.filled.wait_for(&mut queue, IDLE).timed_out();
            queue.idle -= 1;
            if is_over && queue.mutexes.is_empty() {
                queue.threads -= 1;
                return None;
            }
        }
    }
}

/// Releases `mutex`, and logs a failure. A panic of the backend does not end the thread.
fn release(mutex: &HeldMutex) {
    match catch_unwind(AssertUnwindSafe(|| mutex.release())) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let error = &error as &(dyn Error + 'static);
            tracing::warn!(?mutex, error, "the mutex of a creator could not be released in the background");
        }
        Err(payload) => {
            let panic = dogpile_abi::panic_message(payload);
            tracing::warn!(
                ?mutex,
                panic,
                "the backend panicked while a mutex was released in the background"
            );
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Instant;

    use dogpile_sdk::{BackendError, CacheMutex};

    use super::*;

    /// Signals its release, or panics without a receiver to signal to.
    #[derive(Debug)]
    struct Signaling(Option<Sender<()>>);

    impl CacheMutex for Signaling {
        fn try_acquire(&self) -> Result<bool, BackendError> {
            Ok(true)
        }

        fn acquire_until(&self, _deadline: Instant) -> Result<bool, BackendError> {
            Ok(true)
        }

        fn release(&self) -> Result<(), BackendError> {
            let sender = self.0.as_ref().expect("a scripted panic");
            sender.send(()).expect("the test waits");
            Ok(())
        }

        fn locked(&self) -> Result<bool, BackendError> {
            Ok(false)
        }
    }

    #[test]
    fn mutexes_are_released_after_others_panicked() {
        (0..2 * THREADS).for_each(|_| release_later(Arc::new(Signaling(None))));
        let (sender, receiver) = channel();
        release_later(Arc::new(Signaling(Some(sender))));
        receiver.recv_timeout(Duration::from_secs(30)).expect("the mutex is released");
    }
}
