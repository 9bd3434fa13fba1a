//! [`Timers`]: one thread that wakes tasks at their times. It starts when needed and ends when idle.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::PerProcess;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::log_targets::RUNTIME;

/// How long the thread waits for another timer before it ends.
const IDLE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Timers {
    entries: Mutex<Entries>,
    changed: Condvar,
}

#[derive(Default)]
struct Entries {
    due: BTreeMap<Slot, Waker>,
    last_number: u64,
    is_running: bool,
    /// When the thread wakes by itself, while it waits.
    wakes_at: Option<Instant>,
}

/// The time at which a task is due, and a number that distinguishes tasks that are due at the same time.
type Slot = (Instant, u64);

impl Timers {
    /// Returns the timers of this process. A forked child has its own.
    pub(super) fn of_process() -> &'static Self {
        static TIMERS: LazyLock<PerProcess<Timers>> =
            LazyLock::new(|| PerProcess::new(Timers::default, |_| {}));
        TIMERS.get()
    }

    /// Enters `waker` for `time`.
    fn add(&'static self, time: Instant, waker: Waker) -> Slot {
        let mut entries = self.entries.lock();
        entries.last_number += 1;
        let slot = (time, entries.last_number);
        entries.due.insert(slot, waker);
        self.wake_in_time(entries, time);
        slot
    }

    /// Makes the thread wake up at `time` or before, and starts it if there is none.
    fn wake_in_time(&'static self, mut entries: MutexGuard<'_, Entries>, time: Instant) {
        if entries.is_running {
            if entries.wakes_at.is_some_and(|wakes_at| time < wakes_at) {
                self.changed.notify_one();
            }
            return;
        }
        entries.is_running = true;
        drop(entries);
        let started = thread::Builder::new().name("dogpile-timers".to_owned()).spawn(|| self.run());
        if let Err(error) = started {
            let mut entries = self.entries.lock();
            entries.is_running = false;
            // Tasks that are woken look at the clock. They come back, which tries to start the thread again.
            let waiting = std::mem::take(&mut entries.due);
            drop(entries);
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::error!(target: RUNTIME, error, "cannot start the thread for timers");
            waiting.into_values().for_each(Waker::wake);
        }
    }

    fn remove(&self, slot: Slot) -> Option<Waker> {
        self.entries.lock().due.remove(&slot)
    }

    fn run(&self) {
        let mut entries = self.entries.lock();
        loop {
            let now = Instant::now();
            if let Some(waker) = entries.take_due(now) {
                MutexGuard::unlocked(&mut entries, || wake(waker));
                continue;
            }
            let wakes_at = entries.due.first_key_value().map_or(now + IDLE, |((due, _), _)| *due);
            entries.wakes_at = Some(wakes_at);
            self.changed.wait_until(&mut entries, wakes_at);
            entries.wakes_at = None;
            if entries.due.is_empty() && Instant::now() >= wakes_at {
                entries.is_running = false;
                return;
            }
        }
    }
}

/// Wakes a task. A panic of its executor does not end the thread, on which all other timers depend.
fn wake(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        let panic = dogpile_abi::panic_message(payload);
        tracing::error!(target: RUNTIME, panic, "the waker of a task panicked; the task may never be polled");
    }
}

impl Entries {
    fn take_due(&mut self, now: Instant) -> Option<Waker> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// Ends at a time. Dropping it leaves no trace.
pub(super) struct Sleep {
    timers: &'static Timers,
    time: Instant,
    slot: Option<Slot>,
}

impl Sleep {
    pub(super) fn new(timers: &'static Timers, time: Instant) -> Self {
        Sleep { timers, time, slot: None }
    }

    fn leave(&mut self) {
        // The waker is dropped outside of the lock, because that runs foreign code.
        let removed = self.slot.take().and_then(|slot| self.timers.remove(slot));
        drop(removed);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.leave();
        if Instant::now() >= self.time {
            return Poll::Ready(());
        }
        self.slot = Some(self.timers.add(self.time, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::task::Wake;

    use super::*;
    use crate::engine::blocking::drive;

    fn sleep(time: Instant) -> Sleep {
        Sleep::new(Timers::of_process(), time)
    }

    #[test]
    fn sleep_ends_at_its_time() {
        // A later timer comes first, so that the thread must be woken for the earlier one.
        let now = Instant::now();
        let (late, soon) = (now + Duration::from_millis(40), now + Duration::from_millis(10));
        let late_one = thread::spawn(move || {
            drive(sleep(late));
            assert!(Instant::now() >= late);
        });
        drive(sleep(soon));
        assert!(Instant::now() >= soon);
        late_one.join().unwrap();
    }

    #[test]
    fn dropped_sleep_leaves_no_trace() {
        let time = Instant::now() + Duration::from_secs(3600);
        let mut dropped = Box::pin(sleep(time));
        assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let slot = dropped.slot.expect("it waits");
        assert!(Timers::of_process().entries.lock().due.contains_key(&slot));
        drop(dropped);
        assert!(!Timers::of_process().entries.lock().due.contains_key(&slot));
    }

    #[test]
    fn sleep_ends_after_another_waker_panicked() {
        struct Panicking;
        impl Wake for Panicking {
            fn wake(self: Arc<Self>) {
                std::panic::resume_unwind(Box::new("planted"));
            }
        }
        let soon = Instant::now() + Duration::from_millis(5);
        let mut panicking = Box::pin(sleep(soon));
        let waker = Waker::from(Arc::new(Panicking));
        assert!(panicking.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let (sender, receiver) = channel();
        thread::spawn(move || {
            drive(sleep(soon + Duration::from_millis(20)));
            sender.send(()).expect("the test receives");
        });
        receiver.recv_timeout(Duration::from_secs(60)).expect("the sleep ends");
    }

    #[test]
    fn past_time_is_over_at_once() {
        drive(sleep(Instant::now()));
    }
}
