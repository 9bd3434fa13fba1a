//! Calls whose keys are longer than a store's limit share no values.

use dogpile::sdk::{Capabilities, KeyBytes};
use dogpile::{CacheRegion, RegionConfig, cache_on_arguments, length_conditional_mangler, sha1_mangle_key};
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::bounded;

#[cache_on_arguments(region = region, ignore(region))]
fn last(region: &CacheRegion, text: &str, number: u8) -> String {
    format!("{}{number}", text.chars().last().unwrap_or_default())
}

/// Calls a function with long texts of one beginning, twice.
fn assert_distinct_values(config: RegionConfig) {
    let region = region_of("long", config);
    for length in [200, 240, 250, 255, 511, 512, 2000, 70_000] {
        let long = "k".repeat(length);
        for _ in 0..2 {
            for end in ["a", "b", " ", "|", "\"", "é"] {
                let values = [1, 2].map(|number| last(&region, &format!("{long}{end}"), number));
                assert_eq!(values, [format!("{end}1"), format!("{end}2")], "{length}");
            }
        }
    }
}

#[test]
fn long_keys_in_process_share_no_values() {
    let memory = || RegionConfig::new("dogpile.cache.memory");
    assert_distinct_values(memory());
    assert_distinct_values(memory().key_mangler(sha1_mangle_key));
    let mangler = length_conditional_mangler(250, sha1_mangle_key);
    assert_distinct_values(memory().key_mangler(move |key| mangler.mangle(key)));
    let limits = Capabilities::default().with_key_limit(250).with_key_bytes(KeyBytes::NoWhitespace);
    assert_distinct_values(RegionConfig::from_instance(Scripted::with_capabilities(limits)));
}

#[test]
fn long_keys_in_files_share_no_values() {
    bounded(|| {
        for backend in ["dogpile.cache.lmdb", "dogpile.cache.dbm"] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("cache").display().to_string();
            assert_distinct_values(RegionConfig::new(backend).argument("filename", file));
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn long_keys_on_memcached_share_no_values() {
    bounded(|| {
        let server = MemcachedServer::start(&[]).unwrap();
        assert_distinct_values(RegionConfig::new("dogpile.cache.memcached").argument("url", server.url()));
    });
}
