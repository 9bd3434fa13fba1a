//! Servers that send anything but the reply: each call ends in time, and no call receives the value of another key.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::hostile::{HostileServer, Misbehavior};
use dogpile_tests::redis::{ClusterServers, REDIS, SERVICE, SentinelServers};
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, until};

use super::server;

/// The timeout of the regions. A call takes two exchanges at most.
const TIMEOUT: Duration = Duration::from_millis(300);

/// Much longer than any call takes, so that only a call that hangs exceeds it.
const HANGING: Duration = Duration::from_secs(10);

fn region_on(server: &HostileServer) -> CacheRegion {
    region_of("hostile", config_on(server))
}

fn config_on(server: &HostileServer) -> RegionConfig {
    RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", server.port())
        .argument("socket_timeout", TIMEOUT.as_secs_f64())
        .argument("pool_size", 1)
}

/// Calls `call`, and fails if it takes so long that it must have been hanging.
fn in_time<T>(what: &dyn std::fmt::Debug, call: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = call();
    assert!(begun.elapsed() < HANGING, "{what:?} took {:?}", begun.elapsed());
    result
}

/// Reads many keys, and checks that each has its own value or fails. Returns the number of failures.
fn failures_of_many_reads(region: &CacheRegion) -> usize {
    let reads = (0..160).filter(|number| {
        let key = format!("key {number}");
        match region.get::<String>(&key) {
            Ok(found) => assert_eq!(found, Some(HostileServer::value(&key))),
            Err(error) => {
                told(&error);
                return true;
            }
        }
        false
    });
    reads.count()
}

/// Replies that are never the value of a key.
const NO_VALUES: [Misbehavior; 32] = [
    Misbehavior::Freeze,
    Misbehavior::Drip(b"$1000000\r\naa"),
    Misbehavior::Drip(b"+aa"),
    Misbehavior::Drip(b"*10000\r\n"),
    Misbehavior::Stream(b"+", &[b'a'; 4096]),
    Misbehavior::Stream(b"$500000000\r\n", b"a"),
    Misbehavior::Stream(b"$4000000000\r\n", &[b'a'; 4096]),
    Misbehavior::Stream(b"*1000000000\r\n", b"_\r\n_\r\n_\r\n_\r\n"),
    Misbehavior::Stream(b"", b">2\r\n+message\r\n+x\r\n"),
    Misbehavior::Stream(b"", b"|1\r\n+a\r\n+b\r\n"),
    Misbehavior::Nest(1_000_000),
    Misbehavior::Send(b"$4611686018427387904\r\nabc"),
    Misbehavior::Send(b"$9223372036854775807\r\nabc"),
    Misbehavior::Send(b"*4611686018427387904\r\n"),
    Misbehavior::Send(b"%4611686018427387904\r\n"),
    Misbehavior::Send(b"|4611686018427387903\r\n+a\r\n"),
    Misbehavior::Send(b">4611686018427387904\r\n"),
    Misbehavior::Send(b"*1000000000\r\n"),
    Misbehavior::Send(b"%-5\r\n"),
    Misbehavior::Send(b"=-1\r\n"),
    Misbehavior::Send(b"!-7\r\n"),
    Misbehavior::Send(b"|-1\r\n+a\r\n+b\r\n+c\r\n"),
    Misbehavior::Send(b":5\r\n"),
    Misbehavior::Send(b"+{\"ct\": 1700000000.0, \"v\": 2}|\"x\"\r\n"),
    Misbehavior::Send(b"%1\r\n+a\r\n+b\r\n"),
    Misbehavior::Send(b"*3\r\n$-1\r\n$-1\r\n$-1\r\n"),
    Misbehavior::Send(b"#t\r\n"),
    Misbehavior::Send(b">1\r\n:5\r\n"),
    Misbehavior::Send(b"-\x1b[31mEVIL\r\n"),
    Misbehavior::Send(b"-\r\n"),
    Misbehavior::Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    Misbehavior::Cut(3),
];

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn hostile_reply_is_an_error_and_later_ones_are_right() {
    bounded(|| {
        let server = HostileServer::start();
        let region = region_on(&server);
        for misbehavior in NO_VALUES {
            server.misbehave(misbehavior);
            let error = in_time(&misbehavior, || region.get::<String>("key")).unwrap_err();
            let text = told(&error);
            assert!(text.contains(&format!("127.0.0.1:{}", server.port())), "{misbehavior:?}: {text}");
            assert!(!text.contains(['\x1b', '\r']) && !text.contains("EVIL"), "{misbehavior:?}: {text:?}");
            server.misbehave(Misbehavior::None);
            assert_eq!(failures_of_many_reads(&region), 0, "{misbehavior:?}");
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn hostile_reply_to_a_batch_or_a_write_is_an_error() {
    bounded(|| {
        let server = HostileServer::start();
        let region = region_on(&server);
        for misbehavior in NO_VALUES {
            server.misbehave(misbehavior);
            let failed = in_time(&misbehavior, || region.get_multi::<String>(&["a", "b"]).is_err());
            assert!(failed, "{misbehavior:?}");
            let failed = in_time(&misbehavior, || region.set("key", 1).is_err());
            assert!(failed, "{misbehavior:?}");
            // An integer is the reply to a deletion.
            if misbehavior != Misbehavior::Send(b":5\r\n") {
                let failed = in_time(&misbehavior, || region.delete("key").is_err());
                assert!(failed, "{misbehavior:?}");
            }
            server.misbehave(Misbehavior::None);
            let found = region.get_multi::<String>(&["a", "b"]).unwrap();
            assert_eq!(found, ["a", "b"].map(|key| Some(HostileServer::value(key))));
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn duplicated_reply_reaches_no_other_key() {
    bounded(|| {
        let server = HostileServer::start();
        let region = region_on(&server);
        server.misbehave(Misbehavior::Repeat);
        if let Ok(found) = region.get::<String>("first") {
            assert_eq!(found, Some(HostileServer::value("first")));
        }
        server.misbehave(Misbehavior::None);
        assert_eq!(failures_of_many_reads(&region), 0);
        assert_eq!(server.connections(), 2);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn reply_duplicated_after_the_call_reaches_no_other_key() {
    bounded(|| {
        let server = HostileServer::start();
        let region = region_on(&server);
        server.misbehave(Misbehavior::RepeatLater);
        assert_eq!(region.get("first").unwrap(), Some(HostileServer::value("first")));
        server.misbehave(Misbehavior::None);
        server.repeat_now();
        assert_eq!(failures_of_many_reads(&region), 0);
        assert_eq!(server.connections(), 2);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn wrong_reply_closes_its_connection() {
    bounded(|| {
        let server = HostileServer::start();
        let region = region_on(&server);
        assert!(region.get::<String>("key").is_ok());
        server.misbehave(Misbehavior::Send(b":5\r\n"));
        region.get::<String>("key").unwrap_err();
        server.misbehave(Misbehavior::None);
        assert!(region.get::<String>("key").is_ok());
        assert_eq!(server.connections(), 2);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn value_beyond_max_value_bytes_is_refused() {
    bounded(|| {
        let server = server(&[]);
        let large = region_of("large", super::config(&server));
        let small = region_of("small", super::config(&server).argument("max_value_bytes", 1000));
        large.set("key", "v".repeat(2000)).unwrap();
        let error = told(&small.get::<String>("key").unwrap_err());
        assert!(error.contains("bytes, more than 1000; see \"max_value_bytes\""), "{error}");
        assert!(small.get_multi::<String>(&["key", "other"]).is_err());
        small.set("key", "v".repeat(500)).unwrap();
        assert_eq!(small.get("key").unwrap(), Some("v".repeat(500)));
        let error = told(&small.set("key", "v".repeat(2000)).unwrap_err());
        assert!(error.contains("more than 1000; raise \"max_value_bytes\""), "{error}");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn lock_held_on_a_frozen_server_is_released_later() {
    bounded(|| {
        let mut server = server(&[]);
        let config = super::config(&server).argument("socket_timeout", TIMEOUT.as_secs_f64());
        let region = region_of("frozen", config.argument("lock_timeout", 2.0));
        let value = in_time(&"a creation on a frozen server", || {
            region.get_or_create("key", || {
                server.process().stop();
                7
            })
        });
        // The value could not be stored, and the lock could not be released.
        if let Ok(value) = value {
            assert_eq!(value, 7);
        }
        server.process().go_on();
        until("the lock is released in the background", || !region.key_is_locked("key").unwrap_or(true));
        server.kill();
    });
}

/// The caller has waited for the server once. It must not wait for it again only to release a lock.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn release_after_a_timeout_runs_in_the_background() {
    bounded(|| {
        let server = HostileServer::start();
        let config = config_on(&server).argument("distributed_lock", true).argument("lock_timeout", 3.0);
        let region = region_of("stuck", config);
        let mutex = region.backend().unwrap().get_mutex("key").unwrap();
        assert!(mutex.try_acquire().unwrap());
        server.misbehave(Misbehavior::Freeze);
        region.set("key", 1).unwrap_err();
        let error = told(&mutex.release().unwrap_err());
        assert!(error.contains("released in the background"), "{error}");
        until("the lock is released", || server.received("EVAL") == 2);
        // A release that need not wait is not left to the background.
        server.misbehave(Misbehavior::None);
        until("the only connection is free", || region.get::<String>("key").is_ok());
        assert!(mutex.try_acquire().unwrap());
        mutex.release().unwrap();
    });
}

/// A waiter subscribes to releases on a new connection, here to a server that does not reply on it.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn waiter_gives_up_at_its_deadline_while_it_subscribes() {
    bounded(|| {
        let server = HostileServer::start();
        server.misbehave(Misbehavior::Hold);
        let config = config_on(&server).argument("distributed_lock", true).argument("socket_timeout", 25.0);
        let mutex = region_of("waiting", config).backend().unwrap().get_mutex("key").unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        assert!(!in_time(&"a wait for a lock", || mutex.acquire_until(deadline).unwrap()));
        until("the waiter has tried to subscribe", || server.received("HELLO") == 1);
    });
}

/// Accepts connections and never replies.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn silent_sentinel_does_not_use_up_the_time_of_the_others() {
    bounded(|| {
        let servers = SentinelServers::start(REDIS).unwrap();
        let (_listener, address) = silent();
        let others = servers.sentinel_ports().into_iter().map(|port| format!("127.0.0.1:{port}"));
        let sentinels: Vec<_> = [address.clone()].into_iter().chain(others).collect();
        let config = |sentinels: Vec<String>| {
            let config = RegionConfig::new("dogpile.cache.redis_sentinel").argument("sentinels", sentinels);
            config.argument("service_name", SERVICE).argument("socket_timeout", 2.0)
        };
        let region = region_of("one silent sentinel", config(sentinels));
        region.set("key", 1).unwrap();
        assert_eq!(region.get("key").unwrap(), Some(1));
        let region = region_of("only silent sentinels", config(vec![address]));
        let error = in_time(&"a silent sentinel", || told(&region.set("key", 1).unwrap_err()));
        assert!(error.contains("cannot discover the Redis master"), "{error}");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn silent_cluster_node_does_not_use_up_the_time_of_the_others() {
    bounded(|| {
        let servers = ClusterServers::start(REDIS).unwrap();
        // One of these comes before the real nodes, which are asked in order.
        let silent: Vec<_> = (0..3).map(|_| silent()).collect();
        let addresses = || silent.iter().map(|(_, address)| address.clone());
        let others = servers.ports().into_iter().map(|port| format!("127.0.0.1:{port}"));
        let config = |nodes: Vec<String>| {
            let config = RegionConfig::new("dogpile.cache.redis_cluster").argument("startup_nodes", nodes);
            config.argument("socket_timeout", 3.0)
        };
        let region = region_of("some silent nodes", config(addresses().chain(others).collect()));
        region.set("key", 1).unwrap();
        assert_eq!(region.get("key").unwrap(), Some(1));
        let region = region_of("only silent nodes", config(addresses().collect()));
        let error = in_time(&"a silent node", || told(&region.set("key", 1).unwrap_err()));
        assert!(error.contains("cannot discover the Redis cluster"), "{error}");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn hostile_slot_map_is_an_error() {
    bounded(|| {
        let maps: [&[u8]; 6] = [
            b"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$7\r\nu:p@h/x\r\n:80\r\n",
            b"*1\r\n*3\r\n:0\r\n:16383\r\n",
            b"*200000000\r\n",
            b"*1\r\n*3\r\n:0\r\n:70000\r\n*2\r\n$1\r\nh\r\n:80\r\n",
            b"+OK\r\n",
            b"*-1\r\n",
        ];
        for map in maps {
            let server = HostileServer::start();
            server.misbehave(Misbehavior::Send(map));
            let config = RegionConfig::new("dogpile.cache.redis_cluster")
                .argument("startup_nodes", vec![format!("127.0.0.1:{}", server.port())])
                .argument("socket_timeout", TIMEOUT.as_secs_f64());
            let region = region_of("hostile cluster", config);
            assert!(in_time(&map, || region.get::<String>("key")).is_err(), "{}", map.escape_ascii());
        }
    });
}

/// A redirection to the node itself is followed a few times.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn endless_redirections_end() {
    bounded(|| {
        let server = HostileServer::start();
        let nodes = vec![format!("127.0.0.1:{}", server.port())];
        let moved: &'static str = format!("-MOVED 1 127.0.0.1:{}\r\n", server.port()).leak();
        server.misbehave(Misbehavior::Send(moved.as_bytes()));
        let config = RegionConfig::new("dogpile.cache.redis_cluster").argument("startup_nodes", nodes);
        let region = region_of("endless", config.argument("socket_timeout", TIMEOUT.as_secs_f64()));
        assert!(in_time(&moved, || region.get::<String>("key")).is_err());
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn redirection_to_a_host_that_is_not_allowed_is_refused() {
    bounded(|| {
        let (server, elsewhere) = (HostileServer::start(), HostileServer::start());
        let nodes = vec![format!("127.0.0.1:{}", server.port())];
        let map = format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\nlocalhost\r\n:{}\r\n", elsewhere.port());
        server.misbehave(Misbehavior::Send(map.leak().as_bytes()));
        let config = |allowed: &str| {
            let config =
                RegionConfig::new("dogpile.cache.redis_cluster").argument("startup_nodes", nodes.clone());
            config.argument("allowed_hosts", vec![allowed.to_owned()]).argument("password", "hunter2")
        };
        let error = told(&region_of("limited", config("10.0.0.1")).get::<String>("key").unwrap_err());
        assert!(error.contains("see \"allowed_hosts\"") && !error.contains("hunter2"), "{error}");
        assert_eq!(elsewhere.connections(), 0);
        let region = region_of("less limited", config("localhost"));
        assert_eq!(region.get("key").unwrap(), Some(HostileServer::value("key")));
    });
}
