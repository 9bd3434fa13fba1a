//! The log events of a region.

use std::sync::Arc;
use std::time::Duration;

use dogpile::{CacheRegion, ManualClock, RegionConfig};
use dogpile_tests::events::{Events, Told};
use dogpile_tests::scripted::Scripted;
use tracing::Level;

/// Returns a region with the name `name`, its store, its clock, and its events.
fn observed(name: &'static str) -> (CacheRegion, Arc<Scripted>, Arc<ManualClock>, Events) {
    let (region, store, clock) = (CacheRegion::new(name), Scripted::new(), Arc::new(ManualClock::at(50.0)));
    region.configure(RegionConfig::from_instance(store.clone()).clock(clock.clone())).unwrap();
    (region, store, clock, Events::of_region(name))
}

fn debug(region: &str, field: &'static str, key: &str, message: &str) -> Told {
    let fields = [("region", region.to_owned()), (field, key.to_owned())].into();
    Told { level: Level::DEBUG, message: message.to_owned(), fields }
}

/// Behavior: `log-creation-time`
#[test]
fn creation_is_logged_with_its_seconds_and_keys() {
    let (region, _, clock, events) = observed("log creation");
    let work = || clock.advance(Duration::from_secs(5));
    region.get_or_create("foo", work).unwrap();
    let told = debug("log creation", "keys", "[\"foo\"]", "cache value generated in 5.000 seconds");
    assert_eq!(events.take().last(), Some(&told));
    let create = |keys: &[&str]| {
        work();
        vec![(); keys.len()]
    };
    region.get_or_create_multi(&["b", "a"], create).unwrap();
    let told = debug("log creation", "keys", "[\"a\", \"b\"]", "cache value generated in 5.000 seconds");
    assert_eq!(
        events.take().into_iter().filter(|told| told.message.contains("generated")).collect::<Vec<_>>(),
        [told]
    );
}

/// Behavior: `log-key-list-truncated`
#[test]
fn long_list_of_keys_is_logged_truncated() {
    let (region, _, _, events) = observed("log many");
    let keys: Vec<String> = (0..440).map(|number| format!("{number:06}")).collect();
    region.get_or_create_multi(&keys, |keys| vec![1; keys.len()]).unwrap();
    let told = events.take().pop().unwrap();
    // Each key takes 10 characters, with its quotes, a comma, and a space. All take 4400, with the brackets.
    let (head, tail) = ("[\"000000\", \"000001\"", "\"000438\", \"000439\"]");
    let shown = &told.fields["keys"];
    assert!(shown.starts_with(head) && shown.ends_with(tail), "{shown}");
    assert!(shown.contains(" ... (4100 characters truncated) ... "), "{shown}");
    assert_eq!(shown.chars().count(), 300 + " ... (4100 characters truncated) ... ".len());
}

/// Behavior: `log-miss`
#[test]
fn miss_is_logged_with_its_key() {
    let (region, _, _, events) = observed("log miss");
    assert_eq!(region.get::<u32>("foo").unwrap(), None);
    assert_eq!(events.take(), [debug("log miss", "key", "\"foo\"", "no value present for key")]);
    assert_eq!(region.get_multi::<u32>(&["a", "b"]).unwrap(), [None, None]);
    assert_eq!(events.take().len(), 2);
}

#[test]
fn hit_is_not_logged() {
    let (region, _, _, events) = observed("log hit");
    region.set("foo", 1).unwrap();
    region.get::<i32>("foo").unwrap();
    region.get_or_create("foo", || 2).unwrap();
    assert_eq!(events.take(), []);
}

/// Behavior: `log-version-miss`
#[test]
fn value_of_another_version_is_a_miss_before_invalidation() {
    let (region, store, clock, events) = observed("log version");
    region.set("foo", 1).unwrap();
    store.alter("foo", |value| value.metadata.version = 1);
    clock.advance(Duration::from_secs(1));
    region.invalidate().unwrap();
    assert_eq!(region.get::<i32>("foo").unwrap(), None);
    assert_eq!(events.take(), [debug("log version", "key", "\"foo\"", "dogpile version update for key")]);
    assert_eq!(region.get_or_create("foo", || 2).unwrap(), 2);
    assert_eq!(region.get("foo").unwrap(), Some(2));
}

/// Behavior: `log-hard-invalidation`
#[test]
fn hard_invalidation_is_logged_as_such() {
    let (region, _, clock, events) = observed("log hard");
    region.set("foo", 1).unwrap();
    clock.advance(Duration::from_secs(1));
    region.invalidate().unwrap();
    assert_eq!(region.get::<i32>("foo").unwrap(), None);
    assert_eq!(events.take(), [debug("log hard", "key", "\"foo\"", "hard invalidation detected for key")]);
}

#[test]
fn unreadable_value_is_logged_with_the_reason() {
    let (region, _, _, events) = observed("log unreadable");
    region.set("foo", 1).unwrap();
    assert_eq!(region.get::<String>("foo").unwrap(), None);
    let message = "the value for key is of type i32 and counts as missing; read it as that type";
    assert_eq!(events.messages(), [message]);
    let json = RegionConfig::new("dogpile.cache.memory").serializer_named("json").replace_existing_backend();
    region.configure(json).unwrap();
    region.set("foo", 1).unwrap();
    assert_eq!(region.get::<String>("foo").unwrap(), None);
    let told = events.take().pop().unwrap();
    assert!(told.fields["error"].contains("expected a string"), "{told:?}");
}
