//! Regions with statistics and an observer, over memory or over a backend that fails on demand.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, Capabilities, ErrorKind, StoreOptions};
use dogpile::{CacheRegion, Event, ManualClock, Observer, PoolRunner, RegionConfig, RegionStatistics};

/// Keeps the events of a region as text, such as `created key`.
#[derive(Debug, Default)]
pub(super) struct Noting {
    pub(super) told: Mutex<Vec<String>>,
    pub(super) wants_hits: bool,
}

impl Noting {
    pub(super) fn of_all() -> Arc<Self> {
        Arc::new(Noting { wants_hits: true, ..Noting::default() })
    }

    /// Returns the events since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

impl Observer for Noting {
    fn wants_hits(&self) -> bool {
        self.wants_hits
    }

    fn event(&self, event: &Event<'_>) {
        let text = format!("{} {}", event.kind.name(), event.keys.join(","));
        self.told.lock().unwrap().push(text.trim_end().to_owned());
    }
}

/// A backend whose calls may block, and that fails on demand.
#[derive(Debug, Default)]
pub(super) struct Failing {
    values: Mutex<HashMap<String, CachedValue>>,
    pub(super) fails: AtomicBool,
    is_immediate: bool,
}

impl Failing {
    /// Creates one whose calls never block.
    pub(super) fn immediate() -> Self {
        Failing { is_immediate: true, ..Failing::default() }
    }

    /// Creates a new one of the same kind.
    pub(super) fn again(&self) -> Self {
        Failing { is_immediate: self.is_immediate, ..Failing::default() }
    }

    fn answer<R>(&self, value: R) -> Result<R, BackendError> {
        if self.fails.load(SeqCst) {
            return Err(BackendError::new(ErrorKind::Unavailable, "the test's backend is down"));
        }
        Ok(value)
    }
}

impl CacheBackend for Failing {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_immediate(self.is_immediate)
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        self.answer(self.values.lock().unwrap().get(key).cloned())
    }

    fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        self.answer(())?;
        self.values.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.answer(())?;
        self.values.lock().unwrap().remove(key);
        Ok(())
    }
}

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn memory() -> RegionConfig {
    RegionConfig::new("dogpile.cache.memory").statistics(true)
}

pub(super) fn region(config: RegionConfig) -> CacheRegion {
    let region = CacheRegion::new("observed");
    region.configure(config).unwrap();
    region
}

/// Returns a region whose values expire after 100 seconds, and its clock.
pub(super) fn expiring(config: RegionConfig) -> (CacheRegion, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(10_000.0));
    (region(config.expiration_time(100).clock(clock.clone())), clock)
}

pub(super) fn counted(region: &CacheRegion) -> RegionStatistics {
    region.statistics().unwrap().expect("the region keeps statistics")
}

/// Returns the outcomes that were counted, without those that did not occur.
pub(super) fn outcomes(region: &CacheRegion) -> Vec<(&'static str, u64)> {
    counted(region).outcomes().into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Returns a runner with a thread of its own.
pub(super) fn runner() -> Arc<PoolRunner> {
    Arc::new(PoolRunner::new(NonZeroUsize::MIN, 1_000).unwrap())
}

/// Waits until `condition` holds.
pub(super) fn until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < seconds(60), "nothing comes of waiting");
        std::thread::sleep(Duration::from_millis(1));
    }
}
