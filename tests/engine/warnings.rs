//! Warnings name what failed and why, and one of each kind is logged in ten seconds.

use std::sync::Arc;
use std::time::Duration;

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, ErrorKind, ProxyBackend, StoreOptions, proxy};
use dogpile::{BreakerConfig, CacheRegion, Event, ManualClock, Observer, OnBackendFailure, RegionConfig};
use dogpile_tests::events::Events;
use dogpile_tests::forgetful::Forgetful;

/// Finds nothing and stores nothing, because its server is away.
#[derive(Debug)]
struct Away;

impl ProxyBackend for Away {
    fn proxied(&self) -> &dyn CacheBackend {
        &Forgetful(())
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        let cause = BackendError::new(ErrorKind::Other, "the cable is cut");
        let error = BackendError::new(ErrorKind::Unavailable, "cannot reach the server").with_source(cause);
        Err(error.at_server("cache1:6379"))
    }
}

#[test]
fn warnings_are_limited_and_name_key_server_and_cause() {
    let (clock, events) = (Arc::new(ManualClock::at(50.0)), Events::of_region("limited"));
    let region = CacheRegion::new("limited");
    region.configure(RegionConfig::from_instance(proxy(Away)).clock(clock.clone())).unwrap();
    let create = || (0..50).for_each(|_| assert_eq!(region.get_or_create("tea", || 1).unwrap(), 1));
    let warnings = || -> Vec<_> {
        let told = events.take().into_iter();
        told.filter(|told| told.message == "a created value was not stored; its caller still gets it")
            .collect()
    };
    create();
    let first = warnings();
    assert_eq!(first.len(), 1, "{first:?}");
    let fields = &first[0].fields;
    assert_eq!(
        (&*fields["key"], &*fields["server"], &*fields["suppressed"]),
        ("\"tea\"", "cache1:6379", "0")
    );
    for cause in ["cannot reach the server", "the cable is cut"] {
        assert!(fields["error"].contains(cause), "{fields:?}");
    }
    clock.advance(Duration::from_secs(9));
    create();
    assert!(warnings().is_empty());
    clock.advance(Duration::from_secs(1));
    create();
    let later = warnings();
    assert_eq!(later.len(), 1, "{later:?}");
    assert_eq!(later[0].fields["suppressed"], "99");
}

#[test]
fn failing_background_creations_are_limited() {
    let (clock, events) = (Arc::new(ManualClock::at(50.0)), Events::of_region("limited background"));
    let region = CacheRegion::new("limited background");
    let runner = Arc::new(Inline);
    let config = RegionConfig::new("dogpile.cache.memory").expiration_time(Duration::from_secs(10));
    region.configure(config.async_creation_runner(runner).clock(clock.clone())).unwrap();
    region.set("tea", 1).unwrap();
    clock.advance(Duration::from_secs(20));
    for _ in 0..20 {
        let call = region.options().background();
        assert_eq!(call.try_get_or_create("tea", || Err::<i32, _>("out of tea")).unwrap(), 1);
    }
    let told: Vec<_> =
        events.take().into_iter().filter(|told| told.message.contains("in the background failed")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&*told[0].fields["key"], &*told[0].fields["error"]), ("\"tea\"", "out of tea"));
}

/// A backend whose server is away, also for reads.
#[derive(Debug)]
struct Down;

impl Down {
    fn error() -> BackendError {
        let cause = BackendError::new(ErrorKind::Other, "the \"cable\" is cut");
        BackendError::new(ErrorKind::Unavailable, "no reply").with_source(cause).at_server("cache2:6379")
    }
}

impl CacheBackend for Down {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Err(Down::error())
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Err(Down::error())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Err(Down::error())
    }
}

/// Both records of an outage have the same fields as all others: the whole cause, which is not quoted, and the server. A
/// breaker belongs to a store, so that its record names all regions over it.
#[test]
fn outage_is_logged_with_server_and_cause() {
    let events = Events::with("backend", "Down");
    let region = CacheRegion::new("cut off");
    let breaker = BreakerConfig::default().failures(1).open_for(Duration::from_secs(3600));
    let config = RegionConfig::from_instance(Arc::new(Down)).on_backend_failure(OnBackendFailure::Degrade);
    region.configure(config.breaker(breaker)).unwrap();
    assert_eq!(region.get_or_create("tea", || 1).unwrap(), 1);
    let mut told = events.take();
    told.sort_by(|one, other| one.message.cmp(&other.message));
    let messages: Vec<&str> = told.iter().map(|told| &*told.message).collect();
    assert_eq!(
        messages,
        [
            "a backend failed; the call goes on without it",
            "the breaker of a backend opened; its calls fail at once until a probe succeeds"
        ]
    );
    for told in &told {
        assert_eq!(told.fields["server"], "cache2:6379", "{told:?}");
        assert_eq!(told.fields["error"], "no reply: the \"cable\" is cut", "{told:?}");
    }
    assert_eq!((&*told[0].fields["region"], &*told[0].fields["key"]), ("cut off", "\"tea\""));
    assert_eq!(told[1].fields["regions"], "cut off");
}

/// Panics at each event.
#[derive(Debug)]
struct Panicking;

impl Observer for Panicking {
    fn wants_hits(&self) -> bool {
        true
    }

    fn event(&self, _event: &Event<'_>) {
        std::panic::panic_any("planned: an observer panics");
    }
}

#[test]
fn panics_of_an_observer_are_limited() {
    let events = Events::of_region("badly observed");
    let region = CacheRegion::new("badly observed");
    region.configure(RegionConfig::new("dogpile.cache.memory").observer(Arc::new(Panicking))).unwrap();
    for _ in 0..50 {
        region.get_or_create("tea", || 1).unwrap();
    }
    let panics: Vec<_> =
        events.take().into_iter().filter(|told| told.message.starts_with("an observer panicked")).collect();
    assert_eq!(panics.len(), 1, "{panics:?}");
    assert_eq!(
        (&*panics[0].fields["panic"], &*panics[0].fields["suppressed"]),
        ("planned: an observer panics", "0")
    );
}

#[test]
fn panics_of_background_creators_are_limited() {
    let events = Events::of_region("panicking background");
    let region = CacheRegion::new("panicking background");
    let config = RegionConfig::new("dogpile.cache.memory").expiration_time(Duration::from_secs(10));
    let clock = Arc::new(ManualClock::at(50.0));
    region.configure(config.async_creation_runner(Arc::new(Inline)).clock(clock.clone())).unwrap();
    region.set("tea", 1).unwrap();
    clock.advance(Duration::from_secs(20));
    for _ in 0..20 {
        let call = region.options().background();
        assert_eq!(call.get_or_create("tea", || -> i32 { panic!("planned: no tea") }).unwrap(), 1);
    }
    let panics: Vec<_> =
        events.take().into_iter().filter(|told| told.message.contains("creator panicked")).collect();
    assert_eq!(panics.len(), 1, "{panics:?}");
    assert_eq!((&*panics[0].fields["key"], &*panics[0].fields["panic"]), ("\"tea\"", "planned: no tea"));
}

/// Runs each creation at once, on the thread of its caller.
#[derive(Debug)]
struct Inline;

impl dogpile::Runner for Inline {
    fn run(&self, creation: dogpile::Creation) {
        creation.run();
    }
}
