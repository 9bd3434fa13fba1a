//! Values that a server does not store, because they are too large or its memory is full.

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::bounded;

use super::{BACKENDS, server};

/// A value of `length` bytes that cannot be compressed.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (state >> 33) as u8 % 90)
    };
    std::iter::repeat_with(next).filter(|char| !"\"\\".contains(*char)).take(length).collect()
}

/// Returns the configuration of a region over `server` that compresses nothing.
fn uncompressed(backend: &str, server: &MemcachedServer) -> RegionConfig {
    let config = RegionConfig::new(backend).argument("url", server.url());
    // Only this client compresses values by default.
    if backend == "dogpile.cache.bmemcached" { config.argument("min_compress_len", 0) } else { config }
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn oversized_value_deletes_the_one_it_would_have_replaced() {
    bounded(|| {
        let server = server();
        for backend in BACKENDS {
            // The server finds the value too large itself if its limit is lower than the configured one.
            for (limit, length) in [(3000, 2000), (2 << 20, 1_100_000)] {
                let long = "x".repeat(length);
                let config = || uncompressed(backend, &server).argument("item_size_max", limit);
                let lenient = region_of("lenient", config().argument("skip_oversized", true));
                let strict = region_of("strict", config());

                lenient.set("key", "old".to_owned()).unwrap();
                lenient.set("key", long.clone()).unwrap();
                assert_eq!(lenient.get::<String>("key").unwrap(), None, "{backend}, {limit}");

                strict.set("key", "old".to_owned()).unwrap();
                let error = told(&strict.set("key", long.clone()).unwrap_err());
                assert!(error.contains("the item limit of the memcached servers"), "{error}");
                assert_eq!(strict.get::<String>("key").unwrap(), None, "{backend}, {limit}");

                let values = || [("a", "1".to_owned()), ("key", long.clone()), ("b", "2".to_owned())];
                for region in [&lenient, &strict] {
                    region.set_multi(["a", "key", "b"].map(|key| (key, "old".to_owned()))).unwrap();
                    assert_eq!(region.set_multi(values()).is_err(), std::ptr::eq(region, &strict));
                    let found = region.get_multi::<String>(&["a", "key", "b"]).unwrap();
                    assert_eq!(
                        found,
                        [Some("1".to_owned()), None, Some("2".to_owned())],
                        "{backend}, {limit}"
                    );
                }
            }
        }
    });
}

/// Of several values of one key, the last one counts.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn oversized_value_before_another_of_its_key_has_no_effect() {
    bounded(|| {
        let server = server();
        for backend in BACKENDS {
            for (limit, length) in [(3000, 2000), (2 << 20, 1_100_000)] {
                let long = "x".repeat(length);
                let config = uncompressed(backend, &server).argument("item_size_max", limit);
                let region = region_of("lenient", config.argument("skip_oversized", true));
                region.set_multi([("key", long.clone()), ("key", "last".to_owned())]).unwrap();
                assert_eq!(
                    region.get::<String>("key").unwrap().as_deref(),
                    Some("last"),
                    "{backend}, {limit}"
                );
                region.set_multi([("key", "first".to_owned()), ("key", long.clone())]).unwrap();
                assert_eq!(region.get::<String>("key").unwrap(), None, "{backend}, {limit}");
            }
        }
    });
}

/// A server of a megabyte that evicts nothing.
fn small_server() -> MemcachedServer {
    MemcachedServer::start(&["-m", "1", "-M", "-I", "512k"]).unwrap()
}

/// Stores values until the server is full, and returns the key of the value that was rejected last, and the error.
fn fill(region: &CacheRegion) -> (String, String) {
    for number in 0..1000 {
        let key = format!("fill:{number}");
        if let Err(error) = region.set(&key, noise(20_000)) {
            return (key, told(&error));
        }
    }
    panic!("the server is never full");
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn full_server_rejects_values_and_keeps_no_old_ones() {
    bounded(|| {
        for backend in BACKENDS {
            let server = small_server();
            let config = RegionConfig::new(backend).argument("url", server.url());
            let region = region_of("full", config.argument("distributed_lock", true));
            region.set("old", "old".to_owned()).unwrap();
            let (_, error) = fill(&region);
            let expected =
                format!("memcached server {} is full: it has no memory for the value", server.url());
            assert_eq!(error.matches(&expected).count(), 1, "{backend}: {error}");
            assert!(error.contains("raise its memory limit (-m)"), "{error}");

            let error = region.set("old", noise(20_000)).unwrap_err();
            assert!(!error.is_transient(), "{backend}: {error}");
            assert_eq!(region.get::<String>("old").unwrap(), None, "{backend}");
            // The server makes room for the second one when it drops the first one.
            region.set_multi([("fill:0", noise(20_000)), ("fill:1", noise(20_000))]).unwrap_err();
            assert_eq!(region.get::<String>("fill:0").unwrap(), None, "{backend}");

            fill(&region);
            let value = region.get_or_create("created", || noise(20_000)).unwrap();
            assert_eq!(value.len(), 20_000, "{backend}");
        }
    });
}

/// Locks are values, too. Without memory for them, callers create side by side instead of waiting for minutes.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn full_server_delays_no_creation() {
    bounded(|| {
        for backend in BACKENDS {
            let server = small_server();
            let config = RegionConfig::new(backend).argument("url", server.url());
            let region = region_of("full", config.argument("distributed_lock", true));
            fill(&region);
            // Small values have slabs of their own: fill those of locks, too.
            let small = (0..40_000).take_while(|number| region.set(&format!("s:{number}"), 1).is_ok());
            assert!(small.count() < 40_000, "the server is never full");
            let mutex = region.backend().unwrap().get_mutex("created").unwrap();
            assert!(mutex.try_acquire().unwrap(), "{backend}");
            drop(mutex.release());
            assert_eq!(region.get_or_create("created", || 7).unwrap(), 7, "{backend}");
        }
    });
}
