//! One cache for Python's dogpile.cache, with each of its four clients, and for us.

use std::path::Path;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::interop;
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::peer::Peer;
use dogpile_tests::regions::region_of;
use dogpile_tests::servers::python;
use dogpile_tests::threads::bounded;
use serde_json::{Map, Value, json};

use super::{BACKENDS, count, say, server};

/// Two sides that are configured alike.
struct Sides {
    python: Peer,
    region: CacheRegion,
}

impl Sides {
    fn new(python: &Path, backend: &str, arguments: &Value) -> Self {
        let configuration = json!({ "backend": backend, "arguments": arguments, "serializer": "json" });
        let python = Peer::start(python, &configuration);
        let config = RegionConfig::new(backend).arguments(arguments).serializer_named("json");
        Sides { python, region: region_of("shared with Python", config) }
    }
}

/// Runs `test` with `count` servers, or prints why it is ignored if something is not installed.
fn with_servers(count: usize, test: impl FnOnce(&Path, &[MemcachedServer]) + Send + 'static) {
    bounded(move || {
        let python = python().unwrap();
        let servers = (0..count).map(|_| server()).collect::<Vec<_>>();
        test(&python, &servers);
    });
}

/// Runs `test` on both sides of one server, with each backend.
fn with_each_backend(test: impl Fn(&Sides, u16) + Send + 'static) {
    with_servers(1, move |python, servers| {
        for backend in BACKENDS {
            let arguments = json!({ "url": servers[0].url(), "distributed_lock": true });
            let port = servers[0].port();
            say(port, "flush_all\r\nstats reset");
            eprintln!("with {backend}");
            test(&Sides::new(python, backend, &arguments), port);
        }
    });
}

/// Behavior: `python-memcached-serializer-suite`, `pymemcache-serializer-suite`, `pylibmc-serializer-suite`,
/// `bmemcached-serializer-suite`
#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn values_are_read_by_both() {
    with_each_backend(|Sides { python, region }, _| {
        let values = [json!([1, 2.5]), json!({ "a": { "b": [] } }), json!("ä|é"), json!(null), json!(true)];
        for (key, value) in ["a", "b", "c:d|e", "f", "g"].iter().zip(&values) {
            region.set(key, value.clone()).unwrap();
            assert_eq!(python.get(key).as_ref(), Some(value));
            region.delete(key).unwrap();
            assert_eq!(python.get(key), None);
            python.set(key, value);
            assert_eq!(region.get(key).unwrap().as_ref(), Some(value));
            python.ask(&json!({ "do": "delete", "key": key }));
            assert_eq!(region.get::<Value>(key).unwrap(), None);
        }
    });
}

#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn compressed_values_are_read_by_both() {
    with_servers(1, |python, servers| {
        let (url, port) = (servers[0].url(), servers[0].port());
        let told = json!({ "url": url, "min_compress_len": 100 });
        for (backend, arguments) in [
            ("dogpile.cache.memcached", &told),
            ("dogpile.cache.pylibmc", &told),
            // It compresses without being configured to.
            ("dogpile.cache.bmemcached", &json!({ "url": url })),
        ] {
            let Sides { python, region } = Sides::new(python, backend, arguments);
            let long = "again and ".repeat(500);
            region.set("ours", long.clone()).unwrap();
            python.set("theirs", &json!(long));
            assert_eq!(python.get("ours"), Some(json!(long)), "{backend}");
            assert_eq!(region.get::<String>("theirs").unwrap().as_ref(), Some(&long), "{backend}");
            for key in ["ours", "theirs"] {
                let size = say(port, &format!("mg {key} s"));
                let size: usize = size["HD s".len()..].trim().parse().unwrap();
                assert!(size < long.len() / 10, "{backend} keeps {size} bytes of {key}");
            }
            // Both leave short values uncompressed.
            region.set("ours", 1).unwrap();
            python.set("theirs", &json!(1));
            assert_eq!((python.get("ours"), region.get("theirs").unwrap()), (Some(json!(1)), Some(1)));
        }
    });
}

/// Stores a thousand keys on either side, each `copies` times on three servers, and finds them on the other. Returns
/// how many keys each server gets.
fn shared_out(
    python: &Path,
    servers: &[MemcachedServer],
    backend: &str,
    more: &Value,
    copies: usize,
) -> Vec<usize> {
    eprintln!("with {backend} and {more}");
    let urls: Vec<String> = servers.iter().map(MemcachedServer::url).collect();
    let mut arguments = json!({ "url": urls });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let Sides { python, region } = Sides::new(python, backend, &arguments);
    let values: Vec<usize> = (0..1000).collect();
    let keys: Vec<String> = values.iter().map(|number| format!("m:f|{number}")).collect();
    let empty = || servers.iter().for_each(|server| drop(say(server.port(), "flush_all")));
    let stored = || -> Vec<usize> {
        let found = |server: &MemcachedServer| {
            let found = say(server.port(), &format!("get {}", keys.join(" ")));
            found.matches("VALUE ").count()
        };
        servers.iter().map(found).collect()
    };

    empty();
    region.set_multi(keys.iter().zip(values.clone())).unwrap();
    let ours = stored();
    assert_eq!(ours.iter().sum::<usize>(), copies * keys.len());
    let found = python.ask(&json!({ "do": "get_multi", "keys": keys }));
    assert!(found["values"] == json!(values), "Python does not find all that we stored");

    empty();
    let theirs: Map<_, _> =
        keys.iter().zip(&values).map(|(key, value)| (key.clone(), json!(value))).collect();
    python.ask(&json!({ "do": "set_multi", "values": theirs }));
    let found = region.get_multi::<usize>(&keys).unwrap();
    assert!(found.into_iter().flatten().eq(values), "we do not find all that Python stored");
    assert_eq!(stored(), ours);
    ours
}

#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn keys_are_distributed_as_by_the_python_client() {
    with_servers(3, |python, servers| {
        for backend in &BACKENDS[..3] {
            let counts = shared_out(python, servers, backend, &json!({}), 1);
            assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
        }
    });
}

#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn keys_are_on_every_server_with_bmemcached() {
    with_servers(3, |python, servers| {
        shared_out(python, servers, "dogpile.cache.bmemcached", &json!({}), 3);
    });
}

#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn keys_are_distributed_as_by_libmemcached_with_each_hash() {
    with_servers(3, |python, servers| {
        for hash in ["default", "md5", "crc", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32"] {
            let behaviors = json!({ "behaviors": { "hash": hash } });
            shared_out(python, servers, "dogpile.cache.pylibmc", &behaviors, 1);
        }
    });
}

#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn keys_are_distributed_as_by_libmemcached_on_its_circles() {
    with_servers(3, |python, servers| {
        for behaviors in [
            json!({ "ketama": true }),
            json!({ "ketama": 1, "hash": "md5", "tcp_nodelay": 1 }),
            json!({ "ketama": true, "hash": "fnv1a_32" }),
            json!({ "ketama_weighted": true }),
            json!({ "ketama_weighted": true, "hash": "crc" }),
            json!({ "distribution": "consistent" }),
            json!({ "distribution": "consistent ketama", "hash": "fnv1_64" }),
        ] {
            let behaviors = json!({ "behaviors": behaviors });
            shared_out(python, servers, "dogpile.cache.pylibmc", &behaviors, 1);
        }
    });
}

#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn keys_are_distributed_by_weight_as_by_libmemcached() {
    with_servers(3, |python, servers| {
        let urls: Vec<String> = servers
            .iter()
            .zip([1, 1, 3])
            .map(|(server, weight)| format!("{}:{weight}", server.url()))
            .collect();
        let counts_of = |behaviors: Value| {
            let more = json!({ "url": urls, "behaviors": behaviors });
            shared_out(python, servers, "dogpile.cache.pylibmc", &more, 1)
        };
        for circle in [json!({ "ketama_weighted": true }), json!({ "ketama": true })] {
            let counts = counts_of(circle);
            assert!(counts[2] > counts[0].max(counts[1]), "{counts:?}");
        }
        // They have no meaning otherwise.
        counts_of(json!({}));
    });
}

#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn lock_of_either_side_excludes_the_other() {
    with_each_backend(|Sides { python, region }, _| interop::a_lock_is_shared(python, region, "key"));
}

#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn python_waits_for_our_creator() {
    with_each_backend(|Sides { python, region }, port| {
        // The first attempt to add the lock was ours, and the others are Python's.
        interop::python_waits_for_our_creator(python, region, || count(port, "cmd_set") >= 2);
    });
}

#[cfg_attr(any(missing_memcached, missing_python), ignore = "needs memcached and Python")]
#[test]
fn we_wait_for_pythons_creator() {
    with_each_backend(|Sides { python, region }, port| {
        // The first attempt to add the lock was Python's, and the others are ours.
        interop::we_wait_for_pythons_creator(python, region, || count(port, "cmd_set") >= 4);
    });
}
