//! Every fault of a network or a proxy, before each kind of deployment.
//!
//! No call returns a wrong value, all calls end in time, and replies are right again afterwards.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig, RegionError};
use dogpile_tests::certificates::Certificates;
use dogpile_tests::dialect::Dialect;
use dogpile_tests::fault::Fault;
use dogpile_tests::faulty_load::Spoiled;
use dogpile_tests::faulty_relay::{FaultyRelay, Spoiling};
use dogpile_tests::front::Front;
use dogpile_tests::redis::{ClusterServers, REDIS, RedisServer, SERVICE, SentinelServers};
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, together, until};
use serde_json::json;

use super::server;

/// The timeout of the regions.
const TIMEOUT: Duration = Duration::from_millis(250);

/// The lifetime of locks, after which one is free whose release was lost.
const LOCK: Duration = Duration::from_secs(1);

/// The number of faults that are tried at a time.
const AT_ONCE: usize = 10;

const SPOILING: Spoiling = Spoiling { timeout: TIMEOUT, every: 5, only: None };

fn config_of(backend: &str) -> RegionConfig {
    RegionConfig::new(backend)
        .argument("socket_timeout", TIMEOUT.as_secs_f64())
        .argument("distributed_lock", true)
        .argument("lock_timeout", LOCK.as_secs_f64())
}

/// Returns a region on the one server behind `relay`.
fn single(relay: &FaultyRelay, server: u16) -> RegionConfig {
    let config = config_of("dogpile.cache.redis").argument("host", "127.0.0.1");
    config.argument("port", relay.port_for(server))
}

/// Tries each fault, with a relay of its own, which `relay` creates, and a region with the configuration that `config`
/// returns.
fn survives_each_fault(
    relay: impl Fn() -> FaultyRelay + Sync,
    config: impl Fn(&FaultyRelay) -> RegionConfig + Sync,
) {
    for faults in Fault::ALL.chunks(AT_ONCE) {
        together(faults.len(), |number| {
            let relay = relay();
            let region = region_of("relayed", config(&relay));
            let spoiled = Spoiled {
                region: &region,
                relay: &relay,
                timeout: TIMEOUT,
                lock: LOCK,
                fails: true,
                front: Front::Blocking,
            };
            spoiled.survives(faults[number]);
        });
    }
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn server_behind_a_faulty_network_serves_no_wrong_value() {
    bounded(|| {
        let server = server(&[]);
        let port = server.port();
        let relay = || FaultyRelay::before(&[port], Dialect::Resp, SPOILING);
        survives_each_fault(relay, |relay| single(relay, port));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn encrypted_server_on_a_faulty_network_serves_no_wrong_value() {
    bounded(|| {
        let certificates = Certificates::new();
        let (_server, port) = RedisServer::start_encrypted(&certificates).unwrap();
        // A handshake has several records, and has to succeed now and then.
        let spoiling = Spoiling { every: 13, ..SPOILING };
        let relay = || FaultyRelay::before(&[port], Dialect::Tls, spoiling);
        let (certificate, key) = certificates.client();
        let options = json!({
            "ssl_ca_certs": certificates.authority(), "ssl_certfile": certificate, "ssl_keyfile": key,
        });
        survives_each_fault(relay, |relay| {
            single(relay, port).argument("ssl", true).argument("connection_kwargs", options.clone())
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn sentinel_servers_on_a_faulty_network_serve_no_wrong_value() {
    bounded(|| {
        let servers = SentinelServers::start(REDIS).unwrap();
        let sentinels = servers.sentinel_ports();
        let ports = [sentinels.clone(), servers.ports()].concat();
        let relay = || FaultyRelay::before(&ports, Dialect::Resp, SPOILING);
        survives_each_fault(relay, |relay| {
            let address = |port: &u16| format!("127.0.0.1:{}", relay.port_for(*port));
            let addresses: Vec<String> = sentinels.iter().map(address).collect();
            let config = config_of("dogpile.cache.redis_sentinel").argument("sentinels", addresses);
            config.argument("service_name", SERVICE)
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn cluster_behind_a_faulty_network_serves_no_wrong_value() {
    bounded(|| {
        let servers = ClusterServers::start(REDIS).unwrap();
        let ports = servers.ports();
        let relay = || FaultyRelay::before(&ports, Dialect::Resp, SPOILING);
        survives_each_fault(relay, |relay| {
            let address = |port: &u16| format!("127.0.0.1:{}", relay.port_for(*port));
            let addresses: Vec<String> = ports.iter().map(address).collect();
            config_of("dogpile.cache.redis_cluster").argument("startup_nodes", addresses)
        });
    });
}

/// Waiters of locks speak RESP3. If their connections fail, they poll.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn waiters_with_faulty_subscriptions_still_acquire() {
    bounded(|| {
        let server = server(&[]);
        let port = server.port();
        let spoiling = Spoiling { every: 1, only: Some("HELLO"), ..SPOILING };
        for faults in Fault::ALL.chunks(AT_ONCE) {
            together(faults.len(), |number| {
                // The state of a missing value is unknown.
                if [Fault::Unrequested, Fault::CorruptPayload].contains(&faults[number]) {
                    return;
                }
                let relay = FaultyRelay::before(&[port], Dialect::Resp, spoiling);
                let key = format!("{:?}", faults[number]);
                // The commands are not spoiled, and must not time out on a busy machine.
                let config =
                    || single(&relay, port).argument("lock_sleep", 0.05).argument("socket_timeout", 2.0);
                let regions = [region_of("one", config()), region_of("another", config())];
                relay.inject(faults[number]);
                alternate(&regions, &key);
                assert!(relay.faults() > 0, "{key}: no reply was spoiled");
                relay.heal();
                alternate(&regions, &key);
            });
        }
    });
}

/// Two holders take turns with a lock, and each waits for the other.
fn alternate(regions: &[CacheRegion; 2], key: &str) {
    let is_held = AtomicBool::new(false);
    together(2, |number| {
        let mutex = regions[number].backend().unwrap().get_mutex(key).unwrap();
        for _ in 0..5 {
            let begun = Instant::now();
            let is_acquired = mutex.acquire_until(begun + Duration::from_secs(5)).unwrap();
            assert!(is_acquired, "{key}: not acquired within {:?}", begun.elapsed());
            assert!(!is_held.swap(true, SeqCst), "{key}: two held the lock");
            thread::sleep(Duration::from_millis(40));
            is_held.store(false, SeqCst);
            mutex.release().unwrap();
        }
    });
}

/// Reads the text under a key, with blocking or asynchronous calls.
type Read = fn(&CacheRegion, &str) -> Result<Option<String>, RegionError>;

/// Afterwards, the one connection has a reply that belongs to no request.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn duplicated_reply_on_a_clean_network_reaches_no_other_key() {
    bounded(|| {
        let server = server(&[]);
        for fault in [Fault::Duplicate, Fault::DuplicateLater] {
            // The second delivery meets the next request at different moments.
            (0..50).for_each(|_| reads_after_one(fault, &server, |region, key| region.get(key)));
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn duplicated_reply_on_a_clean_network_reaches_no_other_task() {
    bounded(|| {
        let server = server(&[]);
        let read: Read = |region, key| tokio::runtime::Handle::current().block_on(region.get_async(key));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _entered = runtime.enter();
        for fault in [Fault::Duplicate, Fault::DuplicateLater] {
            (0..50).for_each(|_| reads_after_one(fault, &server, read));
        }
    });
}

fn reads_after_one(fault: Fault, server: &RedisServer, read: Read) {
    let relay = FaultyRelay::before(&[server.port()], Dialect::Resp, SPOILING);
    let region = region_of("duplicated", single(&relay, server.port()).argument("pool_size", 1));
    let keys: Vec<String> = (0..160).map(|number| format!("key {number}")).collect();
    region.set_multi(keys.iter().map(|key| (key, key.clone()))).unwrap();
    relay.inject_once(fault);
    let _ = read(&region, "key 0");
    until("a reply was duplicated", || relay.faults() == 1);
    let failures = keys.iter().filter(|key| match read(&region, key) {
        Ok(found) => {
            assert_eq!(found.as_ref(), Some(*key), "{fault:?}");
            false
        }
        Err(_) => true,
    });
    assert!(failures.count() <= 1, "{fault:?}");
    assert!(relay.connections() <= 3, "{fault:?}: {} connections were opened", relay.connections());
}
