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
/// without a waiter goes to `unseen`.
pub(super) fn background_task<T: Send + 'static>(
    spawn: impl FnOnce(RuntimeFuture),
    future: impl Future<Output = T> + Send + 'static,
    unseen: impl FnOnce(Ended<T>) + Send + 'static,
) -> Waiting<T> {
    let (task, waiting) = one_shot();
    spawn(Box::pin(async move {
        let ended = catch_panic(future).await;
        if let Some(ended) = task.end(ended) {
            unseen(ended);
        }
    }));
    waiting
}

/// Returns the two sides of a task: the one that ends, and the one that waits for that.
pub(super) fn one_shot<T>() -> (TaskSide<T>, Waiting<T>) {
    let slot = Arc::new(Slot(Mutex::new(State::Running(None))));
    (TaskSide(Arc::clone(&slot)), Waiting(slot))
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
pub(super) struct Waiting<T>(Arc<Slot<T>>);

impl<T> Future for Waiting<T> {
    type Output = Option<Ended<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Cloning and dropping wakers runs foreign code, which must not happen under the lock.
        let waker = context.waker().clone();
        let mut state = self.0.0.lock();
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
        let last = std::mem::replace(&mut *self.0.0.lock(), State::Unseen);
        drop(last);
    }
}

/// Awaits `future`, and catches its panic.
async fn catch_panic<F: Future>(future: F) -> Ended<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    })
    .await
}
