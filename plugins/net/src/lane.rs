//! [`Lane`]: the calls that wait to be sent on one connection.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// The most calls that wait for a place in a connection. Further ones fail at once.
const MAX_CALLS: usize = 1 << 14;

/// A call that waits in a [`Lane`].
pub trait Queued {
    /// Returns about how many bytes its requests have.
    fn size(&self) -> usize;

    /// Returns the time by which it must have an outcome.
    fn deadline(&self) -> Instant;

    /// Returns whether no caller waits for the outcome.
    fn is_over(&self) -> bool;

    /// Returns whether an outcome is still due at `now`, because the deadline has passed and there was none.
    fn is_expired(&self, now: Instant) -> bool;
}

/// The calls that wait to be sent on one connection, in order.
///
/// At most one task takes them, their *driver*. It is started by the first call, and ends when the connection has been idle
/// for a while. Dropping a call, or completing it, runs code of its caller. No lock is held meanwhile.
pub struct Lane<C> {
    /// The most bytes of all waiting requests, unless there is only one.
    max_bytes: usize,
    waiting: Mutex<Waiting<C>>,
    /// The number of calls without a reply, waiting or sent.
    calls: Arc<AtomicUsize>,
}

struct Waiting<C> {
    calls: VecDeque<C>,
    bytes: usize,
    /// No deadline of a waiting call is earlier.
    earliest: Option<Instant>,
    has_driver: bool,
    /// Wakes the driver. `None` if there is none, or if it is awake.
    driver: Option<Waker>,
}

/// What a caller does after adding a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Added {
    /// Nothing: the driver sends the request.
    Waits,
    /// Start a driver.
    NeedsDriver,
}

impl<C: Queued> Lane<C> {
    /// Creates a lane for requests of `max_bytes` in all, or a single larger one.
    pub fn new(max_bytes: usize) -> Self {
        let (calls, driver) = (VecDeque::new(), None);
        let waiting = Waiting { calls, bytes: 0, earliest: None, has_driver: false, driver };
        Lane { max_bytes, waiting: Mutex::new(waiting), calls: Arc::default() }
    }

    /// Returns the number of calls without a reply, waiting or sent.
    pub fn load(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns whether no call is waiting.
    pub fn is_empty(&self) -> bool {
        self.lock().calls.is_empty()
    }

    /// Reserves a place for a call.
    pub fn place(&self) -> Place {
        Place::among(&self.calls)
    }

    /// Adds a call, and wakes the driver.
    ///
    /// # Errors
    /// If too many are waiting. The error is the call.
    pub fn add(&self, call: C) -> Result<Added, Box<C>> {
        let mut waiting = self.lock();
        let is_full = waiting.calls.len() >= MAX_CALLS || waiting.bytes + call.size() > self.max_bytes;
        if is_full && !waiting.calls.is_empty() {
            return Err(Box::new(call));
        }
        waiting.bytes += call.size();
        waiting.note(call.deadline());
        waiting.calls.push_back(call);
        if !mem::replace(&mut waiting.has_driver, true) {
            return Ok(Added::NeedsDriver);
        }
        let driver = waiting.driver.take();
        drop(waiting);
        driver.into_iter().for_each(Waker::wake);
        Ok(Added::Waits)
    }

    /// Puts calls back, before those that wait.
    pub fn put_back(&self, calls: Vec<C>) {
        let mut waiting = self.lock();
        for call in calls.into_iter().rev() {
            waiting.bytes += call.size();
            waiting.note(call.deadline());
            waiting.calls.push_front(call);
        }
    }

    /// Returns the next call that has at most `bytes`. Drops calls whose callers no longer wait.
    ///
    /// If there is none, `waker` wakes the driver when a call is added.
    pub fn take(&self, bytes: usize, waker: &Waker) -> Option<C> {
        loop {
            let mut waiting = self.lock();
            let fits = waiting.calls.front().is_some_and(|first| first.size() <= bytes);
            let first = if fits { waiting.calls.pop_front() } else { None };
            let Some(call) = first else {
                if waiting.calls.is_empty() {
                    waiting.earliest = None;
                }
                waiting.driver = Some(waker.clone());
                return None;
            };
            waiting.bytes -= call.size();
            drop(waiting);
            // Dropping a call runs code of its caller, so the lock must be free.
            if !call.is_over() {
                return Some(call);
            }
        }
    }

    /// Makes `waker` wake the driver when a call is added.
    pub fn watch(&self, waker: &Waker) {
        let replaced = self.lock().driver.replace(waker.clone());
        drop(replaced);
    }

    /// Removes the calls whose deadline has passed, and those without a waiter. The caller completes them.
    #[must_use = "the calls are to be completed"]
    pub fn expire(&self, now: Instant) -> VecDeque<C> {
        let mut waiting = self.lock();
        if waiting.earliest.is_none_or(|earliest| earliest > now) {
            return VecDeque::new();
        }
        let all = mem::take(&mut waiting.calls);
        let (ended, kept): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|call| call.is_over() || call.is_expired(now));
        waiting.bytes = kept.iter().map(Queued::size).sum();
        waiting.earliest = kept.iter().map(Queued::deadline).min();
        waiting.calls = kept;
        ended
    }

    /// Returns a time before which no call expires.
    pub fn earliest(&self) -> Option<Instant> {
        self.lock().earliest
    }

    /// Ends the driver's work if no call is waiting, and returns whether it did.
    pub fn end(&self) -> bool {
        let mut waiting = self.lock();
        if waiting.calls.is_empty() {
            waiting.has_driver = false;
            waiting.driver = None;
        }
        !waiting.has_driver
    }

    /// Ends the work of a driver that cannot go on, and drops the waiting calls.
    pub fn abandon(&self) {
        let calls = self.drain();
        drop(calls);
        // A call may have been added meanwhile. It is dropped, too, because no driver would send it.
        while !self.end() {
            drop(self.drain());
        }
    }

    /// Removes all calls. The caller completes them.
    #[must_use = "the calls are to be completed"]
    pub fn drain(&self) -> VecDeque<C> {
        let mut waiting = self.lock();
        (waiting.bytes, waiting.earliest) = (0, None);
        mem::take(&mut waiting.calls)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<C>> {
        // Ignore poison: no code panics while it holds this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Waiting<C> {
    fn note(&mut self, deadline: Instant) {
        self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
    }
}

impl<C> fmt::Debug for Lane<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("calls", &self.calls).finish_non_exhaustive()
    }
}

/// Counts a call among those of its connection, until it is dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Place {
    fn among(calls: &Arc<AtomicUsize>) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(calls))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the caller has lost interest in a call. Its requests are not sent then, unless they already were.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Cancels the call.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether the call was canceled.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::iter;
    use std::time::Duration;

    use super::*;

    /// A call of one byte.
    struct Call {
        deadline: Instant,
        cancellation: Cancellation,
        _place: Place,
    }

    impl Queued for Call {
        fn size(&self) -> usize {
            1
        }

        fn deadline(&self) -> Instant {
            self.deadline
        }

        fn is_over(&self) -> bool {
            self.cancellation.is_canceled()
        }

        fn is_expired(&self, now: Instant) -> bool {
            self.deadline <= now
        }
    }

    fn call(lane: &Lane<Call>, deadline: Instant) -> Call {
        Call { deadline, cancellation: Cancellation::default(), _place: lane.place() }
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn take(lane: &Lane<Call>) -> Option<Call> {
        lane.take(usize::MAX, Waker::noop())
    }

    #[test]
    fn first_call_needs_a_driver_and_the_last_one_ends_it() {
        let lane = Lane::new(1000);
        assert_eq!(lane.add(call(&lane, later())).ok(), Some(Added::NeedsDriver));
        assert_eq!(lane.add(call(&lane, later())).ok(), Some(Added::Waits));
        assert!(!lane.end());
        assert_eq!(lane.load(), 2);
        drop((take(&lane).unwrap(), take(&lane).unwrap()));
        assert!(take(&lane).is_none() && lane.earliest().is_none() && lane.load() == 0);
        assert!(lane.end());
        assert_eq!(lane.add(call(&lane, later())).ok(), Some(Added::NeedsDriver));
    }

    #[test]
    fn calls_beyond_the_limits_are_refused_except_a_large_one() {
        let lane = Lane::new(0);
        assert!(lane.add(call(&lane, later())).is_ok());
        assert!(lane.add(call(&lane, later())).is_err());
        let lane = Lane::new(usize::MAX);
        for _ in 0..MAX_CALLS {
            assert!(lane.add(call(&lane, later())).is_ok());
        }
        assert!(lane.add(call(&lane, later())).is_err());
        assert_eq!(lane.load(), MAX_CALLS);
    }

    #[test]
    fn expired_and_canceled_calls_are_not_taken() {
        let lane = Lane::new(1000);
        let (soon, late) = (Instant::now() + Duration::from_secs(1), later());
        let (expiring, canceled, kept) = (call(&lane, soon), call(&lane, late), call(&lane, late));
        let cancellation = canceled.cancellation.clone();
        for call in [expiring, canceled, kept] {
            assert!(lane.add(call).is_ok());
        }
        assert_eq!(lane.earliest(), Some(soon));
        assert!(lane.expire(soon - Duration::from_millis(1)).is_empty());
        cancellation.cancel();
        let ended: Vec<_> = lane.expire(soon).iter().map(|call| call.deadline).collect();
        assert_eq!(ended, [soon, late]);
        assert_eq!(lane.earliest(), Some(late));
        assert!(take(&lane).is_some_and(|call| !call.is_over()) && take(&lane).is_none());
    }

    #[test]
    fn canceled_call_is_dropped_instead_of_taken() {
        let lane = Lane::new(1000);
        let canceled = call(&lane, later());
        let cancellation = canceled.cancellation.clone();
        assert!(lane.add(canceled).is_ok());
        cancellation.cancel();
        assert!(take(&lane).is_none() && lane.load() == 0);
    }

    #[test]
    fn calls_that_are_put_back_come_first_and_in_order() {
        let lane = Lane::new(1000);
        let deadlines: Vec<_> = (0..3).map(|second| later() + Duration::from_secs(second)).collect();
        lane.add(call(&lane, deadlines[2])).ok().unwrap();
        lane.put_back(deadlines[..2].iter().map(|deadline| call(&lane, *deadline)).collect());
        let taken: Vec<_> = iter::from_fn(|| take(&lane)).map(|call| call.deadline).collect();
        assert_eq!(taken, deadlines);
    }
}
