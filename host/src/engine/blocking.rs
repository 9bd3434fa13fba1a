//! The blocking driver: runs the protocol on the calling thread and parks it to wait.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

#[cfg(dogpile_loom)]
use loom::thread;
#[cfg(not(dogpile_loom))]
use std::thread;

use super::sync::{AtomicBool, thread_local};

thread_local! {
    /// When this thread wakes by itself, if it parks.
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's `thread_local!` does not accept constants")]
    static WAKES_AT: Cell<Option<Instant>> = Cell::new(None);
}

/// Wakes a parked thread.
struct Parked {
    thread: thread::Thread,
    is_woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Parked {
    fn park(&self, until: Option<Instant>) {
        while !self.is_woken.swap(false, Ordering::AcqRel) {
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return,
                Some(left) => park_timeout(left),
                None => thread::park(),
            }
        }
    }
}

#[cfg(not(dogpile_loom))]
use std::thread::park_timeout;

/// loom has no time: nothing in a model takes long enough for a deadline.
#[cfg(dogpile_loom)]
fn park_timeout(_left: std::time::Duration) {
    thread::park();
}

/// Runs `future` to its end.
pub(crate) fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // A creator may drive another call while this one is being polled.
    let outer = WAKES_AT.with(|wakes_at| wakes_at.take());
    // Most calls never wait. Poll once before anything is allocated for a waker.
    let mut polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    if polled.is_pending() {
        let parked = Arc::new(Parked { thread: thread::current(), is_woken: AtomicBool::new(true) });
        let waker = Waker::from(Arc::clone(&parked));
        while polled.is_pending() {
            parked.park(WAKES_AT.with(|wakes_at| wakes_at.take()));
            polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        }
    }
    WAKES_AT.with(|wakes_at| wakes_at.set(outer));
    match polled {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("the loop ends when the future does"),
    }
}

/// Waits until `time`, in a future that [`drive`] runs.
pub(crate) async fn sleep_until(time: Instant) {
    poll_fn(|_| {
        if Instant::now() >= time {
            return Poll::Ready(());
        }
        WAKES_AT.with(|wakes_at| wakes_at.set(Some(wakes_at.get().map_or(time, |other| other.min(time)))));
        Poll::Pending
    })
    .await;
}
