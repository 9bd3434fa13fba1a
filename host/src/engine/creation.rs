//! [`Creation`]: one call of a creator. Also tracks which creation is current where a creator runs.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::sync::{Mutex, thread_local};

/// An error that a creator shares with the callers that wait for it.
pub(super) type SharedError = Arc<dyn Any + Send + Sync>;

/// One call of a creator.
pub(super) struct Creation {
    /// The creation whose creator made this call.
    parent: Option<Arc<Creation>>,
    holds_mutex: bool,
    /// Whether the creator marked its error as an answer.
    is_answer: AtomicBool,
    /// The error that the creator shares.
    shared: Mutex<Option<SharedError>>,
}

thread_local! {
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's `thread_local!` does not accept constants")]
    static CURRENT: RefCell<Option<Arc<Creation>>> = RefCell::new(None);
}

/// Makes `creation` the current one, and returns the previous one.
fn replace_current(creation: Option<Arc<Creation>>) -> Option<Arc<Creation>> {
    // A thread whose thread-local values are gone has no current creation, so that its waits are only bounded.
    CURRENT.try_with(|current| current.replace(creation)).unwrap_or_default()
}

/// Records that the running creator fails with an error that is an answer.
pub(crate) fn note_answer() {
    if let Some(current) = Creation::current() {
        current.note_answer();
    }
}

/// Shares the error with which the creator that is running here fails. Elsewhere, `error` is not called.
pub(crate) fn note_shared(error: impl FnOnce() -> SharedError) {
    if let Some(current) = Creation::current() {
        // Before the lock: this clones the error of the application, whose code may share another one.
        let error = error();
        let replaced = current.shared.lock().replace(error);
        drop(replaced);
    }
}

/// Makes a creation the current one until this is dropped.
struct Entered(Option<Arc<Creation>>);

impl Drop for Entered {
    fn drop(&mut self) {
        replace_current(self.0.take());
    }
}

impl Creation {
    /// Begins a creation within the current one.
    pub(super) fn new(holds_mutex: bool) -> Arc<Self> {
        let (is_answer, shared) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Creation { parent: Creation::current(), holds_mutex, is_answer, shared })
    }

    /// Returns the creation whose creator is running here.
    pub(super) fn current() -> Option<Arc<Creation>> {
        CURRENT.try_with(|current| current.borrow().clone()).unwrap_or_default()
    }

    /// Returns whether the creator that is running here, or one that called it, holds a backend's mutex.
    pub(super) fn current_holds_mutex() -> bool {
        Creation::current().is_some_and(|current| current.line().any(|creation| creation.holds_mutex))
    }

    /// Records that the error of this creator is an answer.
    pub(super) fn note_answer(&self) {
        self.is_answer.store(true, Ordering::Relaxed);
    }

    /// Returns whether the creator marked its error as an answer.
    pub(super) fn is_answer(&self) -> bool {
        self.is_answer.load(Ordering::Relaxed)
    }

    /// Takes the error that the creator shared.
    pub(super) fn take_shared(&self) -> Option<SharedError> {
        self.shared.lock().take()
    }

    /// Runs `creator` as the creator of this creation.
    pub(super) async fn run<F: Future>(self: &Arc<Self>, creator: F) -> F::Output {
        let mut creator = pin!(creator);
        poll_fn(|context| {
            let _entered = Entered(replace_current(Some(Arc::clone(self))));
            creator.as_mut().poll(context)
        })
        .await
    }

    /// Returns this creation, the one that called it, and so on.
    pub(super) fn line(&self) -> impl Iterator<Item = &Creation> {
        std::iter::successors(Some(self), |creation| creation.parent.as_deref())
    }

    /// Returns what identifies this creation while it exists.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl fmt::Debug for Creation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Creation");
        shown.field("parent", &self.parent).field("holds_mutex", &self.holds_mutex).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::engine::blocking::drive;

    #[test]
    fn error_whose_clone_shares_another_one_is_shared() {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let creation = Creation::new(false);
            let share = || {
                note_shared(|| {
                    note_shared(|| Arc::new("inner"));
                    Arc::new("outer")
                });
            };
            drive(creation.run(async { share() }));
            let shared = creation.take_shared().expect("an error was shared");
            sender.send(shared.downcast_ref::<&str>().copied()).expect("the test receives");
        });
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(Some("outer")));
    }
}
