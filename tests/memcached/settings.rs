//! Arguments whose effect is visible on the server.

use dogpile::RegionConfig;
use dogpile::sdk::ErrorKind;
use dogpile_tests::errors::told;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::bounded;
use serde_json::{Value, json};

use super::{BACKENDS, count, say, server};

/// Returns how a server stores values of a region with `more` arguments.
///
/// The value has 1,000 bytes. It is set once by `set` and twice by `set_multi`. Each item is returned as its remaining lifetime in seconds
/// (-1 for no limit), its flags, and its size.
fn stored_items(backend: &str, more: &Value) -> Vec<[i64; 3]> {
    let server = server();
    let config = RegionConfig::new(backend).arguments(more).argument("url", server.url());
    let region = region_of("settings", config);
    let value = "a value ".repeat(125);
    region.set("alone", value.clone()).unwrap();
    region.set_multi([("one", value.clone()), ("two", value)]).unwrap();
    let item = |key| {
        let reply = say(server.port(), &format!("mg {key} t f s"));
        let numbers: Vec<i64> =
            reply.split_whitespace().skip(1).map(|word| word[1..].parse().unwrap()).collect();
        numbers.try_into().unwrap()
    };
    ["alone", "one", "two"].map(item).to_vec()
}

/// Behavior: `python-memcached-expire-time`, `pymemcache-expire-time`, `pylibmc-expire-time`
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn memcached_expire_time_sets_item_lifetime() {
    bounded(|| {
        for backend in BACKENDS {
            for (time, left) in [(20, 10..=20), (40 * 86_400, 40 * 86_400 - 10..=40 * 86_400 + 1)] {
                let items = stored_items(backend, &json!({ "memcached_expire_time": time }));
                assert!(items.iter().all(|[expiry, ..]| left.contains(expiry)), "{backend}: {items:?}");
            }
        }
    });
}

/// Behavior: `python-memcached-min-compress-len`, `pylibmc-min-compress-len`
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn min_compress_len_compresses_long_values() {
    bounded(|| {
        for backend in ["dogpile.cache.memcached", "dogpile.cache.pylibmc", "dogpile.cache.bmemcached"] {
            let items = stored_items(backend, &json!({ "min_compress_len": 20 }));
            let is_compressed =
                |[expiry, flags, size]: &[i64; 3]| *expiry == -1 && flags & 8 == 8 && *size < 500;
            assert!(items.iter().all(is_compressed), "{backend}: {items:?}");
        }
    });
}

/// Behavior: `pylibmc-no-set-arguments`
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn default_arguments_store_plain_items_without_expiry() {
    bounded(|| {
        for backend in &BACKENDS[..3] {
            let items = stored_items(backend, &json!({}));
            let is_plain = |[expiry, flags, size]: &[i64; 3]| (*expiry, *flags) == (-1, 0) && *size > 1000;
            assert!(items.iter().all(is_plain), "{backend}: {items:?}");
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn oversized_value_is_an_error_or_skipped() {
    bounded(|| {
        let server = server();
        for backend in BACKENDS {
            let config = || {
                let config = RegionConfig::new(backend).argument("url", server.url());
                if backend == "dogpile.cache.bmemcached" {
                    config.argument("min_compress_len", 0)
                } else {
                    config
                }
            };
            let long = "x".repeat(2 << 20);
            let region = region_of("strict", config());
            region.set("key", 1).unwrap();
            let error = region.set("key", long.clone()).unwrap_err();
            assert!(
                told(&error)
                    .contains("the item limit of the memcached servers is 1048576 bytes; raise the limit"),
                "{error:?}"
            );
            // The server reports the error itself if its limit is lower than the configured one.
            let region = region_of("mistaken", config().argument("item_size_max", 8 << 20));
            let error = region.set("key", long.clone()).unwrap_err();
            assert!(
                told(&error).contains("the item limit of the memcached servers is 8388608 bytes"),
                "{error:?}"
            );

            let region = region_of("lenient", config().argument("skip_oversized", true));
            assert_eq!(region.get_or_create("long", || long.clone()).unwrap().len(), long.len());
            assert_eq!(region.get::<String>("long").unwrap(), None);
            region.set("key", 2).unwrap();
            assert_eq!(region.get("key").unwrap(), Some(2));
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn default_noreply_still_stores_all_values() {
    bounded(|| {
        let server = server();
        let config = RegionConfig::new("dogpile.cache.pymemcache")
            .argument("url", server.url())
            .argument("default_noreply", true);
        let region = region_of("quiet", config);
        let keys: Vec<String> = (0..3000).map(|number| format!("key:{number}")).collect();
        region.set_multi(keys.iter().zip(0..)).unwrap();
        let found = region.get_multi::<i32>(&keys).unwrap();
        assert!(found.into_iter().flatten().eq(0..3000));
        region.delete("key:0").unwrap();
        assert_eq!(region.get::<i32>("key:0").unwrap(), None);
        assert_eq!(count(server.port(), "cmd_set"), keys.len());
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn invalid_unmangled_key_is_rejected_before_sending() {
    bounded(|| {
        let server = server();
        let region = region_of("bare", RegionConfig::new(BACKENDS[0]).argument("url", server.url()));
        let backend = region.backend().unwrap();
        for key in ["a b", "a\r\nb", &"k".repeat(251)] {
            let errors = [
                backend.get(key).unwrap_err(),
                backend.delete(key).unwrap_err(),
                backend.get_multi(&["fine", key]).unwrap_err(),
                backend.delete_multi(&["fine", key]).unwrap_err(),
            ];
            assert!(errors.iter().all(|error| error.kind() == ErrorKind::InvalidKey), "{errors:?}");
        }
        assert_eq!(count(server.port(), "cmd_get"), 0);
    });
}
