//! [`Call`]: a call of a region with a creator, as the protocol's port.

use std::borrow::Cow;
use std::fmt;
use std::future::pending;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CreationTime, ErrorKind, Metadata};
use parking_lot::Mutex;

use super::call_key::CallKey;
use super::configured::Configured;
use super::creator::{Creator, CreatorCall};
use super::front_end::FrontEnd;
use super::release::release_later;
use super::store_writes::Write;
use super::stores::Encoded;
use super::warn::Concerns;
use super::warnings::Warning;
use super::work::Working;
use crate::decision::{may_rescue, stamp};
use crate::engine::{
    Batch, Elsewhere, Found, GateKey, Gates, HeldMutex, Leader, Limits, LockError, Made, Port, Queued,
    Report, Role, Settled, SharedFailure, Slot, StoreInProgress, Storing, Wanted, settle, unless,
};
use crate::error::{CreateError, RegionError};
use crate::log_targets::{CREATION, REGION};
use crate::observe::{EventKind, Spans, within};
use crate::outage::was_refused;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::shorten::Shortened;
use crate::value::CacheValue;

/// A call that found no fresh value of at least one key.
pub(super) struct Call<'a, T, C: Creator<T>, F> {
    front: F,
    pub(super) current: &'a Arc<Configured>,
    /// The gates of this process. A creator that forks returns in the child, too, and the call ends there as it began.
    gates: &'a Arc<Gates>,
    pub(super) keys: Vec<CallKey<'a>>,
    pub(super) policy: Policy,
    /// Never locked. No other code has the call of a waiting task, but the compiler does not know.
    pub(super) creator: Mutex<C>,
    owned: Option<Owned<T, C, F>>,
    /// Whether the creator owns what it uses, so that its caller can leave it.
    is_owned: bool,
    pub(super) leader: Leader,
    /// Whether the backend timed out during this call. Its mutexes are then released in the background.
    has_timed_out: bool,
    /// The spans within which the creator runs.
    pub(super) spans: Option<Spans>,
    values: PhantomData<fn() -> T>,
    _working: Working,
}

/// What a call can do whose creator owns what it uses.
pub(super) struct Owned<T, C: Creator<T>, F> {
    /// Gives creations to the runner.
    pub(super) queue: Queue<T, C, F>,
    /// Gives a batch to the runner, and waits for it.
    pub(super) create: Create<T, C, F>,
}

/// Created values in their stored form.
#[derive(Default)]
struct ToStore {
    entries: Vec<(String, Encoded)>,
    in_progress: Vec<StoreInProgress>,
}

type Queue<T, C, F> = fn(&mut Call<'_, T, C, F>, Vec<(usize, Queued)>);

type Create<T, C, F> = for<'a> fn(
    &mut Call<'a, T, C, F>,
    Batch<T>,
    Limits,
    &dyn Fn(&Call<'a, T, C, F>) -> bool,
) -> Elsewhere<T, CreateError<<C as Creator<T>>::Error>>;

impl<'a, T: CacheValue, C: Creator<T>, F: FrontEnd> Call<'a, T, C, F> {
    pub(super) fn new(
        front: F,
        current: &'a Arc<Configured>,
        keys: Vec<CallKey<'a>>,
        policy: Policy,
        creator: C,
        owned: Option<Owned<T, C, F>>,
    ) -> Self {
        let (gates, leader) = (current.stores.gates.get(), front.leader());
        let creator = Mutex::new(creator);
        Call {
            front,
            current,
            gates,
            keys,
            policy,
            creator,
            is_owned: owned.is_some() && current.runner.is_some(),
            owned,
            leader,
            has_timed_out: false,
            spans: None,
            values: PhantomData,
            _working: current.stores.bottom.access.work.begin(),
        }
    }

    /// Records that the caller can leave the creator, because another caller waits for it.
    pub(super) fn owning(mut self) -> Self {
        self.is_owned = true;
        self
    }

    /// Has the creator run within `spans`.
    pub(super) fn within(mut self, spans: Option<Spans>) -> Self {
        self.spans = spans;
        self
    }

    /// Warns once if the region has a setting that this call cannot honor.
    fn warn_if_borrowing(&self) {
        let is_task = F::ROLE == Role::Task;
        let Some(setting) = self.policy.needs_owner(is_task).filter(|_| !self.is_owned) else { return };
        if !self.current.has_warned.swap(true, Relaxed) {
            let call = if is_task { "detach()" } else { "background(), and set async_creation_runner" };
            tracing::warn!(
                target: REGION,
                region = &*self.current.region,
                setting,
                "{setting} has less effect on a creator that borrows: the call waits for it; use options().{call}"
            );
        }
    }

    /// Returns the values of all keys, for a caller that found `slots`.
    #[cold]
    pub(super) async fn run(
        &mut self,
        mut slots: Vec<Slot<T>>,
    ) -> Result<Vec<Settled<T>>, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        self.warn_if_borrowing();
        if !self.current.stores.bottom.capabilities.stores {
            // The backend stores nothing, so waiting for another creator cannot help. Create right away.
            let wanted = (0..self.keys.len()).map(|place| Wanted { place, old: None }).collect();
            let until = self.policy.creator_timeout.hard.map(|limit| self.front.now() + limit);
            let made = F::apart(self.create(wanted, until)).await?;
            return Ok(made.into_iter().map(|made| Settled::created(made.value, false)).collect());
        }
        settle(self, &mut slots).await?;
        let settled =
            slots.into_iter().map(|slot| slot.into_settled().expect("the protocol settles all slots"));
        Ok(self.judged(settled.collect()))
    }

    /// Marks new values that the call got without its backend.
    pub(super) fn judged(&self, mut values: Vec<Settled<T>>) -> Vec<Settled<T>> {
        if self.policy.skips_backend {
            let is_new =
                |settled: &&mut Settled<T>| !matches!(settled.outcome, Outcome::Stale | Outcome::FailSafe);
            values.iter_mut().filter(is_new).for_each(|settled| settled.outcome = Outcome::Degraded);
        }
        values
    }

    /// Passes on something that concerns the keys at `places`.
    fn note(&self, places: &[usize], kind: EventKind<'_>) {
        if self.current.watch.is_on() {
            let keys: Vec<&str> = places.iter().map(|place| &*self.keys[*place].key).collect();
            self.current.watch.note(&keys, kind);
        }
    }

    async fn call_creator(&mut self, wanted: Vec<Wanted<T>>) -> Result<Vec<Made<T>>, CreateError<C::Error>> {
        let began = self.current.clock.stamp();
        let keys: Vec<&str> = wanted.iter().map(|wanted| &*self.keys[wanted.place].key).collect();
        let call = CreatorCall { region: &self.current.region, keys: &keys, now: began };
        let olds = wanted.into_iter().map(|wanted| wanted.old).collect();
        let made = self.creator.get_mut().create(&call, olds).await?;
        self.current.log_created(began, &keys);
        Ok(made)
    }

    /// Records whether the backend timed out.
    fn note_timeout(&mut self, error: Option<&BackendError>) {
        self.has_timed_out |= error.is_some_and(|error| error.kind() == ErrorKind::Timeout);
    }

    fn shown_all(&self, places: &[usize]) -> String {
        let keys: Vec<&str> = places.iter().map(|place| &*self.keys[*place].key).collect();
        match keys[..] {
            [key] if !C::IS_MULTI => Shortened(key).to_string(),
            _ => Shortened(&keys).to_string(),
        }
    }

    fn timed_out_all(&self, places: &[usize], limit: Duration) -> RegionError {
        let (region, key) = (self.current.region.to_string(), self.shown_all(places));
        RegionError::CreatorTimedOut { region, key, limit }
    }

    fn shown(&self, place: usize) -> Shortened<&str> {
        Shortened(&*self.keys[place].key)
    }

    /// Returns the places of those of `values` that can be serialized, and what is to be stored for them.
    fn encode_all(&self, values: Vec<Storing<'_, T>>, began: CreationTime) -> (Vec<usize>, ToStore) {
        let ended = self.current.clock.stamp();
        let (mut places, mut to_store) = (Vec::with_capacity(values.len()), ToStore::default());
        for storing in values {
            match self.encode(&storing, began, ended) {
                Ok(encoded) => {
                    places.push(storing.place);
                    to_store.entries.push((self.keys[storing.place].mangled.to_string(), encoded));
                    to_store.in_progress.extend(storing.in_progress);
                }
                Err(error) => {
                    self.note(&[storing.place], EventKind::NotSerialized);
                    self.log_not_stored(&[storing.place], &error);
                }
            }
        }
        (places, to_store)
    }

    async fn store_all(&mut self, to_store: ToStore) -> Result<(), RegionError> {
        let ToStore { mut entries, in_progress } = to_store;
        let stores = &self.current.stores;
        let mut write = Write::of_created(&mut self.policy, &self.current.clock);
        match entries.pop() {
            Some((mangled, encoded)) if !C::IS_MULTI => {
                stores.set(self.front, &mangled, encoded, in_progress, &mut write).await
            }
            Some(last) => {
                entries.push(last);
                stores.set_multi(self.front, entries, in_progress, &mut write).await
            }
            None => Ok(()),
        }
    }

    fn encode(
        &self,
        storing: &Storing<'_, T>,
        began: CreationTime,
        ended: CreationTime,
    ) -> Result<Encoded, RegionError> {
        let Storing { place, made, fence, .. } = storing;
        let CallKey { key, mangled, .. } = &self.keys[*place];
        let metadata = stamp(mangled, made.terms.metadata(began), ended, &*self.current.strategy);
        let mut encoded = self.current.stores.encode(key, Cow::Borrowed(&made.value), &metadata)?;
        encoded.options.fence.clone_from(fence);
        encoded.options.keep_for = self.current.keep_for(made.terms.expires_after, &self.policy);
        Ok(encoded)
    }

    #[cold]
    fn log_not_stored(&self, places: &[usize], error: &RegionError) {
        if error.backend_error().is_some_and(was_refused) {
            return;
        }
        let key = self.shown_all(places);
        let concerns = Concerns::key(&key).because(error, error.backend_error());
        self.current.warn(Warning::NotStored, concerns);
    }
}

impl<T, C, F> Port for Call<'_, T, C, F>
where
    T: CacheValue,
    C: Creator<T>,
    F: FrontEnd,
    C::Error: fmt::Display,
{
    type Value = T;
    type Error = CreateError<C::Error>;

    const ROLE: Role = F::ROLE;
    const SEES_OLD: bool = C::SEES_OLD;

    fn apart<P: Future>(part: P) -> impl Future<Output = P::Output> {
        F::apart(part)
    }

    fn gates(&self) -> &Arc<Gates> {
        self.gates
    }

    fn key(&self, place: usize) -> GateKey<'_> {
        let key = &self.keys[place];
        GateKey {
            store_key: key.store_key(),
            key: &key.key,
            region: &self.current.region,
            leader: &self.leader,
        }
    }

    fn leader(&self) -> &Leader {
        &self.leader
    }

    fn now(&self) -> Instant {
        self.front.now()
    }

    fn sleep_until(&self, time: Instant) -> impl Future<Output = ()> {
        self.front.sleep_until(time)
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    async fn read(&mut self, places: &[usize]) -> Result<Vec<Found<T>>, CreateError<C::Error>> {
        let mangled: Vec<&str> = places.iter().map(|place| &*self.keys[*place].mangled).collect();
        let found = match mangled[..] {
            [mangled] if !C::IS_MULTI => {
                let found = self.current.read_bottom(self.front, mangled, &mut self.policy).await;
                found.map(|found| vec![found])
            }
            _ => self.current.read_bottom_multi(self.front, &mangled, &mut self.policy).await,
        };
        self.note_timeout(found.as_ref().err().and_then(RegionError::backend_error));
        Ok(found?)
    }

    fn mutex(&self, place: usize) -> Option<HeldMutex> {
        if self.policy.skips_backend {
            return None;
        }
        self.current.stores.bottom.backend.get_mutex(&self.keys[place].mangled)
    }

    async fn acquire(&mut self, mutex: &HeldMutex, until: Option<Instant>) -> Result<bool, BackendError> {
        let acquired = self.current.stores.bottom.acquire(self.front, mutex, until).await;
        self.note_timeout(acquired.as_ref().err());
        acquired
    }

    fn go_on_without_mutex(&mut self, error: BackendError) -> Result<(), BackendError> {
        self.current.stores.bottom.go_on_without(&mut self.policy, "acquire", error)
    }

    fn is_lost(&self, mutex: &HeldMutex) -> bool {
        mutex.is_lost()
    }

    async fn unlock(&mut self, place: usize, mutex: HeldMutex) {
        if self.has_timed_out || self.policy.skips_backend || self.current.stores.bottom.guard.is_open() {
            // The caller has waited long enough.
            return release_later(mutex, self.current.stores.bottom.access.work.begin());
        }
        if let Err(error) = self.current.stores.bottom.release(self.front, mutex).await {
            self.note_timeout(Some(&error));
            // The value is stored. A failed release deserves a warning, but the caller still gets the value.
            let key = self.shown(place);
            self.current.warn(Warning::NotReleased, Concerns::key(&key).because(&error, Some(&error)));
        }
    }

    fn began(&self) -> CreationTime {
        self.current.clock.stamp()
    }

    async fn create(
        &mut self,
        wanted: Vec<Wanted<T>>,
        until: Option<Instant>,
    ) -> Result<Vec<Made<T>>, CreateError<C::Error>> {
        let places: Vec<usize> = wanted.iter().map(|wanted| wanted.place).collect();
        let front = self.front;
        // A thread's creator is never pending, so that it is not interrupted.
        let limit = async {
            match until {
                Some(until) => front.sleep_until(until).await,
                None => pending().await,
            }
        };
        let began = self.current.watch.is_on().then(Instant::now);
        let spans = self.spans.clone();
        let created = {
            let mut creating = pin!(self.call_creator(wanted));
            unless(within(spans.as_ref(), creating.as_mut()), limit).await
        };
        if let Some(began) = began {
            let succeeded = matches!(created, Some(Ok(_)));
            self.note(&places, EventKind::Creation { took: began.elapsed(), succeeded });
        }
        let limit = self.policy.creator_timeout.hard.unwrap_or_default();
        created.unwrap_or_else(|| Err(self.timed_out_all(&places, limit).into()))
    }

    async fn store(&mut self, values: Vec<Storing<'_, T>>, began: CreationTime) -> Vec<usize> {
        let (places, to_store) = self.encode_all(values, began);
        let stored = self.store_all(to_store).await;
        if let Err(error) = &stored {
            self.note_timeout(error.backend_error());
            self.log_not_stored(&places, error);
        }
        // A call that goes on without its backend has stored nothing, and the outage is logged already.
        if stored.is_err() || self.policy.skips_backend {
            if !places.is_empty() {
                self.note(&places, EventKind::NotStored);
            }
            return Vec::new();
        }
        places
    }

    fn is_valid(&self, place: usize, began: CreationTime) -> bool {
        self.current.is_valid(&self.keys[place].mangled, began)
    }

    fn is_fresh(&self, place: usize, metadata: &Metadata) -> bool {
        self.current.is_fresh(&self.keys[place].mangled, metadata, &self.policy)
    }

    fn may_rescue(&self, place: usize, metadata: &Metadata) -> bool {
        may_rescue(&self.keys[place].mangled, metadata, &self.policy, &self.current.clock)
    }

    fn may_serve_stale(&self, place: usize, metadata: &Metadata) -> bool {
        self.current.may_serve_stale(&self.keys[place].mangled, metadata, &self.policy)
    }

    fn is_outage(&self, error: &Self::Error) -> bool {
        match error {
            CreateError::Creator(_) | CreateError::Region(RegionError::CreatorTimedOut { .. }) => true,
            CreateError::Region(_) | CreateError::Shared(_) => false,
        }
    }

    fn report_rescue(&self, places: &[usize], error: &Self::Error) {
        let key = self.shown_all(places);
        self.current.warn(Warning::OldValueServed, Concerns::key(&key).because_of(error));
    }

    fn creates_in_background(&self) -> bool {
        self.owned.is_some() && self.current.runner.is_some()
    }

    fn hand_over(&mut self, creations: Vec<(usize, Queued)>) {
        if let Some(queue) = self.owned.as_ref().map(|owned| owned.queue) {
            queue(self, creations);
        }
    }

    fn creates_elsewhere(&self) -> bool {
        self.creates_in_background()
    }

    fn create_elsewhere(
        &mut self,
        batch: Batch<T>,
        limits: Limits,
        may_leave: &dyn Fn(&Self) -> bool,
    ) -> Elsewhere<T, Self::Error> {
        match self.owned.as_ref().map(|owned| owned.create) {
            Some(create) => create(self, batch, limits, may_leave),
            None => Elsewhere::Back(batch),
        }
    }

    fn shared_failure(&self, error: &Self::Error, places: &[usize], age: Duration) -> Option<SharedFailure> {
        let CreateError::Creator(error) = error else { return None };
        if !self.policy.shares_failures() {
            return None;
        }
        let key = self.shown_all(places);
        Some(SharedFailure::new(&self.current.region, key, format!("{error:#}"), age))
    }

    fn must_not_wait_for_tasks(&self) -> bool {
        self.front.must_not_wait_for_tasks()
    }

    fn lock_error(&self, place: usize, source: LockError) -> Self::Error {
        let (region, key) = (self.current.region.to_string(), self.shown(place).to_string());
        RegionError::Lock { region, key, source }.into()
    }

    fn timed_out(&self, place: usize, limit: Duration) -> Self::Error {
        self.timed_out_all(&[place], limit).into()
    }

    fn failure(&self, failure: SharedFailure) -> Self::Error {
        CreateError::Shared(failure)
    }

    fn report(&self, report: Report<'_>) {
        let region = &*self.current.region;
        match report {
            Report::Waited { place, took } => self.note(&[place], EventKind::Wait { took }),
            Report::RefreshesEarly { place } => self.note(&[place], EventKind::Early),
            Report::MutexFailed { error, .. } if was_refused(error) => {}
            Report::MutexFailed { place, error } => {
                let key = self.shown(place);
                self.current.warn(Warning::MutexFailed, Concerns::key(&key).because(error, Some(error)));
            }
            Report::WithoutMutex { place } => {
                self.current.warn(Warning::WithoutMutex, Concerns::key(&self.shown(place)));
            }
            Report::LeaseLost { place } => {
                self.note(&[place], EventKind::LeaseLost);
                self.current.warn(Warning::LeaseLost, Concerns::key(&self.shown(place)));
            }
            Report::Superseded { place } => {
                self.note(&[place], EventKind::Superseded);
                tracing::debug!(
                    target: CREATION,
                    region,
                    key = %self.shown(place),
                    "the key was set or deleted during its creation; the created value is returned but not stored"
                );
            }
            Report::LongWait { creation } => {
                let Some(suppressed) = self.current.may_warn(Warning::LongWait) else { return };
                tracing::warn!(
                    target: CREATION,
                    region,
                    key = %Shortened(&creation.key),
                    leader = creation.leader,
                    age = ?creation.age,
                    waiters = creation.waiters,
                    suppressed,
                    "callers have been waiting for a creation for some seconds"
                );
            }
        }
    }
}
