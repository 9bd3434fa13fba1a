//! [`Call`]: a call of a region with a creator, as the protocol's port.

mod port;
mod storing;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind};
use parking_lot::Mutex;

use super::call_key::CallKey;
use super::configured::Configured;
use super::creator::{Creator, CreatorCall};
use super::front_end::FrontEnd;
use super::work::Working;
use crate::engine::{
    Batch, Elsewhere, Found, Gates, Leader, Limits, Made, Port, Queued, Role, Settled, Slot, Wanted, settle,
};
use crate::error::{CreateError, RegionError};
use crate::log_targets::REGION;
use crate::observe::{EventKind, Spans};
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

    /// Returns the values of all keys, for a caller that `found` these.
    #[cold]
    pub(super) async fn run(&mut self, found: Vec<Found<T>>) -> Result<Vec<Settled<T>>, CreateError<C::Error>>
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
        let mut slots: Vec<Slot<T>> = found.into_iter().map(|found| Slot::of(found, &self.policy)).collect();
        settle(self, &mut slots).await?;
        let settled =
            slots.into_iter().map(|slot| slot.into_settled().expect("the protocol settles all slots"));
        Ok(settled.collect())
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
}
