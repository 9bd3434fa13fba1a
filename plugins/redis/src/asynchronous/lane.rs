//! [`Lane`]: the calls that wait to be sent on one connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use super::call::{Call, Place};
use crate::connection::Failure;

/// The most calls that wait for a place in a connection. Further ones fail at once.
const MAX_CALLS: usize = 1 << 14;

/// The calls that wait to be sent on one connection, in order.
///
/// At most one [driver](super::driver::Driver) takes them. It is started by the first call, and ends when the connection has
/// been idle for a while.
#[derive(Debug)]
pub(super) struct Lane {
    /// The most bytes of all waiting requests, unless there is only one.
    max_bytes: usize,
    waiting: Mutex<Waiting>,
    /// The number of calls without a reply, waiting or sent.
    calls: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Waiting {
    calls: VecDeque<Call>,
    bytes: usize,
    /// No deadline of a waiting call is earlier.
    earliest: Option<Instant>,
    has_driver: bool,
    /// Wakes the driver. `None` if there is none, or if it is awake.
    driver: Option<Waker>,
}

/// What a caller does after adding a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// Nothing: the driver sends the request.
    Waits,
    /// Start a driver.
    NeedsDriver,
}

impl Lane {
    pub(super) fn new(max_bytes: usize) -> Self {
        Lane { max_bytes, waiting: Mutex::default(), calls: Arc::default() }
    }

    /// Returns the number of calls without a reply, waiting or sent.
    pub(super) fn load(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns whether no call is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().calls.is_empty()
    }

    /// Reserves a place for a call.
    pub(super) fn place(&self) -> Place {
        Place::among(&self.calls)
    }

    /// Adds a call, or returns it if too many are waiting.
    pub(super) fn add(&self, call: Call) -> Result<Added, Box<Call>> {
        let mut waiting = self.lock();
        let is_full = waiting.calls.len() >= MAX_CALLS || waiting.bytes + call.size() > self.max_bytes;
        if is_full && !waiting.calls.is_empty() {
            return Err(Box::new(call));
        }
        waiting.bytes += call.size();
        waiting.note(call.deadline);
        waiting.calls.push_back(call);
        if !std::mem::replace(&mut waiting.has_driver, true) {
            return Ok(Added::NeedsDriver);
        }
        let driver = waiting.driver.take();
        drop(waiting);
        driver.into_iter().for_each(Waker::wake);
        Ok(Added::Waits)
    }

    /// Puts calls back, before those that wait.
    pub(super) fn put_back(&self, calls: Vec<Call>) {
        let mut waiting = self.lock();
        for call in calls.into_iter().rev() {
            waiting.bytes += call.size();
            waiting.note(call.deadline);
            waiting.calls.push_front(call);
        }
    }

    /// Returns the next call that has at most `bytes`. Drops calls that nobody waits for.
    ///
    /// If there is none, `waker` wakes the driver when a call is added.
    pub(super) fn take(&self, bytes: usize, waker: &Waker) -> Option<Call> {
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
    pub(super) fn watch(&self, waker: &Waker) {
        let replaced = self.lock().driver.replace(waker.clone());
        drop(replaced);
    }

    /// Ends the waits of calls whose deadline has passed.
    pub(super) fn expire(&self, now: Instant) {
        let mut waiting = self.lock();
        if waiting.earliest.is_none_or(|earliest| earliest > now) {
            return;
        }
        let all = std::mem::take(&mut waiting.calls);
        let (ended, kept): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|call| call.is_over() || call.is_expired(now));
        waiting.bytes = kept.iter().map(Call::size).sum();
        waiting.earliest = kept.iter().map(|call| call.deadline).min();
        waiting.calls = kept;
        drop(waiting);
        ended.into_iter().for_each(|mut call| call.complete(Err(Failure::TimedOut)));
    }

    /// Returns a time before which no call expires.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.lock().earliest
    }

    /// Ends all waits with `failure`.
    pub(super) fn fail(&self, failure: &Failure) {
        for mut call in self.drain() {
            call.complete(Err(failure.clone()));
        }
    }

    /// Ends the driver's work if no call is waiting, and returns whether it did.
    pub(super) fn end(&self) -> bool {
        let mut waiting = self.lock();
        if waiting.calls.is_empty() {
            waiting.has_driver = false;
            waiting.driver = None;
        }
        !waiting.has_driver
    }

    /// Ends the work of a driver that cannot go on, and drops the waiting calls.
    pub(super) fn abandon(&self) {
        let calls = self.drain();
        drop(calls);
        // A call may have been added meanwhile. It is dropped, too, because no driver would send it.
        while !self.end() {
            drop(self.drain());
        }
    }

    fn drain(&self) -> VecDeque<Call> {
        let mut waiting = self.lock();
        (waiting.bytes, waiting.earliest) = (0, None);
        std::mem::take(&mut waiting.calls)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Ignore poison: no code panics while it holds this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn note(&mut self, deadline: Instant) {
        self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::super::call::Cancellation;
    use super::*;
    use crate::command::{Repeat, Request};
    use crate::resp::{Expected, Value};

    type Outcomes = Receiver<Result<Vec<Value>, Failure>>;

    fn call(lane: &Lane, deadline: Instant) -> (Call, Cancellation, Outcomes) {
        let (send, outcomes) = channel();
        let request = Request::default().with(&["PING"], Expected::Done);
        let (cancellation, outcome) = (Cancellation::default(), move |outcome| send.send(outcome).unwrap());
        let shared = (cancellation.clone(), lane.place());
        (Call::new(request, Repeat::Harmless, deadline, shared, Box::new(outcome)), cancellation, outcomes)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn take(lane: &Lane) -> Option<Call> {
        lane.take(usize::MAX, Waker::noop())
    }

    #[test]
    fn first_call_needs_a_driver_and_the_last_one_ends_it() {
        let lane = Lane::new(1000);
        assert_eq!(lane.add(call(&lane, later()).0).ok(), Some(Added::NeedsDriver));
        assert_eq!(lane.add(call(&lane, later()).0).ok(), Some(Added::Waits));
        assert!(!lane.end());
        assert_eq!(lane.load(), 2);
        drop((take(&lane).unwrap(), take(&lane).unwrap()));
        assert!(take(&lane).is_none() && lane.earliest().is_none() && lane.load() == 0);
        assert!(lane.end());
        assert_eq!(lane.add(call(&lane, later()).0).ok(), Some(Added::NeedsDriver));
    }

    #[test]
    fn calls_beyond_the_limits_are_refused_except_a_single_large_one() {
        let lane = Lane::new(1);
        assert!(lane.add(call(&lane, later()).0).is_ok());
        assert!(lane.add(call(&lane, later()).0).is_err());
        let lane = Lane::new(usize::MAX);
        for _ in 0..MAX_CALLS {
            assert!(lane.add(call(&lane, later()).0).is_ok());
        }
        assert!(lane.add(call(&lane, later()).0).is_err());
        assert_eq!(lane.load(), MAX_CALLS);
    }

    #[test]
    fn expired_and_canceled_calls_are_not_taken() {
        let lane = Lane::new(1000);
        let (soon, late) = (Instant::now() + Duration::from_secs(1), later());
        let (expiring, _, expired) = call(&lane, soon);
        let (canceled, cancellation, dropped) = call(&lane, late);
        let (kept, _, waiting) = call(&lane, late);
        for call in [expiring, canceled, kept] {
            assert!(lane.add(call).is_ok());
        }
        cancellation.cancel();
        assert_eq!(lane.earliest(), Some(soon));
        lane.expire(soon);
        assert!(matches!(expired.try_recv(), Ok(Err(Failure::TimedOut))));
        assert_eq!(lane.earliest(), Some(late));
        assert!(dropped.try_recv().is_ok() && take(&lane).is_some() && take(&lane).is_none());
        assert!(waiting.try_recv().is_err());
    }

    #[test]
    fn calls_that_are_put_back_come_first_and_in_order() {
        let lane = Lane::new(1000);
        let deadlines: Vec<_> = (0..3).map(|second| later() + Duration::from_secs(second)).collect();
        lane.add(call(&lane, deadlines[2]).0).ok().unwrap();
        lane.put_back(deadlines[..2].iter().map(|deadline| call(&lane, *deadline).0).collect());
        let taken: Vec<_> = std::iter::from_fn(|| take(&lane)).map(|call| call.deadline).collect();
        assert_eq!(taken, deadlines);
    }
}
