//! For how long stores keep values, and when values of one age expire.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, StoreOptions};
use dogpile::{Created, FailSafe, RegionConfig, Share};

use super::setup::{plain, region, seconds};

/// Records the values that it stores, and their lifetimes.
#[derive(Debug, Default)]
struct Keeping(Mutex<Vec<Option<Duration>>>);

impl CacheBackend for Keeping {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(None)
    }

    fn set(&self, _key: &str, _value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        self.0.lock().unwrap().push(options.keep_for);
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }
}

/// A set, a creation, a creation with an expiration time of 10 seconds, and a call with one of 500 seconds.
fn kept(change: impl Fn(RegionConfig) -> RegionConfig) -> Vec<Option<u64>> {
    let backend = Arc::new(Keeping::default());
    let (region, _clock) = region(change(RegionConfig::from_instance(backend.clone())));
    region.set("key", 1).unwrap();
    region.get_or_create("key", || 1).unwrap();
    let own = |_| Ok::<_, std::fmt::Error>(Created::new(1).expires_after(seconds(10)));
    region.options().get_or_create_with("key", own).unwrap();
    region.options().expiration_time(500).get_or_create("key", || 1).unwrap();
    let kept = backend.0.lock().unwrap();
    kept.iter().map(|kept| kept.map(|kept| kept.as_secs())).collect()
}

#[test]
fn stores_keep_values_as_long_as_they_can_be_served() {
    assert_eq!(kept(|config| config.expiration_time(100)), [None; 4]);
    assert_eq!(kept(|config| config.max_stale(50)), [None, None, Some(120), None]);
    let stale = |config: RegionConfig| config.expiration_time(100).max_stale(50);
    assert_eq!(kept(stale), [Some(210), Some(210), Some(120), Some(610)]);
    let saved = |config: RegionConfig| stale(config).fail_safe(FailSafe::new(seconds(1000)));
    assert_eq!(kept(saved), [Some(1060); 4]);
}

/// Returns the keys of a region that expired after 75 seconds, of values made at once.
fn expired(early: bool) -> BTreeSet<u32> {
    let config = plain().jitter(Share::percent(50));
    let (region, clock) = region(if early { config.early_refresh(Share::percent(99)) } else { config });
    region.set_multi((0..1000_u32).map(|key| (key.to_string(), key))).unwrap();
    clock.advance(seconds(49));
    assert!((0..1000).all(|key: u32| region.get::<u32>(&key.to_string()).unwrap().is_some()));
    clock.advance(seconds(26));
    let expired = (0..1000).filter(|key| region.get::<u32>(&key.to_string()).unwrap().is_none()).collect();
    clock.advance(seconds(26));
    assert!((0..1000).all(|key: u32| region.get::<u32>(&key.to_string()).unwrap().is_none()));
    expired
}

#[test]
fn jitter_spreads_expirations_alike_in_all_regions() {
    let expired = [expired(false), expired(false), expired(true)];
    assert!((400..600).contains(&expired[0].len()), "{}", expired[0].len());
    assert!(expired.iter().all(|other| *other == expired[0]));
}
