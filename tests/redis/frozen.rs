//! A creation on a server that hangs takes at most two exchanges more than its creator.

use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::hostile::{HostileServer, Misbehavior};
use dogpile_tests::redis::{ClusterServers, REDIS, RedisServer};
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{Signal, bounded, together, until};

use super::server;

/// The time that one exchange may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The time that a call may take beside its creator: two exchanges, and less than a third one for a busy machine.
const ALLOWED: Duration = Duration::from_millis(2_900);

fn config_of(backend: &str) -> RegionConfig {
    RegionConfig::new(backend)
        .argument("socket_timeout", TIMEOUT.as_secs_f64())
        .argument("distributed_lock", true)
}

fn region_on(port: u16) -> CacheRegion {
    let config = config_of("dogpile.cache.redis").argument("host", "127.0.0.1").argument("port", port);
    region_of("frozen", config)
}

/// Does `work`, and fails if it takes longer than `allowed`.
fn within<T>(allowed: Duration, what: &dyn std::fmt::Debug, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    assert!(begun.elapsed() <= allowed, "{what:?} took {:?}", begun.elapsed());
    done
}

fn until_unlocked(region: &CacheRegion, key: &str) {
    until("the lock is released in the background", || !region.key_is_locked(key).unwrap_or(true));
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn frozen_server_fails_all_creations_within_two_exchanges() {
    bounded(|| {
        let server = server(&[]);
        let region = region_on(server.port());
        region.set("other", 1).unwrap();
        server.process().stop();
        together(8, |_| {
            within(ALLOWED, &"one of eight calls", || region.get_or_create("key", || 7)).unwrap_err();
        });
        server.process().go_on();
        assert_eq!(region.get_or_create("key", || 8).unwrap(), 8);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn server_freezing_during_creation_delays_it_by_two_exchanges() {
    bounded(|| {
        let server = server(&[]);
        let (region, creating) = (region_on(server.port()), Signal::default());
        together(6, |number| {
            if number > 0 {
                creating.wait();
            }
            let value = within(ALLOWED, &"one of six calls", || {
                region.get_or_create("key", || {
                    server.process().stop();
                    creating.give();
                    until("others wait", || region.creations().unwrap()[0].waiters > 0 || is_late(&region));
                    7
                })
            });
            // A caller that came after the freeze may have found the server frozen.
            if number == 0 {
                assert_eq!(value.unwrap(), 7);
            }
        });
        server.process().go_on();
        until_unlocked(&region, "key");
    });
}

/// Returns whether the creation has taken so long that all others have failed to read.
fn is_late(region: &CacheRegion) -> bool {
    region.creations().unwrap()[0].age > TIMEOUT / 10
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn freezing_server_delays_many_keys_by_two_exchanges() {
    bounded(|| {
        let server = server(&[]);
        let region = region_on(server.port());
        let keys: Vec<String> = (0..10).map(|number| format!("key {number}")).collect();
        let values = within(ALLOWED, &"a creation of ten keys", || {
            region.get_or_create_multi(&keys, |keys| {
                server.process().stop();
                vec![7; keys.len()]
            })
        });
        assert_eq!(values.unwrap(), [7; 10]);
        server.process().go_on();
        keys.iter().for_each(|key| until_unlocked(&region, key));
    });
}

/// Each key and its lock are on different nodes, of which some hang.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn frozen_nodes_of_a_cluster_delay_a_creation_by_two_exchanges() {
    bounded(|| {
        let cluster = ClusterServers::start(REDIS).unwrap();
        let cluster = parking_lot::Mutex::new(cluster);
        let nodes = [format!("127.0.0.1:{}", cluster.lock().ports()[0])];
        let region =
            region_of("cluster", config_of("dogpile.cache.redis_cluster").argument("startup_nodes", nodes));
        let masters: Vec<u16> = {
            let cluster = cluster.lock();
            cluster.masters(cluster.ports()[0]).into_iter().map(|(port, _)| port).collect()
        };
        assert_eq!(masters.len(), 3);
        let all = |act: fn(&RedisServer)| masters.iter().for_each(|port| act(cluster.lock().node(*port)));
        let keys: Vec<String> = (0..10).map(|number| format!("key {number}")).collect();
        let values = within(ALLOWED, &"a creation of ten keys", || {
            region.get_or_create_multi(&keys, |keys| {
                all(|node| node.process().stop());
                vec![7; keys.len()]
            })
        });
        assert_eq!(values.unwrap(), [7; 10]);
        all(|node| node.process().go_on());
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn misbehaving_server_delays_creation_by_two_exchanges() {
    bounded(|| {
        let endless = Misbehavior::Stream(b"$100000000\r\n", b"aaaaaaaaaaaaaaaa");
        for misbehavior in [Misbehavior::Freeze, Misbehavior::Drip(b"$1000000\r\naa"), endless] {
            let server = HostileServer::start();
            let region = region_on(server.port());
            // The server has a value of every key.
            region.invalidate().unwrap();
            let value = within(ALLOWED, &misbehavior, || {
                region.get_or_create("key", || {
                    server.misbehave(misbehavior);
                    "new".to_owned()
                })
            });
            assert_eq!(value.unwrap(), "new");
            let error = within(ALLOWED, &misbehavior, || region.get_or_create("key", || "newer".to_owned()));
            error.unwrap_err();
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn acquisition_on_a_frozen_server_ends_at_the_callers_deadline() {
    bounded(|| {
        let server = server(&[]);
        let config = super::config(&server).argument("socket_timeout", 20.0);
        let region = region_of("patient", config);
        let [held, wanted] = [(); 2].map(|()| region.backend().unwrap().get_mutex("key").unwrap());
        assert!(held.try_acquire().unwrap());
        let deadline = |seconds| Instant::now() + Duration::from_secs_f64(seconds);
        // It freezes while the lock is waited for.
        let acquired = std::thread::scope(|scope| {
            let waiter =
                scope.spawn(|| within(TIMEOUT * 3, &"a wait", || wanted.acquire_until(deadline(0.5))));
            until("the lock is polled", || super::count(server.port(), "eval") > 2);
            server.process().stop();
            waiter.join().unwrap()
        });
        assert!(!acquired.unwrap());
        // It is frozen from the beginning.
        let acquired = within(TIMEOUT * 3, &"an attempt", || wanted.acquire_until(deadline(0.5)));
        assert!(acquired.is_err());
        server.process().go_on();
        held.release().unwrap_or_else(|error| assert!(error.to_string().contains("background"), "{error}"));
        until_unlocked(&region, "key");
    });
}
