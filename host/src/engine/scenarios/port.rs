//! [`ScriptedPort`]: the port of a scenario's callers, for both drivers.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CreationTime, Metadata};

use super::coverage::Tag::*;
use super::world::{EXPIRATION, Key, ManualTime, Name, Order, PANICKED, Point, State, World, made_at};
use crate::created::Terms;
use crate::decision::Reading;
use crate::engine::{
    CreationInfo, Found, GateKey, Gates, HeldMutex, Leader, Led, LockError, Made, Need, Port, Queued, Report,
    Role, SharedFailure, Slot, Storing, Wanted, asynchronous, blocking, create_queued, settle, unless,
};
use crate::policy::{Policy, Stage};

/// A call of a scenario.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: Name,
    pub(super) keys: Vec<Key>,
    pub(super) holds: Vec<Point>,
    pub(super) policy: Policy,
    pub(super) is_background: bool,
    pub(super) shares_failures: bool,
    pub(super) is_cacheable: bool,
}

impl Call {
    pub(super) fn of(name: Name, keys: &[Key]) -> Self {
        Call {
            name,
            keys: keys.to_vec(),
            holds: Vec::new(),
            policy: Policy::default(),
            is_background: false,
            shares_failures: false,
            is_cacheable: true,
        }
    }

    /// Waits for others at most this many seconds.
    pub(super) fn waits(mut self, seconds: u64) -> Self {
        self.policy.creation_wait_timeout = Duration::from_secs(seconds);
        self
    }

    /// Waits for an order of the script at `point`.
    pub(super) fn held_at(mut self, point: Point) -> Self {
        self.holds.push(point);
        self
    }

    /// Hands stale values to the runner.
    pub(super) fn background(mut self) -> Self {
        self.is_background = true;
        self
    }

    /// Shares the failures of its creator.
    pub(super) fn shares(mut self) -> Self {
        self.shares_failures = true;
        self
    }

    /// Creates values that are not stored.
    pub(super) fn uncacheable(mut self) -> Self {
        self.is_cacheable = false;
        self
    }
}

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    Creator,
    /// The creator found that there is nothing.
    Answer,
    /// The creation took too long.
    TimedOut,
    Read,
    Lock(LockError),
    Shared(SharedFailure),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Creator => f.write_str("the creator failed"),
            Failure::Answer => f.write_str("the answer"),
            Failure::TimedOut => f.write_str("timed out"),
            Failure::Read => f.write_str("the read failed"),
            Failure::Lock(error) => error.fmt(f),
            Failure::Shared(failure) => failure.fmt(f),
        }
    }
}

/// The port of one call. The port of a task is `Send`, and so is the future of the protocol.
pub(super) struct ScriptedPort<const IS_TASK: bool> {
    world: Arc<World>,
    time: ManualTime,
    call: Call,
    leader: Leader,
    waits_since: OnceLock<Instant>,
    reads: usize,
}

impl<const IS_TASK: bool> ScriptedPort<IS_TASK> {
    pub(super) fn new(world: &Arc<World>, call: Call) -> Self {
        let name = call.name;
        let (world, leader) = (Arc::clone(world), Leader { name: name.into(), role: Self::ROLE });
        world.change(|state| state.caller(name).holds.extend(&call.holds));
        let time = ManualTime { world: Arc::clone(&world), name };
        ScriptedPort { world, time, call, leader, waits_since: OnceLock::new(), reads: 0 }
    }

    /// Makes the call, and returns what came of it.
    pub(super) async fn get(mut self) -> String {
        let several = if self.call.keys.len() > 1 { Several } else { One };
        self.world.change(|state| state.see(several));
        match self.get_all().await {
            Ok(values) => values.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
            Err(failure) => failure.to_string(),
        }
    }

    async fn get_all(&mut self) -> Result<Vec<u32>, Failure> {
        let places: Vec<usize> = (0..self.call.keys.len()).collect();
        let found = self.read(&places).await?;
        let was_stale = found.iter().any(|found| matches!(found.reading, Reading::Stale(_)));
        let mut slots: Vec<Slot<u32>> =
            found.into_iter().map(|found| Slot::of(found, &self.call.policy)).collect();
        settle(self, &mut slots).await?;
        if was_stale && self.reads == 1 {
            self.world.change(|state| state.see(Waiter));
        }
        let settled = slots.into_iter().map(|slot| match slot.need {
            Need::Settled(value, _) => value,
            _ => unreachable!("the protocol settles all slots"),
        });
        Ok(settled.collect())
    }

    /// Creates what was queued, unless it was taken over, as a runner does.
    pub(super) async fn run(mut self, queued: Vec<Queued>) -> String {
        let now = self.now();
        let begin = |(place, queued): (usize, Queued)| {
            queued.begin(&self.leader, now).map(|leadership| Led { place, leadership })
        };
        let led: Vec<Led> = queued.into_iter().enumerate().filter_map(begin).collect();
        let handoff = if led.is_empty() { TakenOver } else { RunsQueued };
        self.world.change(|state| state.see(handoff));
        match create_queued(&mut self, led).await {
            Ok(values) => format!("created {}", values.len()),
            Err(failure) => failure.to_string(),
        }
    }

    fn name(&self) -> Name {
        self.call.name
    }

    fn keys<'s>(&'s self, places: &'s [usize]) -> impl Iterator<Item = Key> + 's {
        places.iter().map(|place| self.call.keys[*place])
    }

    fn find(&self, state: &mut State, key: Key) -> Found<u32> {
        let Some((value, made)) = state.stored.get(key).copied() else {
            return Found { reading: Reading::Missing, metadata: None };
        };
        let reading = match self.stage(state, key, made) {
            None | Some(Stage::TooOld) => Reading::Missing,
            Some(Stage::Fresh) => Reading::Fresh(value),
            Some(Stage::Early) => Reading::Early(value),
            Some(Stage::Stale) => Reading::Stale(value),
            Some(Stage::Grace) => Reading::Grace(value),
        };
        Found { reading, metadata: Some(Metadata::new(made_at(made))) }
    }

    /// Returns the stage of a value made at `made`, unless it is hard-invalidated.
    fn stage(&self, state: &State, key: Key, made: f64) -> Option<Stage> {
        let age = Duration::from_secs_f64((state.wall - made).max(0.0));
        let (policy, limit) = (&self.call.policy, Some(EXPIRATION));
        let stage = || match state.is_valid(made) {
            true => policy.stage(key, made_at(made), age, limit),
            false => policy.stage_of_old(age, limit),
        };
        (!state.is_missing(made)).then(stage)
    }

    fn see_found(&self, state: &mut State, found: &[Found<u32>]) {
        for found in found {
            state.see(match found.reading {
                Reading::Fresh(_) | Reading::Early(_) => Fresh,
                Reading::Stale(_) => Stale,
                Reading::Grace(_) | Reading::Missing => Missing,
            });
        }
    }

    fn see_end(&self, order: &Order) {
        let seen = match order {
            Order::Succeed(_) => Success,
            Order::Fail | Order::Answer => Fails,
            Order::Panic => Panics,
            Order::Go | Order::Request(_) => return,
        };
        self.world.change(|state| state.see(seen));
    }
}

impl<const IS_TASK: bool> Port for ScriptedPort<IS_TASK> {
    type Value = u32;
    type Error = Failure;

    const ROLE: Role = if IS_TASK { Role::Task } else { Role::Thread };

    fn gates(&self) -> &Arc<Gates> {
        &self.world.gates
    }

    fn key(&self, place: usize) -> GateKey<'_> {
        let key = self.call.keys[place];
        GateKey { store_key: key, key, region: &self.world.region, leader: &self.leader }
    }

    fn leader(&self) -> &Leader {
        &self.leader
    }

    fn now(&self) -> Instant {
        self.world.look(|state| state.now)
    }

    fn sleep_until(&self, time: Instant) -> impl Future<Output = ()> {
        let now = self.now();
        let end = *self.waits_since.get_or_init(|| now) + self.call.policy.creation_wait_timeout;
        async move {
            self.world.look(|state| state.see(Waiter));
            self.time.sleep_until(time).await;
            if time >= end {
                self.world.look(|state| state.see(WaitLimit));
            }
        }
    }

    fn policy(&self) -> &Policy {
        &self.call.policy
    }

    async fn read(&mut self, places: &[usize]) -> Result<Vec<Found<u32>>, Failure> {
        let (name, is_first) = (self.name(), self.reads == 0);
        self.reads += 1;
        self.world.look(|state| state.caller(name).reads += 1);
        self.world.pass(name, if is_first { Point::Reading } else { Point::Rereading }).await;
        self.world.look(|state| {
            if !is_first && state.rereads_fail {
                state.see(ReadFails);
                return Err(Failure::Read);
            }
            let found: Vec<_> = self.keys(places).map(|key| self.find(state, key)).collect();
            if is_first {
                self.see_found(state, &found);
            }
            Ok(found)
        })
    }

    fn mutex(&self, place: usize) -> Option<HeldMutex> {
        self.world.mutex(self.call.keys[place])
    }

    async fn acquire(&mut self, mutex: &HeldMutex, until: Option<Instant>) -> Result<bool, BackendError> {
        self.world.look(|state| state.see(Leader));
        match until {
            Some(until) => self.world.acquire(self.name(), mutex, until).await,
            None => mutex.try_acquire(),
        }
    }

    fn is_lost(&self, mutex: &HeldMutex) -> bool {
        mutex.is_lost()
    }

    async fn unlock(&mut self, _place: usize, mutex: HeldMutex) {
        mutex.release().expect("a scripted mutex is released without failure");
    }

    fn began(&self) -> CreationTime {
        made_at(self.world.look(|state| state.wall))
    }

    async fn create(
        &mut self,
        wanted: Vec<Wanted<u32>>,
        until: Option<Instant>,
    ) -> Result<Vec<Made<u32>>, Failure> {
        let keys: Vec<Key> = wanted.iter().map(|wanted| self.call.keys[wanted.place]).collect();
        self.world.look(|state| {
            state.created.extend(keys);
            state.see(Leader);
        });
        loop {
            let order = self.world.order(self.name(), Point::Creating);
            // A thread's creator is not interrupted.
            let end = until.filter(|_| IS_TASK);
            let order = match end {
                Some(end) => unless(order, self.time.sleep_until(end)).await,
                None => Some(order.await),
            };
            let Some(order) = order else { return Err(Failure::TimedOut) };
            self.see_end(&order);
            match order {
                Order::Succeed(value) => {
                    let terms = Terms { is_stored: self.call.is_cacheable, ..Terms::STORED };
                    return Ok(wanted.iter().map(|_| Made { value, terms }).collect());
                }
                Order::Fail => return Err(Failure::Creator),
                Order::Answer => return Err(Failure::Answer),
                Order::Panic => resume_unwind(Box::new(PANICKED)),
                Order::Request(call) => request(&self.world, *call).await,
                Order::Go => {}
            }
        }
    }

    async fn store(&mut self, values: Vec<Storing<'_, u32>>, began: CreationTime) -> Vec<usize> {
        self.world.pass(self.call.name, Point::Storing).await;
        self.world.look(|state| {
            if state.stores_fail {
                state.see(StoreFails);
                return Vec::new();
            }
            let began = began.as_seconds();
            let made = if state.is_valid(began) { state.wall } else { began };
            state.stores += values.len();
            let entries =
                values.iter().map(|storing| (self.call.keys[storing.place], (storing.made.value, made)));
            state.stored.extend(entries);
            values.iter().map(|storing| storing.place).collect()
        })
    }

    fn is_valid(&self, _place: usize, began: CreationTime) -> bool {
        self.world.look(|state| state.is_valid(began.as_seconds()))
    }

    fn is_fresh(&self, _place: usize, metadata: &Metadata) -> bool {
        self.world.look(|state| state.is_fresh(metadata.creation_time.as_seconds()))
    }

    fn creates_in_background(&self) -> bool {
        self.call.is_background
    }

    fn hand_over(&mut self, creations: Vec<(usize, Queued)>) {
        let creations = creations.into_iter().map(|(place, queued)| (self.call.keys[place], queued));
        self.world.change(|state| state.queue.extend(creations));
    }

    fn shared_failure(&self, error: &Failure, places: &[usize], age: Duration) -> Option<SharedFailure> {
        let keys: Vec<Key> = self.keys(places).collect();
        let is_shared = self.call.shares_failures && matches!(error, Failure::Creator);
        is_shared.then(|| SharedFailure::new(&"region".into(), keys.join(","), error.to_string(), age))
    }

    fn lock_error(&self, _place: usize, error: LockError) -> Failure {
        Failure::Lock(error)
    }

    fn timed_out(&self, _place: usize, _limit: Duration) -> Failure {
        Failure::TimedOut
    }

    fn may_rescue(&self, place: usize, metadata: &Metadata) -> bool {
        self.world.look(|state| {
            let made = metadata.creation_time.as_seconds();
            let stage = self.stage(state, self.call.keys[place], made);
            let (fail_safe, age) = (self.call.policy.fail_safe, state.wall - made);
            match stage {
                Some(Stage::Fresh | Stage::Early) => true,
                Some(Stage::Stale | Stage::Grace) => age <= fail_safe.max_age.as_secs_f64(),
                Some(Stage::TooOld) | None => false,
            }
        })
    }

    fn may_serve_stale(&self, place: usize, metadata: &Metadata) -> bool {
        self.world.look(|state| {
            let stage = self.stage(state, self.call.keys[place], metadata.creation_time.as_seconds());
            matches!(stage, Some(Stage::Fresh | Stage::Early | Stage::Stale))
        })
    }

    fn is_outage(&self, error: &Failure) -> bool {
        matches!(error, Failure::Creator | Failure::TimedOut)
    }

    fn report_rescue(&self, places: &[usize], error: &Failure) {
        let keys: Vec<Key> = self.keys(places).collect();
        self.world.change(|state| state.reports.push(format!("rescued {}: {error}", keys.join(","))));
    }

    fn failure(&self, failure: SharedFailure) -> Failure {
        Failure::Shared(failure)
    }

    fn report(&self, report: Report<'_>) {
        let key = |place: usize| self.call.keys[place];
        let text = match report {
            Report::MutexFailed { place, .. } => format!("mutex failed: {}", key(place)),
            Report::WithoutMutex { place } => format!("without mutex: {}", key(place)),
            Report::LeaseLost { place } => format!("lease lost: {}", key(place)),
            Report::Superseded { place } => format!("superseded: {}", key(place)),
            Report::Waited { .. } | Report::RefreshesEarly { .. } => return,
            Report::LongWait { creation } => {
                let CreationInfo { key, leader, age, waiters, .. } = creation;
                format!("long wait: {leader} creates {key} for {age:?}, {waiters} wait")
            }
        };
        self.world.change(|state| state.reports.push(text));
    }
}

/// Makes a call within a creator.
async fn request(world: &Arc<World>, call: Call) {
    let name = call.name;
    let outcome = if world.is_tasks {
        task(world, call).await
    } else {
        blocking::drive(ScriptedPort::<false>::new(world, call).get())
    };
    world.finish(name, outcome);
}

/// Makes a call as a task: boxed, because a creator may make another call.
pub(super) fn task(world: &Arc<World>, call: Call) -> Pin<Box<dyn Future<Output = String> + Send>> {
    Box::pin(asynchronous::drive(ScriptedPort::<true>::new(world, call).get()))
}
