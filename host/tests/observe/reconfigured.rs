//! Regions that are configured by the code that configuring them runs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak, mpsc};
use std::thread;

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, ErrorKind, ProxyBackend, StoreOptions};
use dogpile::{
    BreakerConfig, BreakerState, CacheRegion, Event, EventKind, Observer, OnBackendFailure, RegionConfig,
    RegionError,
};

use super::setup::{Failing, seconds};

/// Runs `test` on another thread, and fails if it hangs.
fn bounded(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        ended.send(()).unwrap();
    });
    match end.recv_timeout(seconds(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        _ => thread.join().unwrap(),
    }
}

fn memory() -> RegionConfig {
    RegionConfig::new("dogpile.cache.memory").replace_existing_backend()
}

/// Moves a region to memory, the first time.
#[derive(Debug)]
struct Moves {
    region: Weak<CacheRegion>,
    has_moved: AtomicBool,
}

impl Moves {
    fn of(region: &Arc<CacheRegion>) -> Self {
        Moves { region: Arc::downgrade(region), has_moved: AtomicBool::new(false) }
    }

    fn once(&self) {
        if let Some(region) = self.region.upgrade().filter(|_| !self.has_moved.swap(true, SeqCst)) {
            region.configure(memory()).unwrap();
        }
    }
}

fn is_in_memory(region: &CacheRegion) -> bool {
    region.set("key", 7).unwrap();
    region.get("key").unwrap() == Some(7) && format!("{:?}", region.backend().unwrap()).contains("Memory")
}

/// Moves its region when the breaker opens.
#[derive(Debug)]
struct Leaving(Moves);

impl Observer for Leaving {
    fn event(&self, event: &Event<'_>) {
        if let EventKind::Breaker { state: BreakerState::Open, .. } = event.kind {
            self.0.once();
        }
    }
}

/// An open breaker is passed on when a region is configured over it.
#[test]
fn observer_of_an_open_breaker_may_configure_its_region() {
    bounded(|| {
        let store = Arc::new(Failing::default());
        let breaker = BreakerConfig::default().failures(1).open_for(seconds(3600));
        let config = RegionConfig::from_instance(store.clone()).breaker(breaker);
        let config = config.on_backend_failure(OnBackendFailure::Degrade);
        let first = CacheRegion::new("first");
        first.configure(config.clone()).unwrap();
        store.fails.store(true, SeqCst);
        assert_eq!(first.get::<i32>("key").unwrap(), None);
        let region = Arc::new(CacheRegion::new("second"));
        region.configure(config.observer(Arc::new(Leaving(Moves::of(&region))))).unwrap();
        assert!(is_in_memory(&region));
    });
}

/// Configures its region over the same backend whenever a breaker is open.
#[derive(Debug)]
struct Restless(Weak<CacheRegion>, AtomicUsize);

impl Observer for Restless {
    fn event(&self, event: &Event<'_>) {
        if let (EventKind::Breaker { state: BreakerState::Open, .. }, Some(region)) =
            (event.kind, self.0.upgrade())
        {
            self.1.fetch_add(1, SeqCst);
            region.configure(RegionConfig::default().replace_existing_backend()).unwrap();
        }
    }
}

/// The open breaker is passed on to the observers of the new configuration, except to the one that made it.
#[test]
fn observer_is_not_called_for_the_configuration_that_it_makes() {
    bounded(|| {
        let store = Arc::new(Failing::default());
        let region = Arc::new(CacheRegion::new("restless"));
        let observer = Arc::new(Restless(Arc::downgrade(&region), AtomicUsize::new(0)));
        let breaker = BreakerConfig::default().failures(1).open_for(seconds(3600));
        let config = RegionConfig::from_instance(store.clone()).breaker(breaker).observer(observer.clone());
        region.configure(config.on_backend_failure(OnBackendFailure::Degrade)).unwrap();
        store.fails.store(true, SeqCst);
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        assert_eq!(observer.1.load(SeqCst), 1);
    });
}

/// Configures its region each time that it is being configured.
#[derive(Debug)]
struct Always(Weak<CacheRegion>);

impl Observer for Always {
    fn for_region(&self, _region: &str, _backend: &str) -> Option<Arc<dyn Observer>> {
        self.0.upgrade().unwrap().configure(memory()).unwrap();
        None
    }
}

#[test]
fn configuration_that_is_always_replaced_ends_with_an_error() {
    bounded(|| {
        let region = Arc::new(CacheRegion::new("busy"));
        let config = memory().observer(Arc::new(Always(Arc::downgrade(&region))));
        let error = region.configure(config).unwrap_err();
        assert!(matches!(error, RegionError::ConfiguredByOthers { .. }), "{error}");
        assert!(is_in_memory(&region));
        let shared = region.clone();
        let wrapped = region.wrap(move |proxied| {
            shared.configure(memory()).unwrap();
            Plain(proxied)
        });
        assert!(matches!(wrapped, Err(RegionError::ConfiguredByOthers { .. })));
    });
}

/// Moves its region while that is being configured.
#[derive(Debug)]
struct Early(Moves);

impl Observer for Early {
    fn for_region(&self, _region: &str, _backend: &str) -> Option<Arc<dyn Observer>> {
        self.0.once();
        None
    }
}

#[test]
fn region_configured_while_it_is_being_configured_stays_so() {
    bounded(|| {
        let region = Arc::new(CacheRegion::new("region"));
        let config = RegionConfig::from_instance(Arc::new(Failing::default()));
        let ended = region.configure(config.clone().observer(Arc::new(Early(Moves::of(&region)))));
        assert!(matches!(ended, Err(RegionError::AlreadyConfigured { .. })));
        assert!(is_in_memory(&region));
        // One that replaces any backend replaces that one.
        let replacing = config.observer(Arc::new(Early(Moves::of(&region)))).replace_existing_backend();
        region.configure(replacing).unwrap();
        assert!(!is_in_memory(&region));
    });
}

/// A proxy that changes nothing.
#[derive(Debug)]
struct Plain(Arc<dyn CacheBackend>);

impl ProxyBackend for Plain {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }
}

#[test]
fn proxy_wraps_the_backend_that_its_creation_configured() {
    bounded(|| {
        let region = Arc::new(CacheRegion::new("region"));
        region.configure(RegionConfig::from_instance(Arc::new(Failing::default()))).unwrap();
        let moves = Moves::of(&region);
        let make = move |proxied: Arc<dyn CacheBackend>| {
            moves.once();
            Plain(proxied)
        };
        region.wrap(make).unwrap();
        let shown = format!("{:?}", region.backend().unwrap());
        assert!(shown.starts_with("Plain(") && shown.contains("Memory"), "{shown}");
    });
}

/// A backend that moves its region when it is dropped.
#[derive(Debug)]
struct Dropped(Moves);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.once();
    }
}

impl CacheBackend for Dropped {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Err(BackendError::new(ErrorKind::Other, "the test reads no value"))
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }
}

#[test]
fn backend_that_is_replaced_may_configure_its_region() {
    bounded(|| {
        let region = Arc::new(CacheRegion::new("region"));
        region.configure(RegionConfig::from_instance(Arc::new(Dropped(Moves::of(&region))))).unwrap();
        let replacing = RegionConfig::from_instance(Arc::new(Failing::default())).replace_existing_backend();
        region.configure(replacing).unwrap();
        assert!(is_in_memory(&region));
    });
}
