//! [`Polling`]: marks the thread that polls an asynchronous call. Debug builds then notice a blocking call in it.
//!
//! A call that a task awaits must never enter its store by a call that blocks: that would block the runtime's thread. While
//! such a call is polled, its store is marked on this thread. A blocking call of that store then panics, in debug builds
//! only. Creators are polled without the mark: a creator is the application's own code, which may make blocking calls.

use std::pin::Pin;
use std::task::{Context, Poll};

/// A store, or none. The addresses of its threads identify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(usize);

impl Mark {
    const NONE: Mark = Mark(0);

    pub(super) fn of<T>(identity: &T) -> Self {
        Mark(std::ptr::from_ref(identity).addr())
    }
}

#[cfg(debug_assertions)]
thread_local! {
    static POLLED: std::cell::Cell<Mark> = const { std::cell::Cell::new(Mark::NONE) };
}

/// Sets the mark of this thread, and restores the one before when it is dropped.
struct Marked {
    #[cfg(debug_assertions)]
    outer: Mark,
}

impl Marked {
    #[cfg(debug_assertions)]
    fn with(mark: Mark) -> Self {
        Marked { outer: POLLED.replace(mark) }
    }

    #[cfg(not(debug_assertions))]
    fn with(_mark: Mark) -> Self {
        Marked {}
    }
}

#[cfg(debug_assertions)]
impl Drop for Marked {
    fn drop(&mut self) {
        POLLED.set(self.outer);
    }
}

/// Panics in debug builds if this thread polls an asynchronous call of the store `mark`.
#[inline]
pub(super) fn assert_not_polled(mark: Mark) {
    #[cfg(debug_assertions)]
    assert!(
        POLLED.get() != mark,
        "an asynchronous call of a region would block its thread with a call of its store"
    );
    let _ = mark;
}

/// Does `work`, which is part of an asynchronous call of the store `mark`.
#[inline]
pub(super) fn marked<R>(mark: Mark, work: impl FnOnce() -> R) -> R {
    let _marked = Marked::with(mark);
    work()
}

/// Does `work` of the application, such as to call a creator, within an asynchronous call.
pub(crate) fn unmarked<R>(work: impl FnOnce() -> R) -> R {
    marked(Mark::NONE, work)
}

/// A future that is polled with a mark, or without one.
#[must_use = "a future does nothing until it is awaited"]
pub(crate) struct Polling<F> {
    future: F,
    mark: Mark,
}

impl<F: Future + Unpin> Polling<F> {
    /// Creates a future of the application, such as that of a creator, which may make blocking calls.
    pub(crate) fn unmarked(future: F) -> Self {
        Polling { future, mark: Mark::NONE }
    }

    /// Creates the future of a call of the store `mark`.
    pub(super) fn marked(mark: Mark, future: F) -> Self {
        Polling { future, mark }
    }
}

impl<F: Future + Unpin> Future for Polling<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Polling { future, mark } = self.get_mut();
        marked(*mark, || Pin::new(future).poll(context))
    }
}

#[cfg(all(test, not(dogpile_loom), debug_assertions))]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::engine::blocking::drive;

    #[test]
    fn mark_holds_for_its_store_while_it_is_polled() {
        let (store, other) = (1_u8, 2_u8);
        let (mark, others) = (Mark::of(&store), Mark::of(&other));
        let is_refused = |mark| std::panic::catch_unwind(|| assert_not_polled(mark)).is_err();
        let call = async {
            assert!(is_refused(mark) && !is_refused(others));
            let creator = async { assert!(!is_refused(mark)) };
            Polling::unmarked(pin!(creator)).await;
            assert!(is_refused(mark), "the mark is back after the creator");
        };
        drive(Polling::marked(mark, pin!(call)));
        assert!(!is_refused(mark));
    }
}
