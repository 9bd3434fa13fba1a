//! How a [`Call`] performs what the protocol decides.

use std::fmt;
use std::future::pending;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CreationTime, Metadata};

use super::Call;
use crate::decision::may_rescue;
use crate::engine::{
    Batch, Elsewhere, Found, GateKey, Gates, HeldMutex, Leader, Limits, LockError, Made, Port, Queued,
    Report, Role, SharedFailure, Storing, Wanted, unless,
};
use crate::error::{CreateError, RegionError};
use crate::log_targets::CREATION;
use crate::observe::{EventKind, within};
use crate::outage::was_refused;
use crate::policy::Policy;
use crate::region::background_task::catch_panic;
use crate::region::creator::Creator;
use crate::region::front_end::FrontEnd;
use crate::region::release::release_later;
use crate::region::warn::Concerns;
use crate::region::warnings::Warning;
use crate::shorten::Shortened;
use crate::value::CacheValue;

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
        self.current.stores.bottom.go_on_without(&mut self.policy, "acquire", None, error)
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
            unless(catch_panic(within(spans.as_ref(), creating.as_mut())), limit).await
        };
        if let Some(began) = began {
            let succeeded = matches!(created, Some(Ok(Ok(_))));
            self.note(&places, EventKind::Creation { took: began.elapsed(), succeeded });
        }
        let created = created.map(|ended| ended.unwrap_or_else(|panic| resume_unwind(panic)));
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
