//! Key manglers.

use std::sync::Arc;

use dogpile::sdk::{Capabilities, KeyBytes};
use dogpile::{CacheRegion, RegionConfig, RegionError, length_conditional_mangler, sha1_mangle_key};
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;

fn region_on(store: &Arc<Scripted>, change: impl Fn(RegionConfig) -> RegionConfig) -> CacheRegion {
    region_of("keys", change(RegionConfig::from_instance(store.clone())))
}

/// Behaviour: `key-mangler-default-none`
#[test]
fn keys_are_stored_unchanged_without_a_key_mangler() {
    let store = Scripted::new();
    region_on(&store, |config| config).set("some key", 1).unwrap();
    assert_eq!(store.stored_keys(), ["some key"]);
}

/// Behaviour: `key-mangler-region-argument`
#[test]
fn regions_key_mangler_overrides_the_backends() {
    let store = Scripted::with_key_mangler("backend:");
    region_on(&store, |config| config.key_mangler(|key| format!("region:{key}"))).set("key", 1).unwrap();
    assert_eq!(store.stored_keys(), ["region:key"]);
}

/// Behaviour: `key-mangler-from-backend`
#[test]
fn backends_key_mangler_is_used_if_the_region_has_none() {
    let store = Scripted::with_key_mangler("backend:");
    region_on(&store, |config| config).set("key", 1).unwrap();
    assert_eq!(store.stored_keys(), ["backend:key"]);
}

/// Behaviour: `key-mangler-applies-to-storage`
#[test]
fn every_call_mangles_its_keys() {
    let store = Scripted::with_mutexes();
    let region = region_on(&store, |config| config.key_mangler(|key| format!("HI!{key}")));
    region.set("a", 1).unwrap();
    region.set_multi([("b", 2)]).unwrap();
    region.get_or_create("c", || 3).unwrap();
    region.get_or_create_multi(&["d"], |_| vec![4]).unwrap();
    assert_eq!(store.stored_keys(), ["HI!a", "HI!b", "HI!c", "HI!d"]);

    assert_eq!(region.get("a").unwrap(), Some(1));
    assert_eq!(region.get_multi(&["d", "b"]).unwrap(), [Some(4), Some(2)]);
    assert_eq!(region.get_value_metadata::<i32>("c").unwrap().unwrap().value, 3);
    assert_eq!(region.get_or_create("a", || 9).unwrap(), 1);
    region.delete("a").unwrap();
    region.delete_multi(&["b", "c"]).unwrap();
    assert_eq!(store.stored_keys(), ["HI!d"]);
    assert_eq!(store.keys_of("get_mutex"), ["HI!c", "HI!d"]);
}

/// Behaviour: `mangler-sha1-text`
#[test]
fn sha1_mangler_returns_the_same_digest_as_python() {
    assert_eq!(sha1_mangle_key("some_key"), "53def077a4264bd3183d4eb21b1f56f883e1b572");
    let store = Scripted::new();
    region_on(&store, |config| config.key_mangler_named("sha1")).set("some_key", 1).unwrap();
    assert_eq!(store.stored_keys(), ["53def077a4264bd3183d4eb21b1f56f883e1b572"]);
}

#[test]
fn sha1_of_a_non_ascii_key_hashes_its_utf8_bytes() {
    // The result of `hashlib.sha1("möchte".encode()).hexdigest()` in Python.
    assert_eq!(sha1_mangle_key("möchte"), "2239568bec12a05b82c9dac6c9094612cd39786b");
}

/// The length is counted in characters, not in bytes.
#[test]
fn conditional_mangler_changes_keys_of_at_least_its_length() {
    let mangler = length_conditional_mangler(4, |key| format!("<{key}>"));
    assert_eq!(
        ["abc", "abcd", "äöü", "äöüß"].map(|key| mangler.mangle(key)),
        ["abc", "<abcd>", "äöü", "<äöüß>"]
    );
}

#[test]
fn key_that_the_store_cannot_take_is_stored_under_its_sha1() {
    let limits = Capabilities::default().with_key_limit(50).with_key_bytes(KeyBytes::NoWhitespace);
    let store = Scripted::with_capabilities(limits);
    let region = region_on(&store, |config| config);
    let long = "k".repeat(51);
    for key in ["plain", "with a space", long.as_str()] {
        region.set(key, key.to_owned()).unwrap();
        assert_eq!(region.get::<String>(key).unwrap().as_deref(), Some(key));
    }
    let mut expected = ["plain".to_owned(), sha1_mangle_key("with a space"), sha1_mangle_key(&long)];
    expected.sort();
    assert_eq!(store.stored_keys(), expected);

    let strict = region_on(&store, |config| config.mangle_invalid_keys(false));
    let error = strict.set("with a space", 1).unwrap_err();
    assert!(matches!(error, RegionError::InvalidKey { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("\"keys\"") && text.contains("with a space") && text.contains("whitespace"),
        "{text}"
    );
}
