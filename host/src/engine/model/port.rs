//! [`ModelPort`]: a port for one key, without mutexes and without time.

use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CreationTime, Metadata};

use crate::created::Terms;
use crate::decision::Reading;
use crate::engine::blocking::drive;
use crate::engine::{
    Found, GateKey, Gates, HeldMutex, Leader, LockError, Made, Need, Port, Report, Role, SharedFailure, Slot,
    Storing, Wanted, settle,
};
use crate::policy::Policy;

/// How the creator of a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Succeeds,
    Fails,
    /// It never ends: the call is to be dropped.
    Hangs,
}

/// A store of one value. Values below 10 are stale. Its own primitives are not loom's: only the engine's orders count.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) value: Mutex<Option<u32>>,
    pub(super) created: AtomicUsize,
    at_work: AtomicUsize,
}

impl Store {
    pub(super) fn set(&self, value: u32) {
        *self.value.lock().expect("no model panics here") = Some(value);
    }

    pub(super) fn created(&self) -> usize {
        self.created.load(SeqCst)
    }
}

pub(super) struct ModelPort<const IS_TASK: bool> {
    gates: Arc<Gates>,
    store: Arc<Store>,
    end: End,
    name: Arc<str>,
    leader: Leader,
    policy: Policy,
}

impl<const IS_TASK: bool> ModelPort<IS_TASK> {
    pub(super) fn new(gates: &Arc<Gates>, store: &Arc<Store>) -> Self {
        let (gates, store) = (Arc::clone(gates), Arc::clone(store));
        let leader = Leader { name: "model".into(), role: Self::ROLE };
        ModelPort {
            gates,
            store,
            end: End::Succeeds,
            name: "model".into(),
            leader,
            policy: Policy::default(),
        }
    }

    pub(super) fn ending(self, end: End) -> Self {
        ModelPort { end, ..self }
    }

    pub(super) async fn get(mut self) -> Result<u32, &'static str> {
        let found = self.read(&[0]).await?;
        let mut slots: Vec<Slot<u32>> =
            found.into_iter().map(|found| Slot::of(found, &self.policy)).collect();
        settle(&mut self, &mut slots).await?;
        match slots.pop().map(|slot| slot.need) {
            Some(Need::Settled(value, _)) => Ok(value),
            _ => unreachable!("the protocol settles all slots"),
        }
    }
}

impl ModelPort<false> {
    /// Makes the call on this thread.
    pub(super) fn block(self) -> Result<u32, &'static str> {
        drive(self.get())
    }
}

impl<const IS_TASK: bool> Port for ModelPort<IS_TASK> {
    type Value = u32;
    type Error = &'static str;

    const ROLE: Role = if IS_TASK { Role::Task } else { Role::Thread };

    fn gates(&self) -> &Arc<Gates> {
        &self.gates
    }

    fn key(&self, _place: usize) -> GateKey<'_> {
        GateKey { store_key: "key", key: "key", region: &self.name, leader: &self.leader }
    }

    fn leader(&self) -> &Leader {
        &self.leader
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, _time: Instant) -> impl Future<Output = ()> {
        pending()
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    async fn read(&mut self, _places: &[usize]) -> Result<Vec<Found<u32>>, &'static str> {
        let value = *self.store.value.lock().expect("no model panics here");
        let reading = match value {
            Some(value) if value >= 10 => Reading::Fresh(value),
            Some(value) => Reading::Stale(value),
            None => Reading::Missing,
        };
        Ok(vec![Found { reading, metadata: value.map(|_| Metadata::new(self.began())) }])
    }

    fn mutex(&self, _place: usize) -> Option<HeldMutex> {
        None
    }

    async fn acquire(&mut self, _mutex: &HeldMutex, _until: Option<Instant>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn is_lost(&self, _mutex: &HeldMutex) -> bool {
        false
    }

    async fn unlock(&mut self, _place: usize, _mutex: HeldMutex) {}

    fn began(&self) -> CreationTime {
        CreationTime::from_seconds(1.0)
    }

    async fn create(
        &mut self,
        _wanted: Vec<Wanted<u32>>,
        _until: Option<Instant>,
    ) -> Result<Vec<Made<u32>>, &'static str> {
        if self.end == End::Hangs {
            return pending().await;
        }
        assert_eq!(self.store.at_work.fetch_add(1, SeqCst), 0, "two creators at once");
        // Other threads may go on here.
        loom::thread::yield_now();
        self.store.at_work.fetch_sub(1, SeqCst);
        if self.end == End::Fails {
            return Err("the creator failed");
        }
        let value = 10 + self.store.created.fetch_add(1, SeqCst) as u32;
        Ok(vec![Made { value, terms: Terms::STORED }])
    }

    async fn store(&mut self, values: Vec<Storing<'_, u32>>, _began: CreationTime) -> Vec<usize> {
        let places = values.iter().map(|storing| storing.place).collect();
        values.into_iter().for_each(|storing| self.store.set(storing.made.value));
        places
    }

    fn is_valid(&self, _place: usize, _began: CreationTime) -> bool {
        true
    }

    fn is_fresh(&self, _place: usize, _metadata: &Metadata) -> bool {
        true
    }

    fn lock_error(&self, _place: usize, _error: LockError) -> &'static str {
        "the lock failed"
    }

    fn timed_out(&self, _place: usize, _limit: Duration) -> &'static str {
        "timed out"
    }

    fn failure(&self, _failure: SharedFailure) -> &'static str {
        "another creator failed"
    }

    fn report(&self, _report: Report<'_>) {}
}
