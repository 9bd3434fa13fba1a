//! Warnings name what failed and why, and one of each kind is logged in ten seconds.

use std::sync::Arc;
use std::time::Duration;

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, ErrorKind, ProxyBackend, StoreOptions, proxy};
use dogpile::{CacheRegion, ManualClock, RegionConfig};
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

/// Runs each creation at once, on the thread of its caller.
#[derive(Debug)]
struct Inline;

impl dogpile::Runner for Inline {
    fn run(&self, creation: dogpile::Creation) {
        creation.run();
    }
}
