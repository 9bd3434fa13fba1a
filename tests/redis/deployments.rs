//! Sentinel and Cluster: what a region sees when a server goes away, or its keys move.

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

fn sentinel_servers() -> Option<SentinelServers> {
    SentinelServers::start(REDIS).inspect_err(|why| eprintln!("ignored: {why}")).ok()
}

fn cluster_servers() -> Option<ClusterServers> {
    ClusterServers::start(REDIS).inspect_err(|why| eprintln!("ignored: {why}")).ok()
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

/// Threads that each count up under a key of their own, and see that nobody else's value, nor one that was never
/// written, is read there.
struct Load<'r> {
    region: &'r CacheRegion,
    ended: AtomicBool,
    /// How often each thread wrote.
    written: Vec<AtomicUsize>,
}

impl<'r> Load<'r> {
    const THREADS: usize = 4;

    /// Runs `meanwhile` under load; answers how many calls failed.
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
                // A failover may lose what the replica had not got yet.
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

    /// Blocks until each thread has written again.
    fn goes_on(&self) {
        let before: Vec<_> = self.written.iter().map(|count| count.load(SeqCst)).collect();
        until("each thread gets on", || {
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

#[test]
fn after_the_master_died_its_successor_is_written_to() {
    bounded(|| {
        let Some(mut servers) = sentinel_servers() else { return };
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

#[test]
fn a_lock_taken_through_sentinels_is_on_the_master() {
    bounded(|| {
        let Some(servers) = sentinel_servers() else { return };
        let mutex = over_sentinels(&servers).backend().unwrap().get_mutex("key").unwrap();
        assert!(mutex.try_acquire().unwrap());
        assert_eq!(say(servers.master_port(), &["EXISTS", "_lockkey"]), "1");
        mutex.release().unwrap();
        assert_eq!(say(servers.master_port(), &["EXISTS", "_lockkey"]), "0");
    });
}

#[test]
fn replicas_are_read_from_and_ones_own_writes_are_always_seen() {
    bounded(|| {
        let Some(servers) = sentinel_servers() else { return };
        let region = over_sentinels(&servers);
        for count in 0..200 {
            region.set("own", count).unwrap();
            assert_eq!(region.get("own").unwrap(), Some(count));
        }
        // A key that this process never wrote.
        let gets = |port| say(port, &["INFO", "commandstats"]).contains("cmdstat_get:");
        say(servers.master_port(), &["CONFIG", "RESETSTAT"]);
        assert_eq!(region.get::<i32>("other").unwrap(), None);
        assert!(!gets(servers.master_port()));
    });
}

/// Behaviour: `valkey-serializer-suite`, `sentinel-serializer-suite`
#[test]
fn what_is_stored_is_a_header_and_what_the_serializer_made() {
    bounded(|| {
        let (Some(servers), Ok(valkey)) = (sentinel_servers(), RedisServer::start_program(VALKEY, &[]))
        else {
            return;
        };
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
            // What the serializer cannot read is a miss.
            assert_eq!(region.get::<Vec<String>>("key").unwrap(), None);
        }
    });
}

#[test]
fn a_name_that_no_sentinel_knows_is_told() {
    bounded(|| {
        let Some(servers) = sentinel_servers() else { return };
        let config = RegionConfig::new("dogpile.cache.redis_sentinel")
            .argument("sentinels", sentinels(&servers))
            .argument("service_name", "nobody");
        let refused = region_of("lost", config).set("key", 1).unwrap_err();
        let told = dogpile_tests::errors::told(&refused);
        assert!(told.contains("master called \"nobody\"") && told.contains("service_name"), "{told}");
    });
}

#[test]
fn when_a_node_of_a_cluster_died_its_replica_takes_over() {
    bounded(|| {
        let Some(mut servers) = cluster_servers() else { return };
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
        // All slots are served: keys of every node are taken.
        let entries: Vec<_> = (0..100).map(|number| (format!("key {number}"), number)).collect();
        region.set_multi(entries.clone()).unwrap();
        let keys: Vec<_> = entries.iter().map(|(key, _)| key).collect();
        let found: Vec<Option<i32>> = region.get_multi(&keys).unwrap();
        assert_eq!(found, entries.iter().map(|(_, number)| Some(*number)).collect::<Vec<_>>());
    });
}

#[test]
fn slots_that_move_under_load_cost_no_call() {
    bounded(|| {
        let Some(servers) = cluster_servers() else { return };
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

#[test]
fn python_shares_what_sentinels_and_a_cluster_keep() {
    bounded(|| {
        let (Some(sentinel), Some(cluster)) = (sentinel_servers(), cluster_servers()) else { return };
        let Ok(python) = python() else { return };
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
            // One lock for both.
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
