//! [`Call`]: a call of a region with a creator, as the protocol's port.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CachedValue, CreationTime, Metadata};

use super::configured::Configured;
use super::creator::{Creator, OwnedCreator};
use crate::caller::this_thread;
use crate::engine::blocking::{drive, sleep_until};
use crate::engine::{
    Created, Found, GateKey, Gates, HeldMutex, Led, LockError, Need, Port, Queued, Report, Role,
    SharedFailure, Slot, create_led, settle,
};
use crate::error::{CreateError, RegionError};
use crate::runner::Creation;
use crate::shorten::Shortened;
use crate::value::CacheValue;

/// A call that found no fresh value of at least one key.
pub(super) struct Call<'a, T, C> {
    current: &'a Arc<Configured>,
    keys: Vec<CallKey<'a>>,
    limit: Option<Duration>,
    creator: C,
    hand_over: Option<HandOver<T, C>>,
    leader: Arc<str>,
    values: PhantomData<fn() -> T>,
}

/// Gives creations to the runner: set only if the creator owns what it uses.
pub(super) type HandOver<T, C> = fn(&mut Call<'_, T, C>, Vec<(usize, Queued)>);

/// A key in its three forms.
pub(super) struct CallKey<'a> {
    /// As the caller gave it.
    pub(super) key: Cow<'a, str>,
    /// As the backend is given it.
    pub(super) mangled: Cow<'a, str>,
    /// As the bottom store knows it.
    store_key: Option<String>,
}

impl<'a> CallKey<'a> {
    pub(super) fn new(current: &Configured, key: &'a str, mangled: Cow<'a, str>) -> Self {
        let store_key = match current.store_key(&mangled) {
            Cow::Borrowed(_) => None,
            Cow::Owned(renamed) => Some(renamed),
        };
        CallKey { key: Cow::Borrowed(key), mangled, store_key }
    }

    fn to_owned(&self) -> CallKey<'static> {
        let CallKey { key, mangled, store_key } = self;
        let owned = |text: &str| Cow::Owned(text.to_owned());
        CallKey { key: owned(key), mangled: owned(mangled), store_key: store_key.clone() }
    }

    fn store_key(&self) -> &str {
        self.store_key.as_deref().unwrap_or(&self.mangled)
    }
}

impl<'a, T: CacheValue, C: Creator<T>> Call<'a, T, C> {
    pub(super) fn new(
        current: &'a Arc<Configured>,
        keys: Vec<CallKey<'a>>,
        limit: Option<Duration>,
        creator: C,
        hand_over: Option<HandOver<T, C>>,
    ) -> Self {
        Call { current, keys, limit, creator, hand_over, leader: this_thread(), values: PhantomData }
    }

    /// Returns the values of all keys, for a caller that found `slots`.
    #[cold]
    pub(super) fn run(mut self, mut slots: Vec<Slot<T>>) -> Result<Vec<T>, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        if !self.current.capabilities.stores {
            // The backend stores nothing, so waiting for another creator cannot help. Create right away.
            let places: Vec<usize> = (0..self.keys.len()).collect();
            return Ok(self.call_creator(&places)?.into_iter().map(|created| created.value).collect());
        }
        drive(settle(&mut self, &mut slots))?;
        let values = slots.into_iter().map(|slot| match slot.need {
            Need::Settled(value) => value,
            Need::Stale(_) | Need::Missing => unreachable!("the protocol settles all slots"),
        });
        Ok(values.collect())
    }

    fn call_creator(&mut self, places: &[usize]) -> Result<Vec<Created<T>>, CreateError<C::Error>> {
        let began = self.current.clock.stamp();
        let keys: Vec<&str> = places.iter().map(|place| &*self.keys[*place].key).collect();
        let created = self.creator.create(&self.current.region, &keys)?;
        self.current.log_created(began, &keys);
        Ok(created)
    }

    fn find(&self, key: &str, stored: Option<CachedValue>) -> Found<T> {
        let made = stored.as_ref().map(|stored| stored.metadata.creation_time);
        Found { reading: self.current.judge_found(key, stored, self.limit), made }
    }

    fn shown(&self, place: usize) -> Shortened<&str> {
        Shortened(&*self.keys[place].key)
    }

    /// Stores those of `values` that can be serialized.
    fn store_all(&self, values: &[(usize, &T)], made: CreationTime) -> Result<(), RegionError> {
        let encode = |(place, value): &(usize, &T)| {
            let CallKey { key, mangled, .. } = &self.keys[*place];
            match self.current.encode(key, Cow::Borrowed(*value), made) {
                Ok(stored) => Some((mangled.to_string(), stored)),
                Err(error) => {
                    self.log_not_stored(&error);
                    None
                }
            }
        };
        let mut entries: Vec<(String, CachedValue)> = values.iter().filter_map(encode).collect();
        match entries.pop() {
            Some((mangled, stored)) if !C::IS_MULTI => self.current.store(&mangled, stored),
            Some(last) => {
                entries.push(last);
                self.current.store_multi(entries)
            }
            None => Ok(()),
        }
    }

    #[cold]
    fn log_not_stored(&self, error: &RegionError) {
        let (region, error) = (&*self.current.region, error as &(dyn std::error::Error + 'static));
        tracing::warn!(region, error, "a created value was not stored; its caller gets it all the same");
    }
}

impl<T, C> Port for Call<'_, T, C>
where
    T: CacheValue,
    C: Creator<T>,
    C::Error: fmt::Display,
{
    type Value = T;
    type Error = CreateError<C::Error>;

    const ROLE: Role = Role::Thread;

    fn gates(&self) -> &Arc<Gates> {
        &self.current.gates
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

    fn leader(&self) -> &Arc<str> {
        &self.leader
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, time: Instant) -> impl Future<Output = ()> {
        sleep_until(time)
    }

    fn wait_limit(&self) -> Duration {
        self.current.creation_wait_timeout
    }

    async fn read(&mut self, places: &[usize]) -> Result<Vec<Found<T>>, CreateError<C::Error>> {
        let current = self.current;
        if let ([place], false) = (places, C::IS_MULTI) {
            let mangled = &*self.keys[*place].mangled;
            return Ok(vec![self.find(mangled, current.fetch(mangled)?)]);
        }
        let mangled: Vec<&str> = places.iter().map(|place| &*self.keys[*place].mangled).collect();
        let stored = current.fetch_multi(&mangled)?;
        Ok(mangled.iter().zip(stored).map(|(mangled, stored)| self.find(mangled, stored)).collect())
    }

    fn mutex(&self, place: usize) -> Option<HeldMutex> {
        self.current.backend.get_mutex(&self.keys[place].mangled)
    }

    async fn acquire(&mut self, mutex: &HeldMutex, until: Option<Instant>) -> Result<bool, BackendError> {
        match until {
            Some(deadline) => mutex.acquire_until(deadline),
            None => mutex.try_acquire(),
        }
    }

    fn is_lost(&self, mutex: &HeldMutex) -> bool {
        mutex.is_lost()
    }

    async fn unlock(&mut self, place: usize, mutex: HeldMutex) {
        if let Err(error) = mutex.release() {
            // The value is stored. A failed release deserves a warning, but the caller still gets the value.
            let (region, error) = (&*self.current.region, &error as &(dyn std::error::Error + 'static));
            tracing::warn!(region, key = %self.shown(place), error, "the mutex of a creator could not be released");
        }
    }

    fn began(&self) -> CreationTime {
        self.current.clock.stamp()
    }

    async fn create(&mut self, places: &[usize]) -> Result<Vec<Created<T>>, CreateError<C::Error>> {
        self.call_creator(places)
    }

    async fn store(&mut self, values: Vec<(usize, &T)>, began: CreationTime) {
        let made = crate::decision::stamp(began, &*self.current.strategy, &*self.current.clock);
        if let Err(error) = self.store_all(&values, made) {
            self.log_not_stored(&error);
        }
    }

    fn is_valid(&self, began: CreationTime) -> bool {
        self.current.is_valid(began)
    }

    fn is_fresh(&self, made: CreationTime) -> bool {
        self.current.is_fresh(&Metadata::new(made), self.limit)
    }

    fn creates_in_background(&self) -> bool {
        self.hand_over.is_some() && self.current.runner.is_some()
    }

    fn hand_over(&mut self, creations: Vec<(usize, Queued)>) {
        if let Some(hand_over) = self.hand_over {
            hand_over(self, creations);
        }
    }

    fn shared_failure(&self, error: &Self::Error, places: &[usize], age: Duration) -> Option<SharedFailure> {
        let CreateError::Creator(error) = error else { return None };
        if !self.current.shares_failures {
            return None;
        }
        let keys: Vec<&str> = places.iter().map(|place| &*self.keys[*place].key).collect();
        let key = if C::IS_MULTI { Shortened(&keys).to_string() } else { self.shown(places[0]).to_string() };
        Some(SharedFailure::new(&self.current.region, key, format!("{error:#}"), age))
    }

    fn lock_error(&self, place: usize, source: LockError) -> Self::Error {
        let (region, key) = (self.current.region.to_string(), self.shown(place).to_string());
        RegionError::Lock { region, key, source }.into()
    }

    fn failure(&self, failure: SharedFailure) -> Self::Error {
        CreateError::Shared(failure)
    }

    fn report(&self, report: Report<'_>) {
        let region = &*self.current.region;
        match report {
            Report::MutexFailed { place, error } => {
                let error = error as &(dyn std::error::Error + 'static);
                tracing::warn!(region, key = %self.shown(place), error, "the mutex failed; the old value is served");
            }
            Report::WithoutMutex { place } => tracing::warn!(
                region,
                key = %self.shown(place),
                "a creator requested a key that another process is creating; it creates the key as well, because the \
                 other process may be waiting for it"
            ),
            Report::LeaseLost { place } => tracing::warn!(
                region,
                key = %self.shown(place),
                "the lock of a creator expired while it ran; its value is returned but not stored"
            ),
            Report::Superseded { place } => tracing::debug!(
                region,
                key = %self.shown(place),
                "the key was set or deleted during its creation; the created value is returned but not stored"
            ),
            Report::LongWait { creation } => tracing::warn!(
                region,
                key = %Shortened(&creation.key),
                leader = creation.leader,
                age = ?creation.age,
                waiters = creation.waiters,
                "callers have been waiting for a creation for some seconds"
            ),
        }
    }
}

/// Gives creations to the region's runner.
pub(super) fn to_runner<T, C>(call: &mut Call<'_, T, C>, creations: Vec<(usize, Queued)>)
where
    T: CacheValue,
    C: OwnedCreator<T>,
    C::Error: fmt::Debug + fmt::Display + 'static,
{
    let (Some(runner), Some(creator)) = (&call.current.runner, call.creator.detach()) else { return };
    let (current, limit) = (Arc::clone(call.current), call.limit);
    let (mut keys, mut queued) = (Vec::new(), Vec::new());
    for (place, creation) in creations {
        keys.push(call.keys[place].to_owned());
        queued.push(creation);
    }
    let names: Vec<String> = keys.iter().map(|key| key.key.to_string()).collect();
    runner.run(Creation::new(Arc::clone(&current.region), names, move || {
        create_queued(&current, keys, limit, creator, queued);
    }));
}

/// Creates, on a runner's thread, the keys that no caller took over.
fn create_queued<T, C>(
    current: &Arc<Configured>,
    keys: Vec<CallKey<'static>>,
    limit: Option<Duration>,
    creator: C,
    queued: Vec<Queued>,
) where
    T: CacheValue,
    C: OwnedCreator<T>,
    C::Error: fmt::Debug + fmt::Display + 'static,
{
    let mut call = Call::new(current, keys, limit, creator, None);
    let leads = |(place, queued): (usize, Queued)| {
        queued.begin(&call.leader, Instant::now()).map(|leadership| Led { place, leadership })
    };
    let led: Vec<Led> = queued.into_iter().enumerate().filter_map(leads).collect();
    let names: Vec<String> = led.iter().map(|led| call.keys[led.place].key.to_string()).collect();
    if let Err(error) = drive(create_led(&mut call, led)) {
        let (region, error) = (&*current.region, &error as &(dyn std::error::Error + 'static));
        match names.as_slice() {
            [key] => tracing::error!(region, key, error, "a creation in the background failed"),
            keys => {
                tracing::error!(region, keys = %Shortened(keys), error, "a creation in the background failed");
            }
        }
    }
}
