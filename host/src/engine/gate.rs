//! [`Gates`]: one gate for each key of a store that this process is creating.
//!
//! A gate exists from the moment a caller leads its key until the last leader is done: a million keys that were
//! created leave nothing behind. A caller that finds the gate of its key waits at it, and gets the value that the leader hands
//! over. A leader that hands nothing over leaves its gate *free*: one waiter, or the next caller, leads it.
//!
//! Locks are taken in this order: a shard, then the state of a gate. No value, waker, or mutex is dropped under them.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CacheMutex, CreationTime, Metadata};

use super::creation::Creation;
use super::failure::SharedFailure;
use super::recent_failures::RecentFailures;
use super::sync::{Mutex, MutexGuard};
use super::wakeups::Wakeups;

/// How many maps the keys are spread over, so that creators of different keys do not contend.
const SHARDS: usize = if cfg!(dogpile_loom) { 1 } else { 64 };

/// A backend's mutex that a leader holds.
pub(crate) type HeldMutex = Arc<dyn CacheMutex>;

/// Releases, in the background, a mutex whose leader was dropped.
type ReleaseLater = Box<dyn Fn(HeldMutex) + Send + Sync>;

type Hasher = foldhash::fast::RandomState;

/// The gates of one store.
pub(crate) struct Gates {
    shards: Box<[Mutex<Shard>]>,
    hasher: Hasher,
    release_later: ReleaseLater,
    /// The keys whose creators failed a moment ago.
    pub(super) failures: RecentFailures,
}

#[derive(Default)]
pub(super) struct Shard {
    pub(super) gates: HashMap<Arc<str>, Arc<Gate>, Hasher>,
    /// The hashes of keys that are being set or deleted.
    pub(super) writers: Vec<u64>,
}

/// A key, and what its gate is called.
pub(crate) struct GateKey<'a> {
    /// The key as the bottom store knows it.
    pub(crate) store_key: &'a str,
    /// The key as the caller gave it.
    pub(crate) key: &'a str,
    /// The region that is called.
    pub(crate) region: &'a Arc<str>,
    /// The caller.
    pub(crate) leader: &'a Leader,
}

/// A caller that creates, or would.
#[derive(Clone, Debug)]
pub(crate) struct Leader {
    /// The caller, as warnings and errors name it.
    pub(crate) name: Arc<str>,
    /// A thread or a task.
    pub(crate) role: Role,
}

/// What a leader does, and hands over in the end: it reads the store, or creates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) number: u64,
    /// When the creation began, if it is one.
    pub(super) began: Option<CreationTime>,
    /// Whether the key was set or deleted since.
    pub(super) superseded: bool,
}

/// The gate of one key.
pub(super) struct Gate {
    pub(super) store_key: Arc<str>,
    pub(super) hash: u64,
    region: Arc<str>,
    key: Arc<str>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) stage: Stage,
    pub(super) leader: Leader,
    pub(super) led_since: Instant,
    /// The creation whose creator runs.
    pub(super) creation: Option<Arc<Creation>>,
    pub(super) running: Option<Running>,
    /// The number of the last reading or creation at this gate.
    pub(super) last_number: u64,
    pub(super) waiters: BTreeMap<u64, Waiter>,
    pub(super) next_waiter: u64,
    /// For how long a leader waited for the backend's mutex until it gave up.
    pub(super) patience: Option<Duration>,
    /// Whether a warning named this gate.
    pub(super) warned: bool,
    /// How many stores of the leader's value are in progress.
    pub(super) stores: usize,
    /// Set if the leader was dropped while its value was being stored. The end of the store leaves the gate.
    pub(super) abandoned: Option<Abandoned>,
}

/// What a leader left that was dropped while its value was being stored.
pub(super) struct Abandoned {
    /// Held until the store ends, so that no other process stores a newer value in between.
    pub(super) mutex: Option<HeldMutex>,
}

/// How far a gate is.
pub(super) enum Stage {
    /// Its leader reads, or waits for the backend's mutex.
    Led,
    /// The creator runs.
    Creating,
    /// The value is being stored: `set` and `delete` wait.
    Storing,
    /// It has no leader. A caller that needs the key leads it, and gets the mutex with it.
    Free { mutex: Option<HeldMutex>, queued: bool },
    /// It is open, and no longer among the gates.
    Open { outcome: Outcome, wakeups: Arc<Wakeups> },
}

/// A caller or a writer that waits at a gate.
pub(super) struct Waiter {
    pub(super) waker: Waker,
    pub(super) role: Role,
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A value. The waiter is a parked thread.
    Thread,
    /// A value. The waiter is a task.
    Task,
    /// The end of the store.
    Writer,
}

/// What the leader leaves to its waiters.
#[derive(Clone)]
pub(super) enum Outcome {
    Value(Handed),
    Failed(SharedFailure),
    MutexFailed(Arc<BackendError>),
    /// Nothing: the waiters read the store.
    Nothing,
}

/// A value that is handed to waiters.
#[derive(Clone)]
pub(super) struct Handed {
    pub(super) value: Arc<dyn Any + Send + Sync>,
    /// The reading or creation that it comes from.
    pub(super) number: u64,
    /// Its metadata, if the leader found it in the store.
    pub(super) found: Option<Metadata>,
    /// Whether it is an old value, which is served because the creator failed.
    pub(super) is_old: bool,
}

/// A creation in progress, as [`CacheRegion::creations`](crate::CacheRegion::creations) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreationInfo {
    /// The name of the region.
    pub region: String,
    /// The key, as the leader gave it.
    pub key: String,
    /// The caller that creates, such as `thread "worker-3"`.
    pub leader: String,
    /// How long ago the leader began.
    pub age: Duration,
    /// How many callers wait for the value.
    pub waiters: usize,
    /// How far the creation is.
    pub stage: CreationStage,
}

/// How far a creation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreationStage {
    /// The leader reads, or waits for the backend's mutex.
    Locking,
    /// The creator runs.
    Creating,
    /// The value is being stored.
    Storing,
    /// The creation waits for a runner, or for a caller that needs its value.
    Queued,
}

impl Gates {
    /// Creates the gates of a store. Mutexes of leaders that are dropped go to `release_later`.
    pub(crate) fn new(release_later: impl Fn(HeldMutex) + Send + Sync + 'static) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let (release_later, failures) = (Box::new(release_later), RecentFailures::default());
        Gates { shards, hasher: Hasher::default(), release_later, failures }
    }

    pub(super) fn hash(&self, store_key: &str) -> u64 {
        self.hasher.hash_one(store_key)
    }

    pub(super) fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The top bits choose the shard. The map within uses the others.
        self.shards[(hash >> 48) as usize % self.shards.len()].lock()
    }

    pub(super) fn release_later(&self, mutex: Option<HeldMutex>) {
        if let Some(mutex) = mutex {
            (self.release_later)(mutex);
        }
    }

    /// Returns whether `store_key` is being created.
    pub(crate) fn is_closed(&self, store_key: &str) -> bool {
        self.shard(self.hash(store_key)).gates.contains_key(store_key)
    }

    /// Returns how many keys are being created.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().gates.len()).sum()
    }

    /// Lists the creations in progress that `region` began, oldest first.
    pub(crate) fn creations(&self, region: &str, now: Instant) -> Vec<CreationInfo> {
        let gates: Vec<Arc<Gate>> = self
            .shards
            .iter()
            .flat_map(|shard| shard.lock().gates.values().cloned().collect::<Vec<_>>())
            .collect();
        let of_region = gates.iter().filter(|gate| &*gate.region == region);
        let mut creations: Vec<CreationInfo> = of_region.map(|gate| gate.info(now)).collect();
        creations.sort_by_key(|creation| std::cmp::Reverse(creation.age));
        creations
    }

    /// Does `work` while no caller can arrive at a gate.
    #[cfg(all(test, not(dogpile_loom)))]
    pub(crate) fn while_held<R>(&self, work: impl FnOnce() -> R) -> R {
        let held: Vec<_> = self.shards.iter().map(Mutex::lock).collect();
        let done = work();
        drop(held);
        done
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gates({} in progress)", self.len())
    }
}

impl Gate {
    pub(super) fn led(key: &GateKey<'_>, hash: u64, now: Instant) -> Self {
        let store_key: Arc<str> = key.store_key.into();
        let caller_key = if key.key == key.store_key { Arc::clone(&store_key) } else { key.key.into() };
        let state = State {
            stage: Stage::Led,
            leader: key.leader.clone(),
            led_since: now,
            creation: None,
            running: None,
            last_number: 0,
            waiters: BTreeMap::new(),
            next_waiter: 0,
            patience: None,
            warned: false,
            stores: 0,
            abandoned: None,
        };
        Gate { store_key, hash, region: Arc::clone(key.region), key: caller_key, state: Mutex::new(state) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Returns whether a task leads.
    pub(super) fn is_led_by_task(&self) -> bool {
        self.lock().leader.role == Role::Task
    }

    /// Returns the creation whose creator runs.
    pub(super) fn creation(&self) -> Option<Arc<Creation>> {
        self.lock().creation.clone()
    }

    pub(super) fn info(&self, now: Instant) -> CreationInfo {
        let state = self.lock();
        CreationInfo {
            region: self.region.to_string(),
            key: self.key.to_string(),
            leader: state.leader.name.to_string(),
            age: now.saturating_duration_since(state.led_since),
            waiters: state.callers(),
            stage: match state.stage {
                Stage::Led | Stage::Open { .. } => CreationStage::Locking,
                Stage::Creating => CreationStage::Creating,
                Stage::Storing => CreationStage::Storing,
                Stage::Free { .. } => CreationStage::Queued,
            },
        }
    }

    /// Returns when a warning of this gate is due, unless there was one.
    pub(super) fn warning_due(&self, after: Duration) -> Option<Instant> {
        let state = self.lock();
        if state.warned { None } else { state.led_since.checked_add(after) }
    }

    /// Returns the creation to warn of, once for each gate.
    pub(super) fn take_warning(&self, now: Instant, after: Duration) -> Option<CreationInfo> {
        let mut state = self.lock();
        let is_due = !state.warned && now.saturating_duration_since(state.led_since) >= after;
        state.warned |= is_due;
        drop(state);
        is_due.then(|| self.info(now))
    }
}

impl State {
    /// Lets `leader` lead a gate that is free, and returns the mutex that comes with it.
    pub(super) fn take(&mut self, leader: &Leader, now: Instant) -> Option<HeldMutex> {
        self.leader = leader.clone();
        self.led_since = now;
        match std::mem::replace(&mut self.stage, Stage::Led) {
            Stage::Free { mutex, .. } => mutex,
            _ => None,
        }
    }

    /// Returns how many callers wait for the value.
    pub(super) fn callers(&self) -> usize {
        self.waiters.values().filter(|waiter| waiter.role != Role::Writer).count()
    }

    /// Returns the waker of the caller that came first.
    pub(super) fn first_caller(&self) -> Option<Waker> {
        self.waiters.values().find(|waiter| waiter.role != Role::Writer).map(|waiter| waiter.waker.clone())
    }
}
