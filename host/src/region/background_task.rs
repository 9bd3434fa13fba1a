//! [`background_task`]: a task that goes on even if its caller stops waiting for it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::runtime::RuntimeFuture;

/// How a task ended: with its output, or with a panic.
pub(super) type Ended<T> = Result<T, Box<dyn Any + Send>>;

/// Has `future` run as a task by `spawn`, and returns what waits for its end: `None` if the task was dropped. An end
/// that no caller sees goes to `unseen`.
pub(super) fn background_task<T: Send + 'static>(
    spawn: impl FnOnce(RuntimeFuture),
    future: impl Future<Output = T> + Send + 'static,
    unseen: impl Fn(Ended<T>) + Clone + Send + 'static,
) -> Waiting<T> {
    let (task, waiting) = one_shot(unseen.clone());
    spawn(Box::pin(async move {
        let ended = catch_panic(future).await;
        if let Some(ended) = task.end(ended) {
            unseen(ended);
        }
    }));
    waiting
}

/// Returns the two sides of a task: the one that ends, and the one that waits for that.
///
/// `unseen` gets an end that the waiting side was left, but did not take: its caller was dropped in between.
pub(super) fn one_shot<T>(unseen: impl FnOnce(Ended<T>) + Send + 'static) -> (TaskSide<T>, Waiting<T>) {
    let slot = Arc::new(Slot(Mutex::new(State::Running(None))));
    (TaskSide(Arc::clone(&slot)), Waiting { slot, unseen: Some(Box::new(unseen)) })
}

/// Where the task leaves its end.
struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Running(Option<Waker>),
    Ended(Ended<T>),
    /// The task was dropped, or its end was taken.
    Over,
    /// The caller no longer waits.
    Unseen,
}

impl<T> Slot<T> {
    /// Leaves the end to the caller, and returns it if there is none.
    fn end(&self, ended: Ended<T>) -> Option<Ended<T>> {
        let mut state = self.0.lock();
        if matches!(*state, State::Unseen) {
            return Some(ended);
        }
        let last = std::mem::replace(&mut *state, State::Ended(ended));
        drop(state);
        wake(last);
        None
    }
}

fn wake<T>(last: State<T>) {
    if let State::Running(Some(waker)) = last {
        waker.wake();
    }
}

/// Owned by the task. Notifies the caller if the task is dropped.
pub(super) struct TaskSide<T>(Arc<Slot<T>>);

impl<T> TaskSide<T> {
    /// Leaves the end to the caller, and returns it if the caller no longer waits.
    pub(super) fn end(&self, ended: Ended<T>) -> Option<Ended<T>> {
        self.0.end(ended)
    }
}

impl<T> Drop for TaskSide<T> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if matches!(*state, State::Running(_)) {
            let last = std::mem::replace(&mut *state, State::Over);
            drop(state);
            wake(last);
        }
    }
}

/// Waits for the end: `None` if the task was dropped.
pub(super) struct Waiting<T> {
    slot: Arc<Slot<T>>,
    /// Gets an end that is not taken.
    unseen: Option<Box<dyn FnOnce(Ended<T>) + Send>>,
}

impl<T> Future for Waiting<T> {
    type Output = Option<Ended<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Cloning and dropping wakers runs foreign code, which must not happen under the lock.
        let waker = context.waker().clone();
        let mut state = self.slot.0.lock();
        let (polled, unused) = match std::mem::replace(&mut *state, State::Over) {
            State::Running(old) => {
                *state = State::Running(Some(waker));
                (Poll::Pending, old)
            }
            State::Ended(ended) => (Poll::Ready(Some(ended)), Some(waker)),
            State::Over | State::Unseen => (Poll::Ready(None), Some(waker)),
        };
        drop(state);
        drop(unused);
        polled
    }
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        let last = std::mem::replace(&mut *self.slot.0.lock(), State::Unseen);
        if let (State::Ended(ended), Some(unseen)) = (last, self.unseen.take()) {
            unseen(ended);
        }
    }
}

/// Awaits `future`, and catches its panic.
pub(super) async fn catch_panic<F: Future>(future: F) -> Ended<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    })
    .await
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Each end reaches the caller or `unseen`, whenever the caller is dropped.
    #[test]
    fn end_that_no_caller_takes_is_unseen() {
        let (sender, unseen) = channel();
        let note = move |ended: Ended<u32>| sender.send(ended.unwrap()).unwrap();
        let (task, waiting) = one_shot(note.clone());
        drop(waiting);
        assert!(task.end(Ok(1)).is_some(), "the caller left before the end");
        let (task, waiting) = one_shot(note.clone());
        assert!(task.end(Ok(2)).is_none());
        drop(waiting);
        assert_eq!(unseen.try_recv(), Ok(2), "the caller left after the end");
        let (task, waiting) = one_shot(note);
        assert!(task.end(Ok(3)).is_none());
        let taken = smol::block_on(waiting);
        assert!(matches!(taken, Some(Ok(3))));
        assert!(unseen.try_recv().is_err(), "the caller took the end");
    }
}
