//! [`World`]: what a scenario's callers share: store, mutexes, manual clocks, and the script's orders.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CacheMutex, CreationTime, ErrorKind};

use super::coverage::{Tag, Tag::*};
use super::port::Call;
use crate::engine::{Gates, HeldMutex, Queued};

pub(super) type Key = &'static str;
pub(super) type Name = &'static str;

/// The payloads of unwinding callers.
pub(super) const PANICKED: &str = "panicked";
pub(super) const CANCELED: &str = "canceled";

/// After which age a value is stale.
pub(super) const EXPIRATION: Duration = Duration::from_secs(500);

/// A scenario that takes this long hangs.
const HANGS_AFTER: Duration = Duration::from_secs(20);

/// Where a caller is. A script waits for callers to come to a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Point {
    #[default]
    Running,
    /// In its first read.
    Reading,
    /// In a later read.
    Rereading,
    /// At the gate of a key that another caller creates.
    Waiting,
    /// Waiting for the backend's mutex.
    Locking,
    /// In its creator.
    Creating,
    /// In its store.
    Storing,
    /// In its `set` or `delete`, which waits for nothing any more.
    Writing,
    Done,
}

/// An order of the script to a caller that is held at a point.
#[derive(Debug)]
pub(super) enum Order {
    Go,
    Succeed(u32),
    Fail,
    /// The creator fails with an answer.
    Answer,
    Panic,
    /// The creator requests other keys.
    Request(Box<Call>),
}

#[derive(Debug, Default)]
pub(super) struct Caller {
    pub(super) point: Point,
    /// Where the caller waits for an order, besides its creator.
    pub(super) holds: Vec<Point>,
    pub(super) orders: VecDeque<Order>,
    pub(super) is_canceled: bool,
    pub(super) reads: usize,
    pub(super) outcome: Option<String>,
}

/// How the backend's mutexes behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutexes {
    /// The backend has none.
    Absent,
    Working,
    Failing,
    /// Each lease ends while it is held.
    Lost,
}

pub(super) struct State {
    pub(super) now: Instant,
    pub(super) wall: f64,
    pub(super) stored: BTreeMap<Key, (u32, f64)>,
    pub(super) hard: Option<f64>,
    pub(super) soft: Option<f64>,
    pub(super) mutexes: Mutexes,
    /// How long a mutex waits by its own configuration.
    pub(super) mutex_limit: Option<Duration>,
    /// The keys whose mutexes are held, and whether another process holds them.
    pub(super) held: HashMap<Key, bool>,
    pub(super) rereads_fail: bool,
    pub(super) stores_fail: bool,
    pub(super) callers: BTreeMap<Name, Caller>,
    pub(super) queue: Vec<(Key, Queued)>,
    pub(super) created: Vec<Key>,
    pub(super) stores: usize,
    pub(super) reports: Vec<String>,
    /// What the scenario was seen to cover.
    pub(super) seen: BTreeSet<Tag>,
    changes: u64,
    paused: Vec<Waker>,
    asleep: Vec<(Instant, Name, Waker)>,
}

impl State {
    pub(super) fn caller(&mut self, name: Name) -> &mut Caller {
        self.callers.entry(name).or_default()
    }

    pub(super) fn see(&mut self, tag: Tag) {
        self.seen.insert(tag);
    }

    /// Returns whether a value made at `made` was not invalidated.
    pub(super) fn is_valid(&self, made: f64) -> bool {
        [self.hard, self.soft].into_iter().flatten().all(|moment| made > moment)
    }

    pub(super) fn is_fresh(&self, made: f64) -> bool {
        self.is_valid(made) && self.wall - made <= EXPIRATION.as_secs_f64()
    }

    pub(super) fn is_missing(&self, made: f64) -> bool {
        self.hard.is_some_and(|moment| made <= moment)
    }

    /// Notes what happens to keys while a creator runs.
    pub(super) fn see_during(&mut self, tag: Tag) {
        if self.callers.values().any(|caller| matches!(caller.point, Point::Creating | Point::Storing)) {
            self.see(tag);
        }
    }
}

pub(super) struct World {
    pub(super) gates: Arc<Gates>,
    pub(super) region: Arc<str>,
    pub(super) is_tasks: bool,
    state: Mutex<State>,
    changed: Condvar,
}

impl World {
    pub(super) fn new(region: String, is_tasks: bool) -> Arc<Self> {
        let state = State {
            now: Instant::now(),
            wall: 1000.0,
            stored: BTreeMap::new(),
            hard: None,
            soft: None,
            mutexes: Mutexes::Absent,
            mutex_limit: None,
            held: HashMap::new(),
            rereads_fail: false,
            stores_fail: false,
            callers: BTreeMap::new(),
            queue: Vec::new(),
            created: Vec::new(),
            stores: 0,
            reports: Vec::new(),
            seen: BTreeSet::new(),
            changes: 0,
            paused: Vec::new(),
            asleep: Vec::new(),
        };
        Arc::new(World {
            gates: Arc::new(Gates::new(|mutex| drop(mutex.release()))),
            region: region.into(),
            is_tasks,
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    pub(super) fn look<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world, and wakes the callers that a script holds or whose time has come. Callers at gates are not
    /// woken: only the engine may do that.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let changed = change(&mut state);
        state.changes += 1;
        let now = state.now;
        let State { asleep, callers, .. } = &mut *state;
        let is_due = |(time, name, _): &mut (Instant, Name, Waker)| {
            *time <= now || callers.get(name).is_some_and(|caller| caller.is_canceled)
        };
        let due: Vec<Waker> = asleep.extract_if(.., is_due).map(|(.., waker)| waker).collect();
        let paused = std::mem::take(&mut state.paused);
        drop(state);
        self.changed.notify_all();
        paused.into_iter().chain(due).for_each(Waker::wake);
        changed
    }

    /// Waits, as the caller `name`, until `ready` returns something.
    pub(super) async fn until<R>(&self, name: Name, mut ready: impl FnMut(&mut State) -> Option<R>) -> R {
        let mut ready = |state: &mut State| {
            unwind_if_canceled(state, name);
            ready(state)
        };
        if !self.is_tasks {
            return self.block_until(name, ready);
        }
        poll_fn(|context| {
            let mut state = self.lock();
            match ready(&mut state) {
                Some(result) => Poll::Ready(result),
                None => {
                    state.paused.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Blocks until `ready` returns something.
    pub(super) fn block_until<R>(&self, name: Name, mut ready: impl FnMut(&mut State) -> Option<R>) -> R {
        let mut state = self.lock();
        loop {
            if let Some(result) = ready(&mut state) {
                return result;
            }
            let waited = self.changed.wait_timeout(state, HANGS_AFTER);
            let (locked, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            assert!(
                !timeout.timed_out(),
                "{}: nothing comes of waiting for {name:?}: {:#?}",
                self.region,
                locked.callers
            );
            state = locked;
        }
    }

    /// Waits, as the caller `name` at `point`, for an order of the script.
    pub(super) async fn order(&self, name: Name, point: Point) -> Order {
        self.change(|state| state.caller(name).point = point);
        let order = self.until(name, |state| state.caller(name).orders.pop_front()).await;
        self.change(|state| state.caller(name).point = Point::Running);
        order
    }

    /// Waits for an order if the caller is to be held at `point`.
    pub(super) async fn pass(&self, name: Name, point: Point) {
        if self.look(|state| state.caller(name).holds.contains(&point)) {
            self.order(name, point).await;
        }
    }

    /// Sleeps, as the caller `name` who waits at a gate.
    pub(super) async fn sleep(&self, name: Name, time: Instant) {
        let mut is_noted = false;
        poll_fn(|context| {
            let mut state = self.lock();
            unwind_if_canceled(&mut state, name);
            if state.now >= time {
                return Poll::Ready(());
            }
            state.asleep.push((time, name, context.waker().clone()));
            drop(state);
            // The blocking driver polls once without a waker. The caller waits only from the second time on.
            let is_waker = !context.waker().will_wake(Waker::noop());
            if is_waker && !std::mem::replace(&mut is_noted, true) {
                self.change(|state| state.caller(name).point = Point::Waiting);
            }
            Poll::Pending
        })
        .await;
    }

    pub(super) fn finish(&self, name: Name, outcome: String) {
        self.change(|state| {
            let caller = state.caller(name);
            caller.outcome = Some(outcome);
            caller.point = Point::Done;
        });
    }

    pub(super) fn mutex(self: &Arc<Self>, key: Key) -> Option<HeldMutex> {
        let is_absent = self.look(|state| state.mutexes == Mutexes::Absent);
        if is_absent { None } else { Some(Arc::new(ScriptedMutex { key, world: Arc::clone(self) })) }
    }

    /// Acquires `mutex` as the caller `name`, waiting until `until` at most.
    pub(super) async fn acquire(
        &self,
        name: Name,
        mutex: &HeldMutex,
        until: Instant,
    ) -> Result<bool, BackendError> {
        let own_limit = self.look(|state| state.mutex_limit.map(|limit| state.now + limit));
        let until = own_limit.map_or(until, |limit| limit.min(until));
        loop {
            let changes = self.look(|state| state.changes);
            if mutex.try_acquire()? {
                return Ok(true);
            }
            if self.look(|state| state.now >= until) {
                self.look(|state| state.see(GivesUp));
                return Ok(false);
            }
            // Not a change: the loop would see its own.
            self.look(|state| state.caller(name).point = Point::Locking);
            self.changed.notify_all();
            self.until(name, |state| (state.changes != changes).then_some(())).await;
        }
    }
}

/// The manual time, as the caller `name` waits for it.
pub(super) struct ManualTime {
    pub(super) world: Arc<World>,
    pub(super) name: Name,
}

impl ManualTime {
    pub(super) fn sleep_until(&self, time: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.world.sleep(self.name, time))
    }
}

fn unwind_if_canceled(state: &mut State, name: Name) {
    if state.caller(name).is_canceled {
        resume_unwind(Box::new(CANCELED));
    }
}

struct ScriptedMutex {
    key: Key,
    world: Arc<World>,
}

impl std::fmt::Debug for ScriptedMutex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ScriptedMutex({})", self.key)
    }
}

impl CacheMutex for ScriptedMutex {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.world.look(|state| {
            if state.mutexes == Mutexes::Failing {
                state.see(MutexFails);
                return Err(BackendError::new(ErrorKind::Unavailable, "the server is down"));
            }
            let is_free = !state.held.contains_key(self.key);
            if is_free {
                state.held.insert(self.key, false);
            }
            Ok(is_free)
        })
    }

    fn acquire_until(&self, _deadline: Instant) -> Result<bool, BackendError> {
        self.try_acquire()
    }

    fn release(&self) -> Result<(), BackendError> {
        self.world
            .change(|state| assert_eq!(state.held.remove(self.key), Some(false), "{self:?} is not held"));
        Ok(())
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.world.look(|state| state.held.contains_key(self.key)))
    }

    fn is_lost(&self) -> bool {
        self.world.look(|state| state.mutexes == Mutexes::Lost)
    }
}

/// Returns `seconds` as the time of a creation.
pub(super) fn made_at(seconds: f64) -> CreationTime {
    CreationTime::from_seconds(seconds)
}
