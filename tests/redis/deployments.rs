//! Regions over Sentinel and Cluster: failovers, moving slots, and interoperation with Python.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::peer::Peer;
use dogpile_tests::redis::{ClusterServers, REDIS, RedisServer, SERVICE, SentinelServers, VALKEY, say};
use dogpile_tests::regions::region_of;
use dogpile_tests::servers::{installed, python};
use dogpile_tests::threads::{bounded, until};
use serde_json::json;

fn sentinel_servers() -> SentinelServers {
    SentinelServers::start(REDIS).unwrap()
}

fn cluster_servers() -> ClusterServers {
    ClusterServers::start(REDIS).unwrap()
}

fn sentinels(servers: &SentinelServers) -> Vec<String> {
    servers.sentinel_ports().iter().map(|port| format!("127.0.0.1:{port}")).collect()
}

fn over_sentinels(servers: &SentinelServers) -> CacheRegion {
    let config = RegionConfig::new("dogpile.cache.redis_sentinel")
        .argument("sentinels", sentinels(servers))
        .argument("service_name", SERVICE)
        .argument("socket_timeout", 1.0);
    region_of("over sentinels", config)
}

fn over_cluster(servers: &ClusterServers) -> CacheRegion {
    let nodes: Vec<_> = servers.ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let config = RegionConfig::new("dogpile.cache.redis_cluster")
        .argument("startup_nodes", nodes)
        .argument("distributed_lock", true)
        .argument("socket_timeout", 1.0);
    region_of("over a cluster", config)
}

/// Threads that each write growing numbers under their own key and read them back.
///
/// No thread may read another thread's value, or one that was never written.
struct Load<'r> {
    region: &'r CacheRegion,
    ended: AtomicBool,
    /// The number of successful writes of each thread.
    written: Vec<AtomicUsize>,
}

impl<'r> Load<'r> {
    const THREADS: usize = 4;

    /// Runs `meanwhile` under load and returns the number of failed calls.
    fn on(region: &'r CacheRegion, meanwhile: impl FnOnce(&Self)) -> usize {
        let written = (0..Self::THREADS).map(|_| AtomicUsize::new(0)).collect();
        let load = Load { region, ended: AtomicBool::new(false), written };
        thread::scope(|scope| {
            let load = &load;
            let threads: Vec<_> =
                (0..Self::THREADS).map(|number| scope.spawn(move || load.run(number))).collect();
            let ended = EndOnDrop(load);
            load.goes_on();
            meanwhile(load);
            load.goes_on();
            drop(ended);
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    }

    fn run(&self, number: usize) -> usize {
        let (key, mut failed) = (format!("key of thread {number}"), 0);
        for count in 1.. {
            if self.ended.load(SeqCst) {
                break;
            }
            let done = self.region.set(&key, (number, count)).and_then(|()| self.region.get(&key));
            match done {
                // A failover may lose writes that had not reached the replica.
                Ok(found) => {
                    let (thread, read): (usize, usize) = found.unwrap_or((number, 0));
                    assert!(thread == number && read <= count, "{key} has {read} of {thread}");
                    self.written[number].fetch_add(1, SeqCst);
                }
                Err(_) => {
                    failed += 1;
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        failed
    }

    /// Blocks until each thread has written ten more times.
    fn goes_on(&self) {
        let before: Vec<_> = self.written.iter().map(|count| count.load(SeqCst)).collect();
        until("each thread has made progress", || {
            self.written.iter().zip(&before).all(|(count, before)| count.load(SeqCst) > before + 10)
        });
    }
}

struct EndOnDrop<'l, 'r>(&'l Load<'r>);

impl Drop for EndOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.ended.store(true, SeqCst);
    }
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn writes_after_a_failover_go_to_the_new_master() {
    bounded(|| {
        let mut servers = sentinel_servers();
        let region = over_sentinels(&servers);
        Load::on(&region, |_| {
            let old = servers.master_port();
            servers.master().kill();
            until("the sentinels have a new master", || servers.master_port() != old);
        });
        region.set("key", 1).unwrap();
        assert_eq!(say(servers.master_port(), &["EXISTS", "key"]), "1");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn lock_acquired_through_sentinels_is_on_the_master() {
    bounded(|| {
        let servers = sentinel_servers();
        let mutex = over_sentinels(&servers).backend().unwrap().get_mutex("key").unwrap();
        assert!(mutex.try_acquire().unwrap());
        assert_eq!(say(servers.master_port(), &["EXISTS", "_lockkey"]), "1");
        mutex.release().unwrap();
        assert_eq!(say(servers.master_port(), &["EXISTS", "_lockkey"]), "0");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn reads_go_to_replicas_except_for_own_recent_writes() {
    bounded(|| {
        let servers = sentinel_servers();
        let region = over_sentinels(&servers);
        for count in 0..200 {
            region.set("own", count).unwrap();
            assert_eq!(region.get("own").unwrap(), Some(count));
        }
        // This process never wrote the key, so a replica serves the read.
        let gets = |port| say(port, &["INFO", "commandstats"]).contains("cmdstat_get:");
        say(servers.master_port(), &["CONFIG", "RESETSTAT"]);
        assert_eq!(region.get::<i32>("other").unwrap(), None);
        assert!(!gets(servers.master_port()));
    });
}

/// Behavior: `valkey-serializer-suite`, `sentinel-serializer-suite`
#[cfg_attr(any(missing_redis, missing_valkey), ignore = "needs redis-server and valkey-server")]
#[test]
fn stored_form_is_header_and_serialized_value() {
    bounded(|| {
        let (servers, valkey) = (sentinel_servers(), RedisServer::start_program(VALKEY, &[]).unwrap());
        let on_valkey = RegionConfig::new("dogpile.cache.valkey")
            .argument("host", "127.0.0.1")
            .argument("port", valkey.port());
        let on_valkey = region_of("on valkey", on_valkey.serializer_named("json"));
        for (region, port) in [(over_sentinels(&servers), servers.master_port()), (on_valkey, valkey.port())]
        {
            let value = json!({ "list": [1, 2.5, null], "no": false });
            region.set("key", value.clone()).unwrap();
            let stored = say(port, &["GET", "key"]);
            let (header, payload) = stored.split_once('|').unwrap();
            assert!(header.contains("\"ct\""), "{header}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(payload).unwrap(), value);
            assert_eq!(region.get("key").unwrap(), Some(value));
            // A value that the serializer cannot read is a miss.
            assert_eq!(region.get::<Vec<String>>("key").unwrap(), None);
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn unknown_service_name_is_an_error() {
    bounded(|| {
        let servers = sentinel_servers();
        let config = RegionConfig::new("dogpile.cache.redis_sentinel")
            .argument("sentinels", sentinels(&servers))
            .argument("service_name", "unknown");
        let error = region_of("lost", config).set("key", 1).unwrap_err();
        let text = dogpile_tests::errors::told(&error);
        assert!(
            text.contains("cannot discover the Redis master \"unknown\"") && text.contains("service_name"),
            "{text}"
        );
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn replica_takes_over_for_a_killed_cluster_node() {
    bounded(|| {
        let mut servers = cluster_servers();
        let region = over_cluster(&servers);
        Load::on(&region, |_| {
            let ports = servers.ports();
            let (dying, _) =
                servers.masters(ports[0]).into_iter().find(|(port, _)| *port == ports[1]).unwrap();
            servers.node(dying).kill();
            until("the cluster has three masters that are up", || {
                let masters = servers.masters(ports[0]);
                masters.len() == 3 && say(ports[0], &["CLUSTER", "INFO"]).contains("cluster_state:ok")
            });
        });
        // The keys belong to all nodes, so success means that all slots are served.
        let entries: Vec<_> = (0..100).map(|number| (format!("key {number}"), number)).collect();
        region.set_multi(entries.clone()).unwrap();
        let keys: Vec<_> = entries.iter().map(|(key, _)| key).collect();
        let found: Vec<Option<i32>> = region.get_multi(&keys).unwrap();
        assert_eq!(found, entries.iter().map(|(_, number)| Some(*number)).collect::<Vec<_>>());
    });
}

/// A batch ends with an `ECHO`, which shows that no reply was lost or duplicated.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn batch_of_a_user_without_the_right_to_echo_succeeds() {
    bounded(|| {
        let servers = cluster_servers();
        let region = over_cluster(&servers);
        let ports = servers.ports();
        for port in &ports {
            assert_eq!(say(*port, &["ACL", "SETUSER", "default", "-echo"]), "OK");
        }
        let entries: Vec<_> = (0..100).map(|number| (format!("key {number}"), number)).collect();
        region.set_multi(entries.clone()).unwrap();
        let keys: Vec<_> = entries.iter().map(|(key, _)| key).collect();
        for _ in 0..5 {
            let found: Vec<Option<i32>> = region.get_multi(&keys).unwrap();
            assert_eq!(found, entries.iter().map(|(_, number)| Some(*number)).collect::<Vec<_>>());
        }
        // The server logs each rejection, and therefore there is only one.
        let rejected = |port: &u16| {
            let statistics = say(*port, &["INFO", "commandstats"]);
            let echo = statistics.lines().find(|line| line.starts_with("cmdstat_echo:")).unwrap_or_default();
            echo.split_once("rejected_calls=")
                .map_or(0, |(_, rest)| rest.split(',').next().unwrap().parse().unwrap())
        };
        let rejected: Vec<usize> = ports.iter().map(rejected).collect();
        assert!(rejected.contains(&1) && rejected.iter().all(|count| *count <= 1), "{rejected:?}");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn resharding_under_load_fails_no_call() {
    bounded(|| {
        let servers = cluster_servers();
        let region = over_cluster(&servers);
        let entries: Vec<_> = (0..500).map(|number| (format!("key {number}"), number)).collect();
        region.set_multi(entries.clone()).unwrap();
        let failed = Load::on(&region, |_| {
            let port = servers.ports()[0];
            let masters = servers.masters(port);
            let moved = std::process::Command::new(installed("redis-cli").unwrap())
                .args(["--cluster", "reshard", &format!("127.0.0.1:{port}"), "--cluster-yes"])
                .args(["--cluster-from", &masters[0].1, "--cluster-to", &masters[1].1])
                .args(["--cluster-slots", "1000"])
                .output()
                .unwrap();
            assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stdout));
        });
        assert_eq!(failed, 0);
        let keys: Vec<_> = entries.iter().map(|(key, _)| key).collect();
        let found: Vec<Option<i32>> = region.get_multi(&keys).unwrap();
        assert_eq!(found, entries.iter().map(|(_, number)| Some(*number)).collect::<Vec<_>>());
    });
}

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn python_shares_values_and_locks_of_sentinel_and_cluster() {
    bounded(|| {
        let (sentinel, cluster) = (sentinel_servers(), cluster_servers());
        let python = python().unwrap();
        let pairs: Vec<_> = sentinel.sentinel_ports().iter().map(|port| json!(["127.0.0.1", port])).collect();
        let url = format!("redis://127.0.0.1:{}", cluster.ports()[0]);
        let deployments = [
            (
                over_sentinels(&sentinel),
                json!({
                    "backend": "dogpile.cache.redis_sentinel", "serializer": "json",
                    "arguments": { "sentinels": pairs, "service_name": SERVICE },
                }),
            ),
            (
                over_cluster(&cluster),
                json!({
                    "backend": "dogpile.cache.redis_cluster", "serializer": "json",
                    "arguments": { "url": url, "distributed_lock": true, "thread_local_lock": false },
                }),
            ),
        ];
        for (ours, configuration) in deployments {
            let peer = Peer::start(&python, &configuration);
            ours.set("ours", vec![1, 2]).unwrap();
            until("Python sees our value", || peer.get("ours") == Some(json!([1, 2])));
            peer.set("theirs", &json!("text"));
            until("we see Python's value", || ours.get("theirs").unwrap() == Some("text".to_owned()));
            // Python and this process use the same lock.
            assert_eq!(peer.ask(&json!({ "do": "acquire", "key": "locked" })), json!({ "value": true }));
            assert!(ours.key_is_locked("locked").unwrap());
            peer.ask(&json!({ "do": "release", "key": "locked" }));
            let mutex = ours.backend().unwrap().get_mutex("locked").unwrap();
            assert!(mutex.try_acquire().unwrap());
            assert!(peer.key_is_locked("locked"));
            mutex.release().unwrap();
        }
    });
}
