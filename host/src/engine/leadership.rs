//! [`Leadership`]: the right to create the value of a key.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CreationTime, Metadata};

use super::creation::Creation;
use super::failure::SharedFailure;
use super::gate::{
    Abandoned, Gate, Gates, Handed, HeldMutex, Leader, Outcome, Role, Running, Stage, State, Waiter,
};
use super::leaving::{leave, leave_if_free};
use super::store_in_progress::StoreInProgress;
use super::wakeups::Wakeups;

/// The right to create the value of a key, in this process and, with a mutex, among all processes.
///
/// Dropped without an outcome, as by a panic or a cancellation, it leaves the gate to the next caller and the mutex to
/// the background releaser.
pub(crate) struct Leadership {
    gates: Arc<Gates>,
    gate: Arc<Gate>,
    mutex: Option<HeldMutex>,
    is_over: bool,
}

impl Leadership {
    pub(super) fn new(gates: Arc<Gates>, gate: Arc<Gate>, mutex: Option<HeldMutex>) -> Self {
        Leadership { gates, gate, mutex, is_over: false }
    }

    /// Keeps the backend's mutex, which was acquired for this key.
    pub(super) fn hold(&mut self, mutex: HeldMutex) {
        self.mutex = Some(mutex);
    }

    /// Returns whether the gate was opened or left.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn mutex(&self) -> Option<&HeldMutex> {
        self.mutex.as_ref()
    }

    /// Takes the mutex out, to release it.
    pub(super) fn take_mutex(&mut self) -> Option<HeldMutex> {
        self.mutex.take()
    }

    /// Returns how long ago the leader began.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.gate.lock().led_since)
    }

    /// The leader is about to read the store. A `set` or `delete` from now on may not be in what it finds.
    pub(super) fn begin_reading(&self) {
        self.begin(None, None, false);
    }

    /// The creator is about to be called. If it sees an old value, a write since that value was read supersedes it.
    pub(super) fn begin_creation(&self, began: CreationTime, creation: &Arc<Creation>, sees_old: bool) {
        self.begin(Some(began), Some(creation), sees_old);
    }

    fn begin(&self, began: Option<CreationTime>, creation: Option<&Arc<Creation>>, goes_on: bool) {
        let mut state = self.gate.lock();
        state.last_number += 1;
        let superseded = goes_on && state.running.is_some_and(|running| running.superseded);
        state.running = Some(Running { number: state.last_number, began, superseded });
        state.stage = if creation.is_some() { Stage::Creating } else { Stage::Led };
        let replaced = std::mem::replace(&mut state.creation, creation.cloned());
        drop(state);
        drop(replaced);
        // Look for writers last: one that comes later finds what runs, and supersedes it itself.
        if self.gates.shard(self.gate.hash).writers.contains(&self.gate.hash)
            && let Some(running) = &mut self.gate.lock().running
        {
            running.superseded = true;
        }
    }

    /// Begins to store the value, unless the key was set or deleted since the creator was called. Until the gate is
    /// opened, `set` and `delete` wait.
    pub(super) fn begin_store(&self) -> bool {
        let mut state = self.gate.lock();
        let is_current = state.running.is_some_and(|running| !running.superseded);
        if is_current {
            state.stage = Stage::Storing;
        }
        is_current
    }

    /// Returns what keeps the gate closed until the store has ended, even if this leader is dropped before.
    pub(super) fn store_in_progress(&self) -> StoreInProgress {
        StoreInProgress::begin(&self.gates, &self.gate)
    }

    /// Returns whether callers wait for the value.
    pub(super) fn has_waiters(&self) -> bool {
        self.gate.lock().callers() > 0
    }

    /// Hands the waiters the value that was created, or that was `found` with this metadata.
    pub(super) fn hand_over(&mut self, value: Arc<dyn Any + Send + Sync>, found: Option<Metadata>) {
        let number = self.gate.lock().last_number;
        self.open(Outcome::Value(Handed { value, number, found, is_old: false }));
    }

    /// Hands the waiters an old value with this metadata, because the creator failed.
    pub(super) fn hand_over_old(&mut self, value: Arc<dyn Any + Send + Sync>, metadata: Metadata) {
        let number = self.gate.lock().last_number;
        self.open(Outcome::Value(Handed { value, number, found: Some(metadata), is_old: true }));
    }

    /// Hands the waiters the failure of the creator.
    pub(super) fn share(&mut self, failure: SharedFailure) {
        self.open(Outcome::Failed(failure));
    }

    /// Hands the waiters the failure of the mutex.
    pub(super) fn share_mutex_failure(&mut self, error: Arc<BackendError>) {
        self.open(Outcome::MutexFailed(error));
    }

    /// Lets all waiters read the store.
    pub(super) fn open_empty(&mut self) {
        self.open(Outcome::Nothing);
    }

    fn open(&mut self, outcome: Outcome) {
        self.is_over = true;
        // Remove the gate before opening it, so that a new caller leads a new gate instead of joining this one.
        let removed = self.gates.shard(self.gate.hash).gates.remove(&*self.gate.store_key);
        let mut state = self.gate.lock();
        let (threads, others) = state.take_waiters();
        let wakeups = Arc::new(Wakeups::new(threads));
        let old = std::mem::replace(&mut state.stage, Stage::Open { outcome, wakeups: Arc::clone(&wakeups) });
        let creation = state.creation.take();
        drop(state);
        wakeups.begin();
        others.into_iter().for_each(Waker::wake);
        drop((removed, old, creation));
    }

    /// The mutex stayed with another process for as long as it was waited for. Waiters that have waited as long give
    /// up as well, each by its own count.
    pub(super) fn give_up(mut self, waited: Duration) {
        let mut state = self.gate.lock();
        state.patience = state.patience.max(Some(waited));
        let wakers: Vec<Waker> = state.waiters.values().map(|waiter| waiter.waker.clone()).collect();
        drop(state);
        self.pass_on();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Leaves the gate to the waiter that came first, or closes it for good if there is none.
    ///
    /// If the value is being stored, the end of the store does so. Otherwise a value that is set by then could be
    /// overwritten.
    pub(super) fn pass_on(&mut self) {
        self.is_over = true;
        let mutex = self.mutex.take();
        let mut state = self.gate.lock();
        if matches!(state.stage, Stage::Storing) && state.stores > 0 {
            state.abandoned = Some(Abandoned { mutex });
            return;
        }
        drop(state);
        leave(&self.gates, &self.gate, None);
        self.gates.release_later(mutex);
    }

    /// Leaves the gate, with its mutex, to a runner or to a caller that needs the value sooner.
    pub(super) fn queue(mut self) -> Queued {
        self.is_over = true;
        let (gates, gate) = (Arc::clone(&self.gates), Arc::clone(&self.gate));
        let mut state = gate.lock();
        state.stage = Stage::Free { mutex: self.mutex.take(), queued: true };
        let waker = state.first_caller();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Queued { gates, gate }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        if !self.is_over {
            self.pass_on();
        }
        // It is still here if the outcome was handed over and the leader was dropped before it released the mutex.
        self.gates.release_later(self.mutex.take());
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leadership({:?})", self.gate.store_key)
    }
}

impl State {
    /// Takes out all waiters: the threads by number, and the wakers of the others.
    fn take_waiters(&mut self) -> (Vec<(u64, Waker)>, Vec<Waker>) {
        let (mut threads, mut others) = (Vec::new(), Vec::new());
        for (number, Waiter { waker, role }) in std::mem::take(&mut self.waiters) {
            match role {
                Role::Thread => threads.push((number, waker)),
                Role::Task | Role::Writer => others.push(waker),
            }
        }
        (threads, others)
    }
}

/// A creation that waits for a runner. A caller that needs the value takes it out and creates by itself.
///
/// Dropped without having begun, it leaves the gate.
pub(crate) struct Queued {
    gates: Arc<Gates>,
    gate: Arc<Gate>,
}

impl Queued {
    /// Leads the key, unless a caller took it out.
    pub(crate) fn begin(self, leader: &Leader, now: Instant) -> Option<Leadership> {
        let mut state = self.gate.lock();
        if !matches!(state.stage, Stage::Free { .. }) {
            return None;
        }
        let mutex = state.take(leader, now);
        drop(state);
        Some(Leadership::new(Arc::clone(&self.gates), Arc::clone(&self.gate), mutex))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        let Stage::Free { mutex, queued: queued @ true } = &mut state.stage else { return };
        *queued = false;
        let mutex = mutex.take();
        drop(state);
        leave_if_free(&self.gates, &self.gate, mutex);
    }
}
