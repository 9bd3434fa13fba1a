//! Every fault of a network or a proxy, before a server in each protocol.
//!
//! No call returns a wrong value, all calls end in time, and replies are right again afterwards.

use std::time::Duration;

use dogpile::RegionConfig;
use dogpile_tests::dialect::Dialect;
use dogpile_tests::fault::Fault;
use dogpile_tests::faulty_load::Spoiled;
use dogpile_tests::faulty_relay::{FaultyRelay, Spoiling};
use dogpile_tests::front::Front;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, together, until};
use serde_json::{Value, json};

use super::server;

/// The timeout of the regions.
const TIMEOUT: Duration = Duration::from_millis(250);

/// The lifetime of locks, after which one is free whose release was lost.
pub(super) const LOCK: Duration = Duration::from_secs(1);

/// The number of faults that are tried at a time.
const AT_ONCE: usize = 10;

const SPOILING: Spoiling = Spoiling { timeout: TIMEOUT, every: 5, only: None };

/// Returns a region on the server behind `relay`. A failed server is used again almost at once.
pub(super) fn config(dialect: Dialect, relay: &FaultyRelay, server: u16) -> RegionConfig {
    let (backend, more): (_, Value) = match dialect {
        Dialect::Binary => {
            ("dogpile.cache.pylibmc", json!({ "binary": true, "behaviors": { "retry_timeout": 0 } }))
        }
        Dialect::Classic => {
            let times = json!({ "hashclient_retry_timeout": 0.001, "hashclient_dead_timeout": 0.001 });
            ("dogpile.cache.pymemcache", times)
        }
        _ => ("dogpile.cache.memcached", json!({ "dead_retry": 0.001 })),
    };
    RegionConfig::new(backend)
        .arguments(&more)
        .argument("url", format!("127.0.0.1:{}", relay.port_for(server)))
        .argument("socket_timeout", TIMEOUT.as_secs_f64())
        .argument("distributed_lock", true)
        .argument("lock_timeout", LOCK.as_secs_f64())
}

fn survives_each_fault(dialect: Dialect) {
    bounded(move || {
        let server = server();
        for faults in Fault::ALL.chunks(AT_ONCE) {
            together(faults.len(), |number| {
                let relay = FaultyRelay::before(&[server.port()], dialect, SPOILING);
                let region = region_of("relayed", config(dialect, &relay, server.port()));
                // A server that fails is one with misses.
                let spoiled = Spoiled {
                    region: &region,
                    relay: &relay,
                    timeout: TIMEOUT,
                    lock: LOCK,
                    fails: false,
                    front: Front::Blocking,
                };
                spoiled.survives(faults[number]);
            });
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn meta_commands_over_a_faulty_network_get_no_wrong_value() {
    survives_each_fault(Dialect::Meta);
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn classic_commands_over_a_faulty_network_get_no_wrong_value() {
    survives_each_fault(Dialect::Classic);
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn binary_protocol_over_a_faulty_network_gets_no_wrong_value() {
    survives_each_fault(Dialect::Binary);
}

/// Afterwards, the one connection has a reply that belongs to no request.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn duplicated_reply_on_a_clean_network_reaches_no_other_key() {
    bounded(|| {
        for dialect in [Dialect::Meta, Dialect::Classic, Dialect::Binary] {
            let server = server();
            let relay = FaultyRelay::before(&[server.port()], dialect, SPOILING);
            let config = config(dialect, &relay, server.port()).argument("pool_size", 1);
            let region = region_of("duplicated", config);
            let keys: Vec<String> = (0..160).map(|number| format!("key:{number}")).collect();
            region.set_multi(keys.iter().map(|key| (key, key.clone()))).unwrap();
            relay.inject_once(Fault::Duplicate);
            let _ = region.get::<String>("key:0");
            until("a reply was duplicated", || relay.faults() == 1);
            for key in &keys {
                // While the server counts as failed, everything is a miss.
                let found = region.get::<String>(key).unwrap();
                assert!(found.as_ref().is_none_or(|found| found == key), "{dialect:?}: {key} has {found:?}");
            }
            until("everything is found again", || {
                keys.iter().all(|key| region.get::<String>(key).unwrap().as_ref() == Some(key))
            });
            assert!(relay.connections() <= 4, "{dialect:?}: {} connections", relay.connections());
        }
    });
}
