//! [`Guard`]: the part of a store that all its calls pass.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use dogpile_sdk::{BackendError, CacheBackend, CachedValue, CreationTime, LogLimit, Metadata, PerProcess};
use parking_lot::{Condvar, Mutex};

use super::breaker::{Admission, Breaker, BreakerState, Change, Ending};
use super::config::BreakerConfig;
use super::deletions::{Batch, PendingDeletions};
use super::log::{DegradedCall, Event, Failure, TransitionLog};
use super::recent_values::RecentValues;
use super::refusal::{refusal, was_refused};
use super::region_names::RegionNames;
use super::state::BackendState;

/// The bits of a guard's flags.
const ENGAGED: u64 = 1;
const KEEPS_RECENT: u64 = 2;
const EPOCH: u32 = 2;

/// The guard of a store. All calls of the store pass it, and all regions over the store share it.
///
/// As long as nothing fails, it costs a call one load of `flags`.
pub(crate) struct Guard {
    /// The backend, for logs and errors.
    pub(super) name: String,
    /// Bit 0: whether there is anything to consider. Bit 1: whether writes must be noted, because created values are kept
    /// for a moment. The others: how often the breaker changed.
    flags: AtomicU64,
    config: ArcSwapOption<BreakerConfig>,
    /// Of this process: a forked child has none of its parent's threads.
    own: PerProcess<Own>,
    /// Called when the breaker changes.
    observers: Mutex<Vec<Observed>>,
    /// The regions over the store, for logs.
    pub(super) regions: RegionNames,
}

/// What is called when a breaker changes, as long as its owner exists.
#[derive(Clone)]
struct Observed {
    owner: Weak<dyn Any + Send + Sync>,
    on_change: Arc<dyn Fn(BreakerState) + Send + Sync>,
}

impl Observed {
    fn is_needed(&self) -> bool {
        self.owner.strong_count() > 0
    }
}

#[derive(Default)]
pub(super) struct Own {
    state: Mutex<State>,
    /// Notified when the backend works again while deletions wait.
    pub(super) works: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    breaker: Breaker,
    pub(super) deletions: PendingDeletions,
    recent: RecentValues,
    /// Whether created values were ever kept.
    keeps_recent: bool,
    /// Values made before are missing, because some of them may have been deleted.
    lost_before: Option<CreationTime>,
    last_failure: Option<Failure>,
    opened_at: Option<Instant>,
    counts: Counts,
    /// The counts when the breaker opened.
    opened_with: Counts,
    transitions: TransitionLog,
    degraded: LogLimit,
    losses: LogLimit,
    /// Whether a thread gives the backend the deletions that wait.
    pub(super) is_replaying: bool,
    /// When the next deletions are tried. `None`: now.
    pub(super) retry_at: Option<Instant>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    refused: u64,
    dropped: u64,
    replayed: u64,
    lost: u64,
}

/// The right to one call. If it is dropped without an end, the call counts neither as a success nor as a failure.
pub(crate) struct Permit<'g> {
    guard: &'g Guard,
    admission: Option<Admission>,
}

impl Permit<'_> {
    /// Records how the call ended.
    pub(crate) fn end<T>(mut self, outcome: &Result<T, BackendError>) {
        let Some(admission) = self.admission.take() else { return };
        match outcome {
            // A success after a success changes nothing.
            Ok(_) if !self.guard.is_engaged() => {}
            Ok(_) => self.guard.end(admission, Ending::Succeeded, None),
            Err(error) if error.is_transient() => self.guard.end(admission, Ending::Failed, Some(error)),
            Err(_) => self.guard.end(admission, Ending::Unknown, None),
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(admission @ Admission::Probe(_)) = self.admission.take() {
            self.guard.end(admission, Ending::Unknown, None);
        }
    }
}

impl Guard {
    /// Creates the guard of the store of `backend`, which is its name.
    pub(crate) fn new(backend: &str) -> Self {
        let (name, flags, config) = (backend.to_owned(), AtomicU64::new(0), ArcSwapOption::empty());
        let own = PerProcess::new(Own::default, |_| {});
        Guard { name, flags, config, own, observers: Mutex::default(), regions: RegionNames::default() }
    }

    /// Names `region` in logs, as long as its owner keeps the name.
    pub(crate) fn serve(&self, region: &Arc<str>) {
        self.regions.add(region);
    }

    fn log(&self, event: Option<Event>) {
        if let Some(event) = event {
            event.log(&self.name, &self.regions.shown());
        }
    }

    /// Has `on_change` called, without a lock, with the new state whenever the breaker changes, as long as its `owner` exists.
    ///
    /// It is also called now if the breaker is not closed.
    pub(crate) fn observe(
        &self,
        owner: Weak<dyn Any + Send + Sync>,
        on_change: impl Fn(BreakerState) + Send + Sync + 'static,
    ) {
        let on_change: Arc<dyn Fn(BreakerState) + Send + Sync> = Arc::new(on_change);
        {
            let mut observers = self.observers.lock();
            // Regions are configured again and again, and a breaker may never change.
            observers.retain(Observed::is_needed);
            observers.push(Observed { owner, on_change: Arc::clone(&on_change) });
        }
        let (mut known, present) = (BreakerState::Closed, || self.with(|state| state.breaker.state()));
        // The breaker may change in between, so that the observer learns of an older state last.
        while known != present() {
            known = present();
            on_change(known);
        }
    }

    fn tell(&self, change: Change) {
        let state = match change {
            Change::Opened | Change::OpenedAgain => BreakerState::Open,
            Change::Closed => BreakerState::Closed,
        };
        let observers = {
            let mut observers = self.observers.lock();
            observers.retain(Observed::is_needed);
            observers.clone()
        };
        observers.iter().for_each(|observer| (observer.on_change)(state));
    }

    /// Sets when the breaker opens. The settings of the region that was configured last apply.
    pub(crate) fn configure(&self, config: BreakerConfig) {
        self.config.store(Some(Arc::new(config)));
    }

    /// Sets the default, unless a region has set when the breaker opens.
    pub(crate) fn configure_by_default(&self) {
        if self.config.load().is_none() {
            self.configure(BreakerConfig::default());
        }
    }

    /// Returns whether there is anything to consider.
    #[inline(always)]
    pub(crate) fn is_engaged(&self) -> bool {
        self.flags.load(Ordering::Acquire) & ENGAGED != 0
    }

    /// Returns whether a write must be noted, so that a value that it supersedes is not kept.
    #[inline(always)]
    pub(crate) fn notes_writes(&self) -> bool {
        self.flags.load(Ordering::Acquire) & (ENGAGED | KEEPS_RECENT) != 0
    }

    /// Returns the right to a call, if there is nothing to consider.
    #[inline(always)]
    pub(crate) fn permit(&self) -> Option<Permit<'_>> {
        let flags = self.flags.load(Ordering::Acquire);
        let admission = Some(Admission::Call(flags >> EPOCH));
        (flags & ENGAGED == 0).then_some(Permit { guard: self, admission })
    }

    /// Returns the right to a call. A call that may take long is not a probe.
    ///
    /// # Errors
    /// If the breaker is open.
    #[inline]
    pub(crate) fn admit(&self, may_probe: bool) -> Result<Permit<'_>, BackendError> {
        self.permit().map_or_else(|| self.admit_closely(may_probe), Ok)
    }

    #[cold]
    fn admit_closely(&self, may_probe: bool) -> Result<Permit<'_>, BackendError> {
        let now = Instant::now();
        let admitted = self.with(|state| {
            state.breaker.admit(now, may_probe).ok_or_else(|| {
                state.counts.refused += 1;
                (state.breaker.failures(), state.last_failure.clone().unwrap_or_default().error)
            })
        });
        match admitted {
            Ok(admission) => Ok(Permit { guard: self, admission: Some(admission) }),
            Err((failures, last)) => Err(refusal(&self.name, failures, last)),
        }
    }

    fn end(&self, admission: Admission, ending: Ending, error: Option<&BackendError>) {
        let (now, failure) = (Instant::now(), error.map(Failure::of));
        let own = self.own.get();
        let (change, event) = self.change(own, |state| {
            if failure.is_some() {
                state.last_failure = failure;
            }
            let change = state.breaker.end(admission, ending, now);
            if ending == Ending::Succeeded && !state.deletions.is_empty() && state.retry_at.is_some() {
                state.retry_at = None;
                own.works.notify_all();
            }
            (change, change.and_then(|change| state.changed(change, now)))
        });
        self.log(event);
        if let Some(change) = change {
            self.tell(change);
        }
    }

    /// Changes the state of this process.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        self.change(self.own.get(), change)
    }

    fn change<R>(&self, own: &Own, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = own.state.lock();
        state.breaker.config = self.config.load().as_deref().copied();
        let changed = change(&mut state);
        self.flags.store(state.flags(), Ordering::Release);
        // Dropping values and backends may run foreign code, which must not happen under the lock.
        let dropped = (state.recent.take_dropped(), state.deletions.take_dropped());
        drop(state);
        drop(dropped);
        changed
    }

    /// Waits until `until`, or until the backend works again.
    pub(super) fn wait(&self, until: Instant) {
        let own = self.own.get();
        let mut state = own.state.lock();
        if state.retry_at.is_some() {
            own.works.wait_until(&mut state, until);
        }
    }

    /// Returns whether the breaker is not closed.
    pub(crate) fn is_open(&self) -> bool {
        self.is_engaged() && self.with(|state| state.breaker.state() != BreakerState::Closed)
    }

    /// Returns the number of the deletion of `key` that waits, if any does. Until it is made, the store may have an old
    /// value of the key.
    pub(crate) fn pending(&self, key: &str) -> Option<u64> {
        if self.is_engaged() { self.with(|state| state.deletions.number_of(key)) } else { None }
    }

    /// Notes that a later write of `key` replaces a deletion that waited.
    pub(crate) fn replaced(&self, key: &str, number: u64) {
        self.with(|state| state.deletions.remove(key, number));
    }

    /// Returns whether a stored value with this `metadata` may be read, as far as lost deletions are concerned.
    pub(crate) fn may_read(&self, metadata: &Metadata) -> bool {
        let made = metadata.creation_time;
        !self.is_engaged() || self.with(|state| state.lost_before.is_none_or(|lost| made > lost))
    }

    /// Queues deletions of keys, each given as the store knows it and as `backend` is given it. If the queue is full, all
    /// values made until `now` are missing from now on.
    pub(super) fn queue<'k>(
        &self,
        backend: &Arc<dyn CacheBackend>,
        keys: impl IntoIterator<Item = (&'k str, &'k str)>,
        now: CreationTime,
    ) {
        let event = self.with(|state| {
            let added = keys.into_iter().map(|(key, mangled)| state.deletions.add(key, mangled, backend));
            let lost = added.filter(|was_added| !was_added).count();
            let waiting = state.deletions.len();
            let problem = format!("{waiting} deletions wait already");
            if lost > 0 { state.lose(lost, now, problem) } else { None }
        });
        self.log(event);
    }

    /// Counts values that are not stored.
    pub(crate) fn count_dropped(&self, values: u64) {
        self.with(|state| state.counts.dropped += values);
    }

    /// Notes that `key` is set or deleted.
    pub(crate) fn written(&self, key: &str) {
        self.with(|state| state.recent.written(key));
    }

    /// Returns a mark for [`keep`](Self::keep), to be taken before a created value of `key` is stored.
    pub(crate) fn mark(&self, key: &str) -> u64 {
        self.with(|state| {
            state.keeps_recent = true;
            state.recent.mark(key)
        })
    }

    /// Keeps a created value for a moment, unless `key` was written since it had this `mark`.
    pub(crate) fn keep(&self, key: &str, value: CachedValue, mark: u64, is_stored: bool) {
        self.with(|state| state.recent.keep(key, value, mark, is_stored, Instant::now()));
    }

    /// Returns the value of `key` that was created a moment ago, for a call whose backend cannot be read.
    pub(crate) fn recent(&self, key: &str) -> Option<CachedValue> {
        self.with(|state| state.recent.get(key, Instant::now()))
    }

    /// Returns what a call reads of `key` in a backend that has `found`: a value that was created a moment ago and could not
    /// be stored comes before an older one.
    pub(crate) fn newest(&self, key: &str, found: Option<CachedValue>) -> Option<CachedValue> {
        let newer = self.with(|state| state.recent.newer(key, found.as_ref(), Instant::now()));
        newer.or(found)
    }

    /// Notes that a call goes on without the backend.
    pub(crate) fn degraded(&self, call: &DegradedCall<'_>) {
        if was_refused(call.error) {
            return;
        }
        if let Some(suppressed) = self.with(|state| state.degraded.pass()) {
            call.log(&self.name, suppressed.count());
        }
    }

    /// Returns what a region reports about the backend.
    pub(crate) fn state(&self) -> BackendState {
        let now = Instant::now();
        self.with(|state| BackendState {
            breaker: state.breaker.state(),
            open_for: state.breaker.open_since().map(|since| now.saturating_duration_since(since)),
            consecutive_failures: state.breaker.failures(),
            last_error: state.last_failure.as_ref().map(|failure| failure.error.clone()),
            refused_calls: state.counts.refused,
            dropped_writes: state.counts.dropped,
            queued_deletions: state.deletions.len(),
            replayed_deletions: state.counts.replayed,
            lost_deletions: state.counts.lost,
        })
    }

    /// Notes that the backend made deletions that had waited.
    pub(super) fn replayed(&self, batch: &Batch) {
        let event = self.with(|state| {
            let before = state.deletions.len();
            batch.keys.iter().for_each(|(key, number)| state.deletions.remove(key, *number));
            state.counts.replayed += (before - state.deletions.len()) as u64;
            let keys = batch.keys.len();
            state.deletions.is_empty().then_some(Event::Replayed { keys })
        });
        self.log(event);
    }

    /// Gives up a deletion that the backend rejects.
    pub(super) fn lose(&self, batch: &Batch, error: &BackendError) {
        let event = self.with(|state| {
            batch.keys.iter().for_each(|(key, number)| state.deletions.remove(key, *number));
            state.lose(batch.keys.len(), CreationTime::now(), format!("{error:#}"))
        });
        self.log(event);
    }
}

impl State {
    fn flags(&mut self) -> u64 {
        if !self.recent.is_empty() {
            self.recent.prune(Instant::now());
        }
        let is_clear = self.breaker.is_clear()
            && self.deletions.is_empty()
            && !self.recent.has_unstored()
            && self.lost_before.is_none();
        let keeps_recent = if self.keeps_recent { KEEPS_RECENT } else { 0 };
        self.breaker.epoch() << EPOCH | keeps_recent | if is_clear { 0 } else { ENGAGED }
    }

    /// Returns what to log of a change of the breaker.
    fn changed(&mut self, change: Change, now: Instant) -> Option<Event> {
        let suppressed = self.transitions.pass(change, CreationTime::now());
        match change {
            Change::Opened => {
                (self.opened_with, self.opened_at) = (self.counts, Some(now));
                let (failures, last) =
                    (self.breaker.failures(), self.last_failure.clone().unwrap_or_default());
                suppressed.map(|suppressed| Event::Opened { failures, suppressed, last })
            }
            Change::OpenedAgain => Some(Event::OpenedAgain),
            Change::Closed => {
                let (refused, dropped) = (
                    self.counts.refused - self.opened_with.refused,
                    self.counts.dropped - self.opened_with.dropped,
                );
                let after =
                    self.opened_at.take().map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
                let queued = self.deletions.len();
                suppressed.map(|_| Event::Closed { after, refused, dropped, queued })
            }
        }
    }

    fn lose(&mut self, keys: usize, now: CreationTime, problem: String) -> Option<Event> {
        self.counts.lost += keys as u64;
        self.lost_before =
            Some(self.lost_before.map_or(now, |before| if before > now { before } else { now }));
        self.losses.pass().map(|_| Event::Lost { keys, problem })
    }

    /// Returns when the backend may be called again, if the breaker is open.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.breaker.next_probe()
    }

    /// Returns how long the breaker stays open.
    pub(super) fn open_for(&self) -> Duration {
        self.breaker.config.unwrap_or_default().open_for
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use dogpile_sdk::ErrorKind;

    use super::*;

    fn fail(guard: &Guard) {
        let permit = guard.admit(true).expect("the breaker is closed");
        permit.end(&Err::<(), _>(BackendError::new(ErrorKind::Unavailable, "planned")));
    }

    /// Notes the states of which an observer learns.
    fn noting(guard: &Guard, owner: &Arc<()>) -> Arc<Mutex<Vec<BreakerState>>> {
        let (noted, weak) = (Arc::new(Mutex::new(Vec::new())), Arc::downgrade(owner));
        let notes = Arc::clone(&noted);
        guard.observe(weak, move |state| notes.lock().push(state));
        noted
    }

    #[test]
    fn observers_whose_owners_are_gone_are_dropped() {
        let guard = Guard::new("observed");
        let kept = Arc::new(());
        let noted = noting(&guard, &kept);
        for _ in 0..100 {
            noting(&guard, &Arc::new(()));
        }
        assert!(guard.observers.lock().len() <= 2, "{}", guard.observers.lock().len());
        guard.configure(BreakerConfig::default().failures(1));
        fail(&guard);
        assert_eq!((guard.observers.lock().len(), &**noted.lock()), (1, &[BreakerState::Open][..]));
    }

    #[test]
    fn observer_learns_of_an_open_breaker_at_once() {
        let (guard, owner) = (Guard::new("observed"), Arc::new(()));
        guard.configure(BreakerConfig::default().failures(1));
        assert_eq!(*noting(&guard, &owner).lock(), []);
        fail(&guard);
        assert_eq!(*noting(&guard, &owner).lock(), [BreakerState::Open]);
    }
}
