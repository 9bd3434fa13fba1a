//! Releases mutexes in the background.
//!
//! They belong to leaders that were dropped before they could release them, or to backends that have just timed out.
//!
//! A destructor performs no I/O. It hands its mutex to a few threads, which start when needed and end when idle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use dogpile_sdk::{LogLimit, PerProcess, Suppressed, error_chain};

use super::work::Working;
use crate::engine::HeldMutex;
use crate::log_targets::CREATION;
use crate::runtime::Threads;

/// How many threads there are at most. A server that hangs keeps one of them busy.
const THREADS: usize = 4;

/// The threads that release. A forked child has none of its parent's mutexes: only the parent may release them.
static RELEASER: LazyLock<PerProcess<Threads>> =
    LazyLock::new(|| PerProcess::new(|| Threads::new("dogpile-release", THREADS), |_| {}));

/// Has `mutex` released soon, on another thread. If no thread can be started, its lease ends by itself. `working` is dropped
/// when it was released.
pub(super) fn release_later(mutex: HeldMutex, working: Working) {
    RELEASER.get().run(Box::new(move || {
        release(&mutex);
        drop(working);
    }));
}

/// Returns how many warnings were suppressed before this one, or `None` to suppress this one too.
fn pass() -> Option<u64> {
    static WARNINGS: LogLimit = LogLimit::new();

    WARNINGS.pass().map(Suppressed::count)
}

/// Releases `mutex`, and logs a failure. A panic of the backend does not end the thread.
fn release(mutex: &HeldMutex) {
    match catch_unwind(AssertUnwindSafe(|| mutex.release())) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let Some(suppressed) = pass() else { return };
            let (server, error) = (error.server(), error_chain(&error));
            tracing::warn!(
                target: CREATION,
                ?mutex,
                server,
                %error,
                suppressed,
                "the mutex of a creator could not be released in the background"
            );
        }
        Err(payload) => {
            let panic = dogpile_abi::panic_message(payload);
            let Some(suppressed) = pass() else { return };
            tracing::warn!(
                target: CREATION,
                ?mutex,
                panic,
                suppressed,
                "the backend panicked while a mutex was released in the background"
            );
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::time::{Duration, Instant};

    use dogpile_sdk::{BackendError, CacheMutex};

    use super::*;
    use crate::region::work::Work;

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
        let work = Work::new();
        (0..2 * THREADS).for_each(|_| release_later(Arc::new(Signaling(None)), work.begin()));
        let (sender, receiver) = channel();
        release_later(Arc::new(Signaling(Some(sender))), work.begin());
        receiver.recv_timeout(Duration::from_secs(30)).expect("the mutex is released");
    }
}
