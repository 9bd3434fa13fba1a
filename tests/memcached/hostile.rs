//! Servers that send anything but the reply. Each call ends in time, and none receives the value of another key.

use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, together, until};
use serde_json::json;

use super::fake::{FakeServer, Kind, Misbehavior};
use super::{Impatient, impatient, say, server};

/// The timeout of the regions.
const TIMEOUT: Duration = Duration::from_millis(1000);

/// The longest time that a call may take: a tenth more than the timeout, and some more on a busy machine.
const LONGEST: Duration = Duration::from_millis(1100 + 300);

/// A server of each kind, and a backend that uses its protocol and comes back to a failed server almost at once.
pub(super) fn kinds() -> [(Kind, Impatient); 4] {
    let [memcached, pymemcache, binary] = impatient();
    [
        (Kind::Text("1.6.18"), memcached),
        // Its misses name no key.
        (Kind::Text("1.6.10"), pymemcache.clone()),
        (Kind::Text("1.4.15"), pymemcache),
        (Kind::Binary, binary),
    ]
}

fn config((backend, more): &Impatient, urls: Vec<String>) -> RegionConfig {
    RegionConfig::new(*backend)
        .arguments(more)
        .argument("url", urls)
        .argument("distributed_lock", true)
        .argument("socket_timeout", TIMEOUT.as_secs_f64())
}

fn region_on(backend: &Impatient, server: &FakeServer) -> CacheRegion {
    region_of("hostile", config(backend, vec![server.url()]).argument("pool_size", 1))
}

/// Calls `call`, and fails if it takes too long.
fn in_time<T>(what: &dyn std::fmt::Debug, call: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = call();
    assert!(begun.elapsed() < LONGEST, "{what:?} took {:?}", begun.elapsed());
    result
}

/// Reads many keys, and checks that each has its own value, or none because the server failed. Returns how many have
/// none.
fn misses_of_many_reads(region: &CacheRegion) -> usize {
    let reads = (0..160).filter(|number| {
        let key = format!("key:{number}");
        let found = region.get::<String>(&key).unwrap();
        assert!(found.as_ref().is_none_or(|found| *found == FakeServer::value(&key)), "{key}: {found:?}");
        found.is_none()
    });
    reads.count()
}

/// Waits until a server that failed is used again.
fn until_well(region: &CacheRegion) {
    until("the server is used again", || region.get::<String>("key").unwrap().is_some());
}

/// Servers that take longer than the timeout.
pub(super) const SLOW: [Misbehavior; 6] = [
    Misbehavior::Freeze,
    Misbehavior::Slow,
    Misbehavior::Drip(b"VA 100000 f0 c1 kkey\r\n"),
    Misbehavior::Drip(b""),
    Misbehavior::Stream(b"VA 500000000 f0 c1 kkey\r\n", &[b'a'; 16]),
    Misbehavior::Drip(b"\x81\0\0\0\x04\0\0\0\0\x01\0\0"),
];

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn every_call_to_a_slow_server_ends_at_its_deadline() {
    bounded(|| {
        let cases: Vec<_> =
            kinds().into_iter().flat_map(|kind| SLOW.map(|slow| (kind.clone(), slow))).collect();
        together(cases.len(), |number| {
            let ((kind, backend), slow) = &cases[number];
            let server = FakeServer::start(*kind);
            let region = region_on(backend, &server);
            assert_eq!(region.get("key").unwrap(), Some(FakeServer::value("key")));
            server.misbehave(*slow);
            let what = (kind, slow);
            let mutex = region.backend().unwrap().get_mutex("key").unwrap();
            in_time(&what, || drop(region.get::<String>("key")));
            in_time(&what, || drop(region.get_multi::<String>(&["a", "b", "c"])));
            in_time(&what, || drop(region.set("key", 1)));
            in_time(&what, || drop(region.delete("key")));
            in_time(&what, || drop(mutex.locked()));
            in_time(&what, || drop(mutex.try_acquire()));
            in_time(&what, || drop(mutex.release()));
        });
    });
}

/// With the default arguments, the other parts of a call do not wait for a server that just timed out.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn whole_creation_on_a_slow_server_takes_one_timeout() {
    bounded(|| {
        let cases: Vec<_> =
            super::BACKENDS.into_iter().flat_map(|backend| SLOW.map(|slow| (backend, slow))).collect();
        together(cases.len(), |number| {
            let (backend, slow) = cases[number];
            let kind =
                if backend == "dogpile.cache.bmemcached" { Kind::Binary } else { Kind::Text("1.6.18") };
            let server = FakeServer::start(kind);
            server.misbehave(slow);
            let region = region_of("patient", config(&(backend, json!({})), vec![server.url()]));
            let value = in_time(&(backend, slow), || region.get_or_create("key", || 7).unwrap());
            assert_eq!(value, 7);
        });
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn slow_servers_of_one_call_share_its_deadline() {
    bounded(|| {
        let backends = [
            ("dogpile.cache.memcached", Kind::Text("1.6.18")),
            ("dogpile.cache.pymemcache", Kind::Text("1.6.18")),
            // Each key is on every server.
            ("dogpile.cache.bmemcached", Kind::Binary),
        ];
        together(backends.len(), |number| {
            let (backend, kind) = backends[number];
            let servers: Vec<_> = (0..3).map(|_| FakeServer::start(kind)).collect();
            let urls: Vec<_> = servers.iter().map(FakeServer::url).collect();
            let region = || region_of("several", config(&(backend, json!({})), urls.clone()));
            let keys: Vec<String> = (0..30).map(|number| format!("key:{number}")).collect();
            servers.iter().for_each(|server| server.misbehave(Misbehavior::Freeze));
            in_time(&backend, || drop(region().get_multi::<String>(&keys)));
            in_time(&backend, || drop(region().set_multi(keys.iter().map(|key| (key, 1)))));
            in_time(&backend, || drop(region().delete_multi(&keys)));
            in_time(&backend, || drop(region().get::<String>("key")));
            // A frozen server leaves time for the next one.
            servers[1..].iter().for_each(|server| server.misbehave(Misbehavior::None));
            let found = in_time(&backend, || region().get_multi::<String>(&keys).unwrap());
            let right =
                |(key, found): (&String, &Option<String>)| found.as_deref() == Some(&FakeServer::value(key));
            let count = keys.iter().zip(&found).filter(|pair| right(*pair)).count();
            assert!(
                count >= if backend == "dogpile.cache.bmemcached" { 30 } else { 10 },
                "{backend}: {count}"
            );
        });
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn wait_for_a_pooled_connection_counts_toward_the_deadline() {
    bounded(|| {
        for (kind, backend) in kinds() {
            let server = FakeServer::start(kind);
            let region = region_on(&backend, &server);
            server.misbehave(Misbehavior::Freeze);
            together(3, |_| in_time(&kind, || drop(region.get::<String>("key"))));
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn retries_count_toward_the_deadline() {
    bounded(|| {
        let server = FakeServer::start(Kind::Text("1.6.18"));
        server.misbehave(Misbehavior::Freeze);
        let more = json!({ "enable_retry_client": true, "retry_attempts": 3, "retry_delay": 0.01 });
        let region = region_of("retrying", config(&("dogpile.cache.pymemcache", more), vec![server.url()]));
        in_time(&"three attempts", || assert_eq!(region.get::<String>("key").unwrap(), None));
        assert_eq!(server.connections(), 3);
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn connect_timeout_limits_opening_a_connection() {
    bounded(|| {
        // It accepts connections, and never replies to a handshake.
        let server = FakeServer::start(Kind::Binary);
        server.misbehave(Misbehavior::Freeze);
        let more = json!({ "tls_context": {}, "socket_timeout": 20, "connect_timeout": 0.5 });
        let config = RegionConfig::new("dogpile.cache.bmemcached").arguments(&more);
        let region = region_of("connecting", config.argument("url", server.url()));
        in_time(&"a handshake", || assert_eq!(region.get::<String>("key").unwrap(), None));
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn duplicated_reply_reaches_no_other_key() {
    bounded(|| {
        for (kind, backend) in kinds() {
            for first in ["first", "missing"] {
                let server = FakeServer::start(kind);
                let region = region_on(&backend, &server);
                assert_eq!(misses_of_many_reads(&region), 0);
                server.misbehave(Misbehavior::Repeat);
                let found = region.get::<String>(first).unwrap();
                assert!(found.is_none_or(|found| found == FakeServer::value(first)));
                server.misbehave(Misbehavior::None);
                until_well(&region);
                assert_eq!(misses_of_many_reads(&region), 0, "{kind:?}");
                assert_eq!(server.connections(), 2, "{kind:?}");
            }
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn reply_duplicated_after_the_call_reaches_no_other_key() {
    bounded(|| {
        for (kind, backend) in kinds() {
            for first in ["first", "missing"] {
                let server = FakeServer::start(kind);
                let region = region_on(&backend, &server);
                server.misbehave(Misbehavior::RepeatLater);
                let expected = (first == "first").then(|| FakeServer::value(first));
                assert_eq!(region.get::<String>(first).unwrap(), expected);
                server.misbehave(Misbehavior::None);
                server.repeat_now();
                // The server is not to blame for the duplicate, and stays in use.
                assert_eq!(misses_of_many_reads(&region), 0, "{kind:?}");
                assert_eq!(server.connections(), 2, "{kind:?}");
            }
        }
    });
}

/// A reply that arrives one request late has the right type, and in the second case even the right key.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn reply_to_the_previous_request_is_refused() {
    bounded(|| {
        for (kind, backend) in [kinds()[0].clone(), kinds()[3].clone()] {
            for previous in ["other", "key", "missing"] {
                let server = FakeServer::start(kind);
                let region = region_on(&backend, &server);
                region.get::<String>(previous).unwrap();
                server.misbehave(Misbehavior::Previous);
                assert_eq!(region.get::<String>("key").unwrap(), None, "{kind:?} after {previous}");
                server.misbehave(Misbehavior::None);
                until_well(&region);
                assert_eq!(server.connections(), 2, "{kind:?} after {previous}");
            }
        }
    });
}

/// Replies that are never the value of a key.
pub(super) const NO_VALUES: [Misbehavior; 14] = [
    Misbehavior::Stream(b"VA 4611686018427387904 f0 c1 kkey\r\n", &[b'a'; 4096]),
    Misbehavior::Stream(b"VALUE key 0 4611686018427387904 1\r\n", &[b'a'; 4096]),
    Misbehavior::Stream(b"", &[b'a'; 4096]),
    Misbehavior::Stream(b"", b"EN kother O9\r\n"),
    Misbehavior::Stream(b"", b"SERVER_ERROR \x1b[31mEVIL\r\n"),
    Misbehavior::Send(b"\x81\0\0\0\x04\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"),
    Misbehavior::Send(b"\x81\0\xff\xff\x04\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"),
    Misbehavior::Send(b"VA -1 f0 c1 kkey\r\nabc\r\n"),
    Misbehavior::Send(b"VA 3 f0 c1 kother\r\nabc\r\n"),
    Misbehavior::Send(b"STORED\r\n"),
    Misbehavior::Send(b"CLIENT_ERROR \x1b]0;EVIL\x07\r\n"),
    Misbehavior::Send(b"ERROR\r\n"),
    Misbehavior::Send(b"HTTP/1.1 400 EVIL Bad Request\r\n\r\n                         "),
    Misbehavior::Stream(b"", b"VERSION 1.6.18\r\n"),
];

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn hostile_reply_is_a_miss_and_later_ones_are_right() {
    bounded(|| {
        let cases: Vec<_> =
            kinds().into_iter().flat_map(|kind| NO_VALUES.map(|hostile| (kind.clone(), hostile))).collect();
        together(cases.len(), |number| {
            let ((kind, backend), hostile) = &cases[number];
            let server = FakeServer::start(*kind);
            let region = region_on(backend, &server);
            until_well(&region);
            server.misbehave(*hostile);
            match in_time(&(kind, hostile), || region.get::<String>("key")) {
                Ok(found) => assert_eq!(found, None, "{hostile:?}"),
                Err(error) => assert!(told(&error).contains("more than 536870912"), "{error}"),
            }
            if let Err(error) = in_time(&(kind, hostile), || region.delete("key")) {
                let text = told(&error);
                assert!(text.matches(&server.url()).count() == 1, "{hostile:?}: {text}");
                assert!(!text.contains("EVIL") && !text.contains(['\x1b', '\x07', '\r']), "{text:?}");
            }
            server.misbehave(Misbehavior::None);
            until_well(&region);
            assert_eq!(misses_of_many_reads(&region), 0, "{kind:?} after {hostile:?}");
        });
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn value_beyond_max_value_bytes_is_refused() {
    bounded(|| {
        let server = server();
        for backend in super::BACKENDS {
            let config = || {
                let config = RegionConfig::new(backend).argument("url", server.url());
                if backend == "dogpile.cache.pymemcache" {
                    config
                } else {
                    config.argument("min_compress_len", 0)
                }
            };
            let large = region_of("large", config());
            let small = region_of("small", config().argument("max_value_bytes", 1000));
            large.set("key", "v".repeat(2000)).unwrap();
            let error = told(&small.get::<String>("key").unwrap_err());
            assert!(error.contains("bytes, more than 1000; raise \"max_value_bytes\""), "{error}");
            assert!(error.contains(&server.url()) && !error.contains("vv"), "{error}");
            small.get_multi::<String>(&["key", "other"]).unwrap_err();
            // The server is still in use.
            small.set("key", "v".repeat(500)).unwrap();
            assert_eq!(small.get("key").unwrap(), Some("v".repeat(500)));
            let error = told(&small.set("key", "v".repeat(2000)).unwrap_err());
            assert!(error.contains("the limit is 1000 bytes; raise \"max_value_bytes\""), "{error}");
            assert_eq!(small.get::<String>("key").unwrap(), None);
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn decompressed_value_beyond_its_limit_is_refused() {
    bounded(|| {
        let server = server();
        for backend in ["dogpile.cache.memcached", "dogpile.cache.pylibmc", "dogpile.cache.bmemcached"] {
            let config =
                || RegionConfig::new(backend).argument("url", server.url()).argument("min_compress_len", 100);
            let wide = region_of("wide", config());
            let narrow =
                config().argument("max_decompressed_bytes", 100_000).argument("item_size_max", 150_000);
            let narrow = region_of("narrow", narrow);
            wide.set("bomb", "v".repeat(200_000)).unwrap();
            let error = told(&narrow.get::<String>("bomb").unwrap_err());
            assert!(error.contains("more than 100000 bytes; raise \"max_decompressed_bytes\""), "{error}");
            narrow.get_multi::<String>(&["bomb", "other"]).unwrap_err();
            assert_eq!(wide.get::<String>("bomb").unwrap().unwrap().len(), 200_000);
            // What could not be read again is not compressed, and then it is larger than an item.
            narrow.set("bomb", "v".repeat(200_000)).unwrap_err();
            assert_eq!(narrow.get::<String>("bomb").unwrap(), None);
            narrow.set("bomb", "v".repeat(90_000)).unwrap();
            assert_eq!(narrow.get::<String>("bomb").unwrap().unwrap().len(), 90_000);
        }
        assert!(say(server.port(), "version").starts_with("VERSION"));
    });
}
