//! Key manglers.

use std::sync::Arc;

use dogpile::sdk::{CacheMutex, Capabilities, KeyBytes};
use dogpile::{CacheRegion, RegionConfig, RegionError, length_conditional_mangler, sha1_mangle_key};
use dogpile_tests::errors::told;
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;
use sha2::{Digest, Sha256};

fn region_on(store: &Arc<Scripted>, change: impl Fn(RegionConfig) -> RegionConfig) -> CacheRegion {
    region_of("keys", change(RegionConfig::from_instance(store.clone())))
}

/// Behavior: `key-mangler-default-none`
#[test]
fn keys_are_stored_unchanged_without_a_key_mangler() {
    let store = Scripted::new();
    region_on(&store, |config| config).set("some key", 1).unwrap();
    assert_eq!(store.stored_keys(), ["some key"]);
}

/// Behavior: `key-mangler-region-argument`
#[test]
fn regions_key_mangler_overrides_the_backends() {
    let store = Scripted::with_key_mangler("backend:");
    region_on(&store, |config| config.key_mangler(|key| format!("region:{key}"))).set("key", 1).unwrap();
    assert_eq!(store.stored_keys(), ["region:key"]);
}

/// Behavior: `key-mangler-from-backend`
#[test]
fn backends_key_mangler_is_used_if_the_region_has_none() {
    let store = Scripted::with_key_mangler("backend:");
    region_on(&store, |config| config).set("key", 1).unwrap();
    assert_eq!(store.stored_keys(), ["backend:key"]);
}

/// Behavior: `key-mangler-applies-to-storage`
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

/// Behavior: `mangler-sha1-text`
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

/// Returns the key by which `key` is replaced.
fn replacement(key: &str) -> String {
    let digits = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("_dogpile:sha256:{digits}")
}

#[test]
fn key_that_the_store_cannot_take_is_stored_under_its_sha256() {
    let limits = Capabilities::default().with_key_limit(100).with_key_bytes(KeyBytes::NoWhitespace);
    let store = Scripted::with_capabilities(limits);
    let region = region_on(&store, |config| config);
    let long = "k".repeat(101);
    for key in ["plain", "with a space", long.as_str()] {
        region.set(key, key.to_owned()).unwrap();
        assert_eq!(region.get::<String>(key).unwrap().as_deref(), Some(key));
    }
    let mut expected = ["plain".to_owned(), replacement("with a space"), replacement(&long)];
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

/// A key that is too long and its replacement are two keys, because a key that looks like a replacement is replaced too.
#[test]
fn replaced_key_and_its_replacement_have_values_of_their_own() {
    let store = Scripted::with_capabilities(Capabilities::default().with_key_limit(100));
    let region = region_on(&store, |config| config);
    let long = "k".repeat(101);
    let stored = region.mangled_key(&long).unwrap();
    assert_eq!(stored, replacement(&long));
    region.set(&long, 1).unwrap();
    region.set(&stored, 2).unwrap();
    assert_eq!((region.get(&long).unwrap(), region.get(&stored).unwrap()), (Some(1), Some(2)));
    assert_eq!(region.mangled_key(&stored).unwrap(), replacement(&stored));
}

/// The calls are those that take keys: what one of them stores, every other one finds.
#[test]
fn every_call_replaces_reserved_keys() {
    let store = Scripted::with_mutexes_and(Capabilities::default().with_reserved_prefix("_lock"));
    let region = region_on(&store, |config| config);
    let [a, b, c, d] = ["_locka", "_lockb", "_dogpile:c", "_dogpile:sha256:d"];
    region.set(a, 1).unwrap();
    region.set_multi([(b, 2)]).unwrap();
    region.get_or_create(c, || 3).unwrap();
    region.get_or_create_multi(&[d, a], |_| vec![4]).unwrap();
    let mut expected = [a, b, c, d].map(replacement);
    expected.sort();
    assert_eq!(store.stored_keys(), expected);
    assert_eq!(store.keys_of("get_mutex"), [replacement(c), replacement(d)]);

    assert_eq!(region.get_multi(&[d, c, b, a]).unwrap(), [Some(4), Some(3), Some(2), Some(1)]);
    assert_eq!(region.get_value_metadata::<i32>(b).unwrap().unwrap().value, 2);
    assert_eq!(region.get_or_create(b, || 9).unwrap(), 2);
    assert!(!region.key_is_locked(a).unwrap());
    let mutex = store.mutex(&replacement(a));
    assert!(mutex.try_acquire().unwrap());
    assert!(region.key_is_locked(a).unwrap());
    mutex.release().unwrap();
    region.delete(a).unwrap();
    region.delete_multi(&[b, c]).unwrap();
    assert_eq!(store.stored_keys(), [replacement(d)]);
}

/// The prefix that a proxy adds counts: only the whole key can be that of a lock.
#[test]
fn reserved_prefix_is_that_of_the_key_behind_its_proxies() {
    let prefixed = |prefix: &str| {
        let store = Scripted::with_capabilities(Capabilities::default().with_reserved_prefix("_lock"));
        let proxy = std::collections::BTreeMap::from([("prefix", prefix)]);
        (store.clone(), RegionConfig::from_instance(store).wrap_with("dogpile.proxy.key_prefix", proxy))
    };
    let (store, config) = prefixed("users:");
    region_of("keys", config).set("_locka", 1).unwrap();
    assert_eq!(store.stored_keys(), ["users:_locka"]);

    let (store, config) = prefixed("_lo");
    let region = region_of("keys", config);
    region.set("cka", 1).unwrap();
    region.set("cat", 2).unwrap();
    assert_eq!(store.stored_keys(), [format!("_lo{}", replacement("cka")), "_locat".to_owned()]);

    for reserved in ["_lock", "_lock:users:", "_dogpile:"] {
        let error = CacheRegion::new("keys").configure(prefixed(reserved).1).unwrap_err();
        let text = format!("{:?}", told(&error));
        assert!(text.contains("is reserved for locks or replaced keys"), "{text}");
    }
}
