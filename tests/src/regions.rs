//! Regions over different backends, for tests of behavior that every region must have.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread;

use dogpile::sdk::{CacheBackend, CreationTime, Metadata, ProxyBackend};
use dogpile::{
    CacheRegion, Created, Invalidation, ManualClock, RegionConfig, RegionInvalidationStrategy, Validity,
};
use parking_lot::Mutex;

/// The time at which a test's clock starts, in seconds since the Unix epoch.
pub const START: f64 = 1_700_000_000.0;

/// Returns the decision to store `value` only if it is odd.
///
/// # Errors
/// Never.
pub fn odd_only(value: i32) -> Result<Created<i32>, Infallible> {
    Ok(if value % 2 == 1 { Created::new(value) } else { Created::uncached(value) })
}

/// A region under test, and its clock.
#[derive(Debug)]
pub struct Subject {
    /// The region.
    pub region: CacheRegion,
    /// The region's clock, which moves only when the test advances it.
    pub clock: Arc<ManualClock>,
}

type MakeConfig = fn() -> RegionConfig;
type ChangeConfig = fn(RegionConfig) -> RegionConfig;

/// The backends in memory, which store values as objects, serialized, or up to a limit.
const BACKENDS: [(&str, MakeConfig); 4] = [
    ("memory", || RegionConfig::new("dogpile.cache.memory")),
    ("memory_pickle", || RegionConfig::new("dogpile.cache.memory_pickle")),
    ("memory, bounded", || RegionConfig::new("dogpile.cache.memory").argument("max_entries", 1000)),
    ("memory, with json", || RegionConfig::new("dogpile.cache.memory").serializer_named("json")),
];

/// Changes of the configuration that must not affect behavior.
const COATS: [(&str, ChangeConfig); 3] = [
    ("bare", |config| config),
    ("behind a proxy", |config| config.wrap_in(PassThrough)),
    ("with a custom strategy", |config| config.region_invalidator(Arc::new(SeparateTimes::default()))),
];

/// Runs `test` on a region over each backend in memory.
///
/// Each backend is tested bare, behind a proxy that changes nothing, and with a custom invalidation strategy.
pub fn on_each(test: impl Fn(&Subject)) {
    on_each_with(|config| config, test);
}

/// Runs `test` like [`on_each`], after `changed` has adjusted the configuration.
///
/// # Panics
/// Panics if a region cannot be configured.
pub fn on_each_with(changed: impl Fn(RegionConfig) -> RegionConfig, test: impl Fn(&Subject)) {
    for (backend, config) in BACKENDS {
        for (coat, put_on) in COATS {
            let _told = TellOnPanic(backend, coat);
            let subject = Subject::new(changed(put_on(config())));
            test(&subject);
        }
    }
}

/// Creates a region with this `name` and `config`.
///
/// # Panics
/// Panics if the region cannot be configured.
pub fn region_of(name: &'static str, config: RegionConfig) -> CacheRegion {
    let region = CacheRegion::new(name);
    region.configure(config).expect("the region can be configured");
    region
}

impl Subject {
    /// Creates a region with `config` and a manual clock.
    ///
    /// # Panics
    /// Panics if the region cannot be configured.
    pub fn new(config: RegionConfig) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Subject { region: region_of("tested", config.clock(clock.clone())), clock }
    }
}

/// Prints the backend and the configuration on which a test failed.
struct TellOnPanic(&'static str, &'static str);

impl Drop for TellOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the test failed on a region over {}, {}", self.0, self.1);
        }
    }
}

/// A proxy that changes nothing.
#[derive(Debug)]
pub struct PassThrough(pub Arc<dyn CacheBackend>);

impl ProxyBackend for PassThrough {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }
}

/// A custom strategy that keeps one time for each kind of invalidation.
///
/// An invalidation of one kind clears the time of the other kind.
#[derive(Debug, Default)]
pub struct SeparateTimes(Mutex<(Option<CreationTime>, Option<CreationTime>)>);

impl RegionInvalidationStrategy for SeparateTimes {
    fn invalidate(&self, kind: Invalidation, now: CreationTime) {
        *self.0.lock() = if kind == Invalidation::Hard { (Some(now), None) } else { (None, Some(now)) };
    }

    fn judge(&self, _key: &str, metadata: &Metadata) -> Validity {
        let made = metadata.creation_time;
        let (hard, soft) = *self.0.lock();
        if hard.is_some_and(|hard| made < hard) {
            Validity::HardInvalidated
        } else if soft.is_some_and(|soft| made < soft) {
            Validity::SoftInvalidated
        } else {
            Validity::Valid
        }
    }
}
