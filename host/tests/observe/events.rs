//! What observers receive.

use std::sync::{Arc, Mutex, Weak};

use dogpile::{CacheRegion, Event, EventKind, Observer, RegionConfig, Registry};

use super::setup::{Noting, expiring, outcomes, region, seconds};

fn observed(observer: &Arc<Noting>) -> RegionConfig {
    RegionConfig::new("dogpile.cache.memory").observer(observer.clone())
}

#[test]
fn each_step_and_ending_is_reported() {
    let observer = Noting::of_all();
    let (region, clock) = expiring(observed(&observer));
    region.get::<i32>("key").unwrap();
    region.get_or_create("key", || 1).unwrap();
    region.get::<i32>("key").unwrap();
    assert_eq!(observer.take(), ["miss key", "creation key", "created key", "hit key"]);
    clock.advance(seconds(101));
    region.get_or_create("key", || region.get_or_create("key", || 3).unwrap()).unwrap();
    assert_eq!(observer.take(), ["stale_served key", "creation key", "created key"]);
    assert!(region.try_get_or_create("new", || Err::<i32, _>("no")).is_err());
    assert_eq!(observer.take(), ["creation new", "failed new"]);
    region.get_or_create_multi(&["key", "b", "a"], |keys| vec![1; keys.len()]).unwrap();
    assert_eq!(observer.take(), ["creation a,b", "created a", "created b", "hit key"]);
}

#[test]
fn hits_are_reported_only_to_observers_that_want_them() {
    let (some, all) = (Arc::new(Noting::default()), Noting::of_all());
    let region = region(observed(&some).observer(all.clone()));
    region.set("key", 1).unwrap();
    region.get::<i32>("key").unwrap();
    region.get_multi::<i32>(&["key"]).unwrap();
    assert_eq!((some.take(), all.take()), (vec![], vec!["hit key".to_owned(); 2]));
}

#[test]
fn observer_of_a_registry_sees_regions_configured_later() {
    let (registry, observer) = (Registry::new(), Arc::new(Noting::default()));
    let config = || RegionConfig::new("dogpile.cache.memory").registry(registry.clone());
    let before = region(config());
    registry.observe(observer.clone());
    let after = region(config());
    before.get::<i32>("before").unwrap();
    after.get::<i32>("after").unwrap();
    assert_eq!(observer.take(), ["miss after"]);
}

/// Panics at each chance.
#[derive(Debug)]
struct Panicking;

impl Observer for Panicking {
    fn wants_hits(&self) -> bool {
        true
    }

    fn event(&self, _event: &Event<'_>) {
        panic!("planned: an observer panics");
    }
}

#[test]
fn panic_of_an_observer_is_contained() {
    let last = Noting::of_all();
    let config =
        RegionConfig::new("dogpile.cache.memory").observer(Arc::new(Panicking)).observer(last.clone());
    let region = region(config);
    assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
    assert_eq!(region.get::<i32>("key").unwrap(), Some(1));
    assert_eq!(last.take(), ["creation key", "created key", "hit key"]);
}

/// Makes an observer of its own for each region.
#[derive(Debug, Default)]
struct PerRegion(Mutex<Vec<(String, Arc<Noting>)>>);

impl Observer for PerRegion {
    fn for_region(&self, region: &str, backend: &str) -> Option<Arc<dyn Observer>> {
        let noting = Arc::new(Noting::default());
        self.0.lock().unwrap().push((format!("{region} over {backend}"), Arc::clone(&noting)));
        Some(noting)
    }
}

#[test]
fn observer_makes_one_for_each_region() {
    let factory = Arc::new(PerRegion::default());
    let regions = ["one", "two"].map(CacheRegion::new);
    for region in &regions {
        region.configure(RegionConfig::new("dogpile.cache.memory").observer(factory.clone())).unwrap();
        region.get::<i32>(region.name()).unwrap();
    }
    let made = factory.0.lock().unwrap();
    let told: Vec<_> = made.iter().map(|(name, noting)| (name.as_str(), noting.take())).collect();
    let one = ("one over dogpile.cache.memory", vec!["miss one".to_owned()]);
    let two = ("two over dogpile.cache.memory", vec!["miss two".to_owned()]);
    assert_eq!(told, [one, two]);
}

/// Calls its region again from within an event.
#[derive(Debug, Default)]
struct Calling(Mutex<Weak<CacheRegion>>);

impl Observer for Calling {
    fn event(&self, event: &Event<'_>) {
        let region = self.0.lock().unwrap().upgrade();
        if let (EventKind::Creation { .. }, Some(region)) = (event.kind, region) {
            assert!(region.creations().unwrap().len() <= 1);
            region.set("from the observer", 1).unwrap();
        }
    }
}

#[test]
fn events_are_reported_outside_of_locks() {
    let observer = Arc::new(Calling::default());
    let config = RegionConfig::new("dogpile.cache.memory").observer(observer.clone());
    let region = Arc::new(region(config));
    *observer.0.lock().unwrap() = Arc::downgrade(&region);
    region.get_or_create("key", || 1).unwrap();
    assert_eq!(region.get::<i32>("from the observer").unwrap(), Some(1));
}

/// Requests its region at each event.
#[derive(Debug, Default)]
struct Asking(Mutex<(Weak<CacheRegion>, Vec<&'static str>)>);

impl Observer for Asking {
    fn wants_hits(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        let region = {
            let mut inner = self.0.lock().unwrap();
            inner.1.push(event.kind.name());
            inner.0.upgrade()
        };
        if let Some(region) = region {
            region.get_or_create("asked", || 1).unwrap();
            region.get::<i32>("never").unwrap();
        }
    }
}

/// Its own calls are counted, and other observers learn of them. Otherwise it would call itself until the stack ends.
#[test]
fn observer_that_calls_its_region_is_not_called_again() {
    let (asking, other) = (Arc::new(Asking::default()), Noting::of_all());
    let config = observed(&other).observer(asking.clone()).statistics(true);
    let region = Arc::new(region(config));
    asking.0.lock().unwrap().0 = Arc::downgrade(&region);
    region.get_or_create("key", || 1).unwrap();
    region.get::<i32>("key").unwrap();
    assert_eq!(asking.0.lock().unwrap().1, ["creation", "created", "hit"]);
    assert_eq!(outcomes(&region), [("hit", 3), ("created", 2), ("miss", 3)]);
    let endings = other.take().into_iter().filter(|told| !told.starts_with("creation ")).count();
    assert_eq!(endings, 8);
}

#[test]
fn endings_are_marked() {
    assert!(EventKind::Miss.is_ending() && EventKind::Canceled.is_ending());
    assert!(!EventKind::Early.is_ending() && !EventKind::Superseded.is_ending());
}
