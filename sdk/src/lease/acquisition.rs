//! [`LeasedOperations`]: the asynchronous calls of a leased mutex.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::holding::Claim;
use super::operations::LeaseOperations;
use super::options::LeaseOptions;
use super::waiting::Pause;
use crate::completion::Completion;
use crate::error::BackendError;
use crate::operations::MutexOperations;
use crate::running::Running;

/// What an asynchronous call needs of its mutex.
pub(super) trait Leased: Send + Sync + 'static {
    fn key(&self) -> &str;

    fn options(&self) -> &LeaseOptions;

    /// Returns the claim for a new acquisition.
    fn claim(&self) -> Arc<Claim>;

    /// Records the outcome of an attempt that was begun at `asked`.
    fn attempted(
        &self,
        claim: &Arc<Claim>,
        asked: Instant,
        outcome: Result<bool, BackendError>,
    ) -> Result<bool, BackendError>;

    /// Ends the possession of the mutex, and returns what is needed to release the lock.
    ///
    /// # Errors
    /// If the mutex is not held, or if its server is stuck, so that the lock is released in the background.
    fn end(&self) -> Result<Ended, BackendError>;

    /// Records the outcome of a release.
    fn released(&self, ended: &Ended, outcome: Result<bool, BackendError>) -> Result<(), BackendError>;
}

/// A possession that has ended. Its lock is still to be released.
pub(super) struct Ended {
    pub(super) claim: Arc<Claim>,
    /// Whether the lease was lost for good.
    pub(super) is_gone: bool,
}

/// The asynchronous calls of one mutex.
pub(super) struct LeasedOperations<M> {
    pub(super) mutex: Arc<M>,
    pub(super) store: Arc<dyn LeaseOperations>,
}

impl<M: Leased> MutexOperations for LeasedOperations<M> {
    fn begin_try_acquire(&self, completion: Completion<bool>) -> Running {
        self.acquire(Duration::ZERO, completion)
    }

    fn begin_acquire_until(&self, deadline: Instant, completion: Completion<bool>) -> Running {
        let left = deadline.saturating_duration_since(Instant::now());
        self.acquire(left.min(self.mutex.options().give_up_after), completion)
    }

    fn begin_release(&self, completion: Completion<()>) -> Running {
        let ended = match self.mutex.end() {
            Ok(ended) => ended,
            Err(error) => {
                completion.complete(Err(error));
                return Running::done();
            }
        };
        let (mutex, token) = (Arc::clone(&self.mutex), ended.claim.token.clone());
        let receive = move |outcome| completion.complete(mutex.released(&ended, outcome));
        // A release goes on even if its caller no longer waits for its outcome.
        drop(self.store.begin_release(self.mutex.key(), &token, Completion::new(receive)));
        Running::done()
    }
}

impl<M> fmt::Debug for LeasedOperations<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedOperations").field("store", &self.store).finish_non_exhaustive()
    }
}

impl<M: Leased> LeasedOperations<M> {
    /// Begins to acquire the lock, and waits for another holder for `limit`.
    fn acquire(&self, limit: Duration, completion: Completion<bool>) -> Running {
        let canceler = Arc::new(Canceler::default());
        let acquisition = Acquisition {
            mutex: Arc::clone(&self.mutex),
            store: Arc::clone(&self.store),
            claim: self.mutex.claim(),
            begun: Instant::now(),
            limit,
            pause: Pause::new(self.mutex.options().longest_pause),
            canceler: Arc::clone(&canceler),
            completion,
        };
        acquisition.attempt();
        Running::new(move || canceler.cancel())
    }
}

/// An acquisition in progress: it attempts and pauses in turn. Each step begins when the one before has completed.
struct Acquisition<M> {
    mutex: Arc<M>,
    store: Arc<dyn LeaseOperations>,
    claim: Arc<Claim>,
    begun: Instant,
    /// The time for which it waits for another holder.
    limit: Duration,
    pause: Pause,
    canceler: Arc<Canceler>,
    completion: Completion<bool>,
}

impl<M: Leased> Acquisition<M> {
    fn attempt(self) {
        let (mutex, store) = (Arc::clone(&self.mutex), Arc::clone(&self.store));
        let (claim, canceler) = (Arc::clone(&self.claim), Arc::clone(&self.canceler));
        // Take the time before the request, so that our estimate never outlasts the server's lease.
        let asked = Instant::now();
        let completion = Completion::new(move |outcome| self.attempted(asked, outcome));
        canceler.run(|| store.begin_acquire(mutex.key(), &claim.token, mutex.options().lease, completion));
    }

    fn attempted(self, asked: Instant, outcome: Result<bool, BackendError>) {
        let outcome = self.mutex.attempted(&self.claim, asked, outcome);
        let is_held_elsewhere = matches!(outcome, Ok(false));
        if is_held_elsewhere && self.begun.elapsed() < self.limit && !self.canceler.is_canceled() {
            self.wait();
        } else {
            self.completion.complete(outcome);
        }
    }

    fn wait(mut self) {
        let (mutex, store, canceler) =
            (Arc::clone(&self.mutex), Arc::clone(&self.store), Arc::clone(&self.canceler));
        let waited = self.begun.elapsed();
        let pause = self.pause.next(waited).min(self.limit.saturating_sub(waited));
        let completion = Completion::new(move |outcome: Result<bool, BackendError>| match outcome {
            Ok(is_signaled) => {
                if is_signaled {
                    self.pause.restart(self.begun.elapsed());
                }
                self.attempt();
            }
            Err(error) => self.completion.complete(Err(error)),
        });
        canceler.run(|| store.begin_pause(mutex.key(), pause, completion));
    }
}

/// Cancels the current step of an acquisition.
#[derive(Default)]
struct Canceler(Mutex<State>);

#[derive(Default)]
struct State {
    is_canceled: bool,
    /// The number of steps that have begun. A step may end, and the next one begin, before its call has returned.
    steps: u64,
    running: Option<Running>,
}

impl Canceler {
    /// Begins a step, and cancels it if the acquisition has been canceled.
    fn run(&self, begin: impl FnOnce() -> Running) {
        let step = {
            let mut state = self.lock();
            state.steps += 1;
            state.steps
        };
        let running = begin();
        let mut state = self.lock();
        if state.is_canceled {
            drop(state);
            running.cancel();
        } else if state.steps == step {
            let replaced = state.running.replace(running);
            drop(state);
            drop(replaced);
        }
    }

    fn cancel(&self) {
        let mut state = self.lock();
        state.is_canceled = true;
        let running = state.running.take();
        drop(state);
        running.into_iter().for_each(Running::cancel);
    }

    fn is_canceled(&self) -> bool {
        self.lock().is_canceled
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Ignore poison: no code panics while it holds this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::collections::VecDeque;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::error::ErrorKind;

    /// A store whose attempts have the outcomes that a test gives. Calls complete before they return, except pauses.
    #[derive(Debug, Default)]
    struct Scripted {
        attempts: Mutex<VecDeque<Result<bool, ErrorKind>>>,
        pauses: Mutex<Vec<(Duration, Completion<bool>)>>,
        canceled: Arc<Mutex<usize>>,
    }

    impl LeaseOperations for Scripted {
        fn begin_acquire(&self, _: &str, _: &str, _: Duration, completion: Completion<bool>) -> Running {
            let outcome = self.attempts.lock().unwrap().pop_front().expect("an attempt is expected");
            completion.complete(outcome.map_err(|kind| BackendError::new(kind, "planted")));
            Running::done()
        }

        fn begin_release(&self, _: &str, _: &str, completion: Completion<bool>) -> Running {
            completion.complete(Ok(true));
            Running::done()
        }

        fn begin_pause(&self, _: &str, limit: Duration, completion: Completion<bool>) -> Running {
            self.pauses.lock().unwrap().push((limit, completion));
            let canceled = Arc::clone(&self.canceled);
            Running::new(move || *canceled.lock().unwrap() += 1)
        }
    }

    /// A mutex that records whether it is held.
    #[derive(Default)]
    struct Recorder {
        options: LeaseOptions,
        is_held: Mutex<bool>,
    }

    impl Leased for Recorder {
        fn key(&self) -> &'static str {
            "key"
        }

        fn options(&self) -> &LeaseOptions {
            &self.options
        }

        fn claim(&self) -> Arc<Claim> {
            Claim::new()
        }

        fn attempted(
            &self,
            _: &Arc<Claim>,
            _: Instant,
            outcome: Result<bool, BackendError>,
        ) -> Result<bool, BackendError> {
            *self.is_held.lock().unwrap() = matches!(outcome, Ok(true));
            outcome
        }

        fn end(&self) -> Result<Ended, BackendError> {
            let was_held = std::mem::take(&mut *self.is_held.lock().unwrap());
            let error = || BackendError::new(ErrorKind::NotHeld, "not held");
            was_held.then(|| Ended { claim: Claim::new(), is_gone: false }).ok_or_else(error)
        }

        fn released(&self, _: &Ended, outcome: Result<bool, BackendError>) -> Result<(), BackendError> {
            outcome.map(drop)
        }
    }

    fn operations(attempts: &[Result<bool, ErrorKind>]) -> (LeasedOperations<Recorder>, Arc<Scripted>) {
        let attempts = Mutex::new(attempts.iter().copied().collect());
        let store = Arc::new(Scripted { attempts, ..Scripted::default() });
        (LeasedOperations { mutex: Arc::default(), store: Arc::clone(&store) as _ }, store)
    }

    fn received<T: Send + 'static>() -> (Completion<T>, Receiver<Result<T, ErrorKind>>) {
        let (send, receive) = channel();
        let send = move |outcome: Result<T, BackendError>| {
            send.send(outcome.map_err(|error| error.kind())).expect("the test still receives");
        };
        (Completion::new(send), receive)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn waiter_attempts_after_each_pause_until_it_acquires() {
        let (operations, store) = operations(&[Ok(false), Ok(false), Ok(true)]);
        let (completion, outcome) = received();
        let _running = operations.begin_acquire_until(later(), completion);
        for is_signaled in [false, true] {
            assert!(outcome.try_recv().is_err());
            let (limit, pause) = store.pauses.lock().unwrap().pop().unwrap();
            assert!(limit <= Duration::from_millis(100), "{limit:?}");
            pause.complete(Ok(is_signaled));
        }
        assert_eq!(outcome.try_recv(), Ok(Ok(true)));
        let (completion, outcome) = received();
        let _running = operations.begin_release(completion);
        assert_eq!(outcome.try_recv(), Ok(Ok(())));
        let (completion, outcome) = received();
        let _running = operations.begin_release(completion);
        assert_eq!(outcome.try_recv(), Ok(Err(ErrorKind::NotHeld)));
    }

    #[test]
    fn attempt_without_time_left_does_not_wait() {
        let (operations, store) = operations(&[Ok(false), Ok(false), Err(ErrorKind::Unavailable)]);
        for expected in [Ok(false), Ok(false), Err(ErrorKind::Unavailable)] {
            let (completion, outcome) = received();
            let _running = operations.begin_acquire_until(Instant::now(), completion);
            assert_eq!(outcome.try_recv(), Ok(expected));
        }
        assert!(store.pauses.lock().unwrap().is_empty());
    }

    #[test]
    fn canceled_waiter_ends_its_pause_and_attempts_no_more() {
        let (operations, store) = operations(&[Ok(false)]);
        let (completion, outcome) = received();
        operations.begin_acquire_until(later(), completion).cancel();
        assert_eq!(*store.canceled.lock().unwrap(), 1);
        store.pauses.lock().unwrap().clear();
        assert_eq!(outcome.try_recv(), Ok(Err(ErrorKind::Dropped)));
    }
}
