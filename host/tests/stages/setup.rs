//! Regions over memory with a manual clock.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, FailSafe, ManualClock, RegionConfig, Share};

pub(super) const OLD: u32 = 1;
pub(super) const NEW: u32 = 2;

/// Why a creator fails.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Outage,
    Answer,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Values expire after 100 seconds.
pub(super) fn plain() -> RegionConfig {
    RegionConfig::new("dogpile.cache.memory").expiration_time(100)
}

/// Values are refreshed from 80 seconds on, expire after 100, count as missing after 150, and are served up to 1000 if the
/// creator fails.
pub(super) fn staged() -> RegionConfig {
    plain().early_refresh(Share::percent(80)).max_stale(50).fail_safe(FailSafe::new(seconds(1000)))
}

/// Returns a region with this configuration, and its clock.
pub(super) fn region(config: RegionConfig) -> (Arc<CacheRegion>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(10_000.0));
    let region = CacheRegion::with_defaults("stages", RegionConfig::default());
    region.configure(config.clock(clock.clone())).unwrap();
    (Arc::new(region), clock)
}

/// Returns a region whose key "key" has an old value of this age.
pub(super) fn region_with_old(config: RegionConfig, age: u64) -> (Arc<CacheRegion>, Arc<ManualClock>) {
    let (region, clock) = region(config);
    region.set("key", OLD).unwrap();
    clock.advance(seconds(age));
    (region, clock)
}

/// Waits until `condition` holds.
pub(super) fn until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < seconds(60), "nothing comes of waiting");
        std::thread::sleep(Duration::from_millis(1));
    }
}
