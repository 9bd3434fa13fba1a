//! Creators that see the old value and decide whether to replace it.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, CreationTime, ProxyBackend};
use dogpile::{
    Aged, CacheRegion, CreateError, Created, Creation, Expiration, ManualClock, RegionConfig, RegionError,
};
use dogpile_tests::desk::Desk;
use dogpile_tests::regions::{START, Subject, on_each, on_each_with, region_of};

const SECOND: Duration = Duration::from_secs(1);

/// Calls a region whose creator confirms the old value, and returns what the creator saw and what came of it.
fn confirm(region: &CacheRegion) -> (Option<Aged<i32>>, Result<i32, CreateError<Infallible>>) {
    let mut seen = None;
    let result = region.options().get_or_create_with("key", |old: Option<Aged<i32>>| {
        seen = old;
        Ok(Created::unchanged())
    });
    (seen, result)
}

#[test]
fn creator_sees_stale_value_and_its_age() {
    on_each_with(
        |config| config.expiration_time(SECOND),
        |Subject { region, clock }| {
            region.set("key", 1).unwrap();
            clock.advance(5 * SECOND);
            let (seen, _) = confirm(region);
            let seen = seen.unwrap();
            assert_eq!((seen.value, seen.age), (1, 5 * SECOND));
            assert_eq!(seen.creation_time, CreationTime::from_seconds(START));
        },
    );
}

#[test]
fn creator_sees_no_value_that_is_hard_invalidated() {
    on_each(|Subject { region, clock }| {
        region.set("key", 1).unwrap();
        clock.advance(SECOND);
        region.invalidate_soft().unwrap();
        assert_eq!(confirm(region).0.map(|old| old.value), Some(1));
        region.invalidate().unwrap();
        assert_eq!(confirm(region).0, None);
    });
}

#[test]
fn unchanged_value_gets_a_new_creation_time() {
    on_each_with(
        |config| config.expiration_time(SECOND),
        |Subject { region, clock }| {
            region.set("key", 1).unwrap();
            clock.advance(5 * SECOND);
            assert_eq!(confirm(region).1.unwrap(), 1);
            let stored = region.get_value_metadata::<i32>("key").unwrap().unwrap();
            assert_eq!((stored.value, stored.age), (1, Duration::ZERO));
            assert_eq!(stored.creation_time, CreationTime::from_seconds(START + 5.0));
        },
    );
}

#[test]
fn unchanged_without_an_old_value_fails() {
    on_each(|Subject { region, .. }| {
        let error = confirm(region).1.unwrap_err();
        let CreateError::Region(RegionError::NothingToConfirm { key, .. }) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(key, "\"key\"");
        let expected = "stored nothing for \"key\": the creator returned `Created::unchanged`, and there is no old \
                        value; return a value if the creator gets `None`";
        assert!(error.to_string().ends_with(expected), "{error}");
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 2, "the key is free");
    });
}

#[test]
fn uncached_value_leaves_the_stored_one() {
    on_each(|Subject { region, clock }| {
        region.set("key", 1).unwrap();
        clock.advance(SECOND);
        region.invalidate_soft().unwrap();
        let create = |_old| Ok::<_, Infallible>(Created::uncached(2));
        assert_eq!(region.options().get_or_create_with("key", create).unwrap(), 2);
        assert_eq!(region.options().ignore_expiration().get("key").unwrap(), Some(1));
    });
}

fn create_for(region: &CacheRegion, value: i32, age: Duration) -> i32 {
    let create = |_old| Ok::<_, Infallible>(Created::new(value).expires_after(age));
    region.options().get_or_create_with("key", create).unwrap()
}

#[test]
fn own_expiration_time_overrides_the_regions() {
    for (of_region, own) in [(SECOND, 10 * SECOND), (100 * SECOND, 10 * SECOND)] {
        let clock = Arc::new(ManualClock::at(START));
        let config =
            RegionConfig::new("dogpile.cache.memory_pickle").clock(clock.clone()).expiration_time(of_region);
        let region = region_of("own", config);
        assert_eq!(create_for(&region, 1, own), 1);
        clock.advance(9 * SECOND);
        assert_eq!((create_for(&region, 2, own), region.get("key").unwrap()), (1, Some(1)));
        assert_eq!(region.get_multi(&["key"]).unwrap(), [Some(1)]);
        clock.advance(2 * SECOND);
        assert_eq!((region.get::<i32>("key").unwrap(), create_for(&region, 2, own)), (None, 2));
    }
}

#[test]
fn own_expiration_time_applies_without_one_of_the_region() {
    on_each(|Subject { region, clock }| {
        create_for(region, 1, SECOND);
        clock.advance(2 * SECOND);
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        // A plain value replaces it, and lasts for the expiration time of the region.
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
        clock.advance(100 * SECOND);
        assert_eq!(region.get("key").unwrap(), Some(2));
    });
}

#[test]
fn expiration_time_of_a_call_overrides_the_values_own() {
    on_each(|Subject { region, clock }| {
        create_for(region, 1, 10 * SECOND);
        clock.advance(5 * SECOND);
        assert_eq!(region.options().expiration_time(4 * SECOND).get::<i32>("key").unwrap(), None);
        clock.advance(50 * SECOND);
        assert_eq!(region.options().expiration_time(Expiration::Never).get("key").unwrap(), Some(1));
    });
}

#[test]
fn unchanged_value_keeps_its_own_expiration_time() {
    on_each(|Subject { region, clock }| {
        create_for(region, 1, 10 * SECOND);
        clock.advance(11 * SECOND);
        assert_eq!(confirm(region).1.unwrap(), 1);
        clock.advance(9 * SECOND);
        assert_eq!(region.get("key").unwrap(), Some(1));
        clock.advance(2 * SECOND);
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        let longer =
            |_old: Option<Aged<i32>>| Ok::<_, Infallible>(Created::unchanged().expires_after(100 * SECOND));
        assert_eq!(region.options().get_or_create_with("key", longer).unwrap(), 1);
        clock.advance(99 * SECOND);
        assert_eq!(region.get("key").unwrap(), Some(1));
    });
}

#[test]
fn multi_creator_sees_the_old_value_of_each_key() {
    on_each(|Subject { region, clock }| {
        region.set_multi([("a", 1), ("c", 3)]).unwrap();
        clock.advance(SECOND);
        region.invalidate_soft().unwrap();
        region.set("d", 4).unwrap();
        let create = |keys: &[&str], olds: Vec<Option<Aged<i32>>>| {
            assert_eq!(keys, ["a", "b", "c"]);
            assert_eq!(
                olds.iter().map(|old| old.as_ref().map(|old| old.value)).collect::<Vec<_>>(),
                [Some(1), None, Some(3)]
            );
            Ok::<_, Infallible>(vec![Created::new(10), Created::uncached(20), Created::unchanged()])
        };
        let values = region.options().get_or_create_multi_with(&["d", "c", "b", "a"], create).unwrap();
        assert_eq!(values, [4, 3, 20, 10]);
        assert_eq!(region.get_multi(&["a", "b", "c"]).unwrap(), [Some(10), None, Some(3)]);
    });
}

/// Sets the key after a caller read it twice: the second time under the dogpile lock, before its creator runs.
#[derive(Debug)]
struct SetsAfterRead {
    proxied: Arc<dyn CacheBackend>,
    region: Arc<OnceLock<Arc<CacheRegion>>>,
    reads: AtomicUsize,
}

impl ProxyBackend for SetsAfterRead {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.proxied
    }

    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        let found = self.proxied.get(key)?;
        if let Some(region) = self.region.get()
            && self.reads.fetch_add(1, SeqCst) == 1
        {
            region.set(key, 2).unwrap();
        }
        Ok(found)
    }
}

/// The creator decided on a value that no longer exists. Its decision would undo the `set`.
#[test]
fn set_after_the_old_value_was_read_supersedes() {
    let hook = Arc::new(OnceLock::new());
    let of_proxy = Arc::clone(&hook);
    let wrap =
        move |proxied| SetsAfterRead { proxied, region: Arc::clone(&of_proxy), reads: AtomicUsize::new(0) };
    let region = Arc::new(region_of("overtaken", RegionConfig::new("dogpile.cache.memory").wrap_in(wrap)));
    region.set("key", 1).unwrap();
    region.invalidate_soft().unwrap();
    assert!(hook.set(Arc::clone(&region)).is_ok());
    assert_eq!(confirm(&region).1.unwrap(), 1);
    assert_eq!(region.get("key").unwrap(), Some(2));
}

#[test]
fn background_creator_sees_the_value_of_its_own_time() {
    let desk = Arc::new(Desk::default());
    let config = RegionConfig::new("dogpile.cache.memory").async_creation_runner(desk.clone());
    let region = region_of("later", config);
    let create =
        |old: Option<Aged<i32>>| Ok::<_, io::Error>(Created::new(10 * old.map_or(0, |old| old.value)));
    let call = || region.options().background().get_or_create_with("key", create).unwrap();
    region.set("key", 1).unwrap();
    region.invalidate_soft().unwrap();
    assert_eq!(call(), 1);
    // Set before the runner begins, and stale as well.
    region.set("key", 2).unwrap();
    region.invalidate_soft().unwrap();
    desk.take().into_iter().for_each(Creation::run);
    assert_eq!(region.get("key").unwrap(), Some(20));

    region.invalidate_soft().unwrap();
    assert_eq!(call(), 20);
    region.set("key", 3).unwrap();
    desk.take().into_iter().for_each(Creation::run);
    assert_eq!(region.get("key").unwrap(), Some(3), "the value is fresh when the runner begins");
    assert_eq!(region.creations().unwrap(), []);
}

#[test]
fn background_multi_creator_sees_old_values() {
    let desk = Arc::new(Desk::default());
    let config = RegionConfig::new("dogpile.cache.memory").async_creation_runner(desk.clone());
    let region = region_of("later, many", config);
    region.set_multi([("a", 1), ("b", 2)]).unwrap();
    region.invalidate_soft().unwrap();
    let create = |_: &[&str], olds: Vec<Option<Aged<i32>>>| {
        let tenfold = |old: Option<Aged<i32>>| Created::new(10 * old.map_or(0, |old| old.value));
        Ok::<_, io::Error>(olds.into_iter().map(tenfold).collect())
    };
    let call = region.options().background();
    assert_eq!(call.get_or_create_multi_with(&["a", "b"], create).unwrap(), [1, 2]);
    desk.take().into_iter().for_each(Creation::run);
    assert_eq!(region.get_multi(&["a", "b"]).unwrap(), [Some(10), Some(20)]);
}
