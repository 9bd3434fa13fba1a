//! Regions that are unconfigured, configured wrongly, or configured twice, and regions with unusual keys.

use dogpile::{CacheRegion, CreateError, RegionConfig, RegionError};
use dogpile_tests::errors::told;
use dogpile_tests::regions::{PassThrough, Subject, on_each};

#[test]
fn every_call_of_an_unconfigured_region_fails() {
    let region = CacheRegion::new("lazy");
    let results = [
        region.get::<u32>("key").map(drop),
        region.get_multi::<u32>(&["key"]).map(drop),
        region.get_value_metadata::<u32>("key").map(drop),
        region.set("key", 1),
        region.set_multi([("key", 1)]),
        region.delete("key"),
        region.delete_multi(&["key"]),
        region.get_or_create("key", || 1).map(drop),
        region.get_or_create_multi(&["key"], |_| vec![1]).map(drop),
        region.options().background().get_or_create("key", || 1).map(drop),
        region.options().background().get_or_create_multi(&["key"], |_| vec![1]).map(drop),
        region.key_is_locked("key").map(drop),
        region.invalidate(),
        region.invalidate_soft(),
        region.backend().map(drop),
        region.actual_backend().map(drop),
        region.wrap(PassThrough).map(drop),
    ];
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(told(&error), "region \"lazy\" is not configured; call `configure` before using it");
        assert!(!error.is_transient() && error.backend_error().is_none());
    }
    let created = region.try_get_or_create("key", || Err::<u32, _>("not reached"));
    assert!(matches!(created, Err(CreateError::Region(RegionError::NotConfigured { .. }))), "{created:?}");
}

/// In Python, a region counts as configured after a failed `configure`.
#[test]
fn failed_configuration_changes_nothing() {
    let wrong = || {
        [
            RegionConfig::new("dogpile.cache.memroy"),
            RegionConfig::new("dogpile.cache.memory").argument("max_entries", 0),
            RegionConfig::new("dogpile.cache.memory").serializer_named("none"),
            RegionConfig::new("dogpile.cache.memory").key_mangler_named("none"),
            RegionConfig::new("dogpile.cache.memory").wrap("dogpile.proxy.none"),
            RegionConfig::new("dogpile.cache.memory").arguments(5),
        ]
    };
    let region = CacheRegion::new("users");
    for config in wrong() {
        region.configure(config).unwrap_err();
        assert!(!region.is_configured());
    }
    on_each(|Subject { region, .. }| {
        region.set("key", 1).unwrap();
        for config in wrong() {
            region.configure(config.replace_existing_backend()).unwrap_err();
            assert_eq!(region.get("key").unwrap(), Some(1));
        }
        let again = region.configure(RegionConfig::new("dogpile.cache.null")).unwrap_err();
        assert!(told(&again).contains("\"tested\" is already configured"), "{again}");
        assert_eq!(region.get("key").unwrap(), Some(1));
    });
}

#[test]
fn region_can_be_configured_after_a_failed_attempt() {
    let region = CacheRegion::new("users");
    region.configure(RegionConfig::new("dogpile.cache.memroy")).unwrap_err();
    region.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    region.set("key", 1).unwrap();
    assert_eq!(region.get("key").unwrap(), Some(1));
}

#[test]
fn keys_with_unusual_characters_are_distinct() {
    on_each(|Subject { region, .. }| {
        let long = "k".repeat(100_000);
        let keys =
            ["a", " a", "a ", "a\0", "a\n", "ä", "a\u{308}", "\u{202e}a", "|", "{\"ct\": 1}|", long.as_str()];
        for (number, key) in keys.iter().enumerate() {
            region.set(key, number).unwrap();
        }
        let expected: Vec<Option<usize>> = (0..keys.len()).map(Some).collect();
        assert_eq!(region.get_multi::<usize>(&keys).unwrap(), expected);
    });
}

#[test]
fn error_for_a_long_key_is_truncated() {
    let store = dogpile_tests::scripted::Scripted::new();
    let region = CacheRegion::new("users");
    region.configure(RegionConfig::from_instance(store.clone())).unwrap();
    store.fail("get", dogpile::sdk::ErrorKind::Timeout);
    let error = region.get::<u32>(&"k".repeat(100_000)).unwrap_err();
    assert!(told(&error).contains("characters truncated"), "{error}");
    let RegionError::Backend { key, .. } = &error else { panic!("{error:?}") };
    assert!(key.chars().count() < 350, "{key}");
}
