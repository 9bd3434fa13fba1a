//! Asynchronous calls to Sentinel and clusters, also while their topology changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::redis::{ClusterServers, REDIS, SERVICE, SentinelServers, say};
use dogpile_tests::servers::installed;
use dogpile_tests::threads::{bounded, until};
use tokio::task::JoinSet;

use super::asynchronous::{runtime, shared};

fn over_sentinels(servers: &SentinelServers) -> Arc<CacheRegion> {
    let sentinels: Vec<_> = servers.sentinel_ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let config = RegionConfig::new("dogpile.cache.redis_sentinel")
        .argument("sentinels", sentinels)
        .argument("service_name", SERVICE)
        .argument("socket_timeout", 1.0);
    shared(config)
}

fn over_cluster(servers: &ClusterServers) -> Arc<CacheRegion> {
    let nodes: Vec<_> = servers.ports().iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let config = RegionConfig::new("dogpile.cache.redis_cluster").argument("startup_nodes", nodes);
    shared(config.argument("socket_timeout", 2.0))
}

/// Writes growing numbers under a key and reads them back, until `ended`. Returns the number of failed calls.
async fn load(region: Arc<CacheRegion>, key: String, ended: Arc<AtomicBool>) -> usize {
    let (mut failed, mut written) = (0, 0);
    for number in 1_usize.. {
        if ended.load(SeqCst) {
            break;
        }
        match region.set_async(&key, number).await {
            Ok(()) => written = number,
            Err(_) => failed += 1,
        }
        match region.get_async::<usize>(&key).await {
            // A failed write may have been made, too. A failover may lose what was written last.
            Ok(found) => assert!(found.is_none_or(|found| found <= number), "{found:?} after {written}"),
            Err(_) => failed += 1,
        }
    }
    failed
}

/// Runs `meanwhile` under load, and returns the number of failed calls.
fn under_load(region: &Arc<CacheRegion>, meanwhile: impl FnOnce()) -> usize {
    let (runtime, ended) = (runtime(), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let call = load(Arc::clone(region), format!("load {number}"), Arc::clone(&ended));
        tasks.spawn_on(call, runtime.handle());
    }
    meanwhile();
    ended.store(true, SeqCst);
    runtime.block_on(tasks.join_all()).into_iter().sum()
}

/// Stores many keys, and checks that each has its value.
fn store_and_read_many(region: &CacheRegion) {
    let entries: Vec<_> = (0..500).map(|number| (format!("key {number}"), number)).collect();
    let keys: Vec<_> = entries.iter().map(|(key, _)| key.clone()).collect();
    runtime().block_on(async {
        region.set_multi_async(entries.clone()).await.unwrap();
        let found = region.get_multi_async::<i32>(&keys).await.unwrap();
        assert_eq!(found, entries.iter().map(|(_, number)| Some(*number)).collect::<Vec<_>>());
    });
    let found: Vec<Option<i32>> = region.get_multi(&keys).unwrap();
    assert_eq!(found, entries.iter().map(|(_, number)| Some(*number)).collect::<Vec<_>>());
    runtime().block_on(async {
        region.delete_multi_async(&keys).await.unwrap();
        assert!(region.get_multi_async::<i32>(&keys).await.unwrap().iter().all(Option::is_none));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn own_writes_through_sentinels_survive_a_failover() {
    bounded(|| {
        let mut servers = SentinelServers::start(REDIS).unwrap();
        let region = over_sentinels(&servers);
        store_and_read_many(&region);
        let gets = |port| say(port, &["INFO", "commandstats"]).contains("cmdstat_get:");
        // The sentinels may not know yet that the replicas are up to date.
        until("a replica serves a read", || {
            say(servers.master_port(), &["CONFIG", "RESETSTAT"]);
            assert_eq!(runtime().block_on(region.get_async::<i32>("other")).unwrap(), None);
            !gets(servers.master_port())
        });
        under_load(&region, || {
            let old = servers.master_port();
            servers.master().kill();
            until("the sentinels have a new master", || servers.master_port() != old);
        });
        runtime().block_on(region.set_async("key", 1)).unwrap();
        assert_eq!(say(servers.master_port(), &["EXISTS", "key"]), "1");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn cluster_keys_are_stored_on_their_masters_while_resharding() {
    bounded(|| {
        let servers = ClusterServers::start(REDIS).unwrap();
        let region = over_cluster(&servers);
        store_and_read_many(&region);
        let failed = under_load(&region, || {
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
        store_and_read_many(&region);
    });
}

#[test]
fn unreachable_topology_is_an_error_in_time() {
    bounded(|| {
        // A listener whose connections are never accepted nor replied to.
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = silent.local_addr().unwrap().to_string();
        for (backend, argument, error) in [
            ("dogpile.cache.redis_sentinel", "sentinels", "cannot discover the Redis"),
            ("dogpile.cache.redis_cluster", "startup_nodes", "cannot discover the Redis"),
        ] {
            let config = RegionConfig::new(backend).argument(argument, vec![address.clone()]);
            let region = shared(config.argument("socket_timeout", 1.0));
            let begun = Instant::now();
            let text = told(&runtime().block_on(region.get_async::<i32>("key")).unwrap_err());
            assert!(text.contains(error), "{text}");
            // It takes one exchange, and less than a second one on a busy machine.
            assert!(begun.elapsed() < Duration::from_millis(1900), "{:?}", begun.elapsed());
        }
    });
}
