//! Every fault of a network or a proxy, before asynchronous calls that share a connection.
//!
//! No call returns a wrong value, all calls end in time, and replies are right again afterwards.

use std::time::Duration;

use dogpile_tests::dialect::Dialect;
use dogpile_tests::fault::Fault;
use dogpile_tests::faulty_load::Spoiled;
use dogpile_tests::faulty_relay::{FaultyRelay, Spoiling};
use dogpile_tests::front::Front;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, together, until};

use super::asynchronous::{all, read, runtime, shared, store};
use super::relay::{LOCK, config};
use super::server;

/// The timeout of the regions. It is longer than for blocking calls, because all calls wait for a reply that is late.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The number of faults that are tried at a time.
const AT_ONCE: usize = 10;

const SPOILING: Spoiling = Spoiling { timeout: TIMEOUT, every: 12, only: None };

fn survives_each_fault(dialect: Dialect) {
    bounded(move || {
        let server = server();
        // Shared connections are kept, so that there are no new ones with an unrequested reply. See below.
        let faults: Vec<_> = Fault::ALL.into_iter().filter(|fault| *fault != Fault::Unrequested).collect();
        for faults in faults.chunks(AT_ONCE) {
            together(faults.len(), |number| {
                let relay = FaultyRelay::before(&[server.port()], dialect, SPOILING);
                let config = config(dialect, &relay, server.port());
                let region = region_of("relayed", config.argument("socket_timeout", TIMEOUT.as_secs_f64()));
                let (timeout, lock, fails, front) = (TIMEOUT, LOCK, false, Front::Asynchronous);
                let spoiled = Spoiled { region: &region, relay: &relay, timeout, lock, fails, front };
                spoiled.survives(faults[number]);
            });
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn shared_connections_with_meta_commands_get_no_wrong_value() {
    survives_each_fault(Dialect::Meta);
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn shared_connections_with_classic_commands_get_no_wrong_value() {
    survives_each_fault(Dialect::Classic);
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn shared_connections_with_binary_protocol_get_no_wrong_value() {
    survives_each_fault(Dialect::Binary);
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn unrequested_reply_on_a_new_connection_reaches_no_call() {
    bounded(|| {
        for dialect in [Dialect::Meta, Dialect::Classic, Dialect::Binary] {
            let server = server();
            let relay = FaultyRelay::before(&[server.port()], dialect, SPOILING);
            let config = config(dialect, &relay, server.port());
            let region = shared(config.argument("socket_timeout", TIMEOUT.as_secs_f64()));
            relay.inject(Fault::Unrequested);
            runtime().block_on(async {
                for _ in 0..20 {
                    all(&region, 20, store).await;
                    // `read` fails if a key has the value of another one.
                    all(&region, 20, |region, key| async move { read(region, key).await.unwrap() }).await;
                }
            });
            assert!(relay.faults() > 0, "{dialect:?}");
            relay.heal();
            until("everything is stored and found", || {
                runtime().block_on(all(&region, 20, store));
                runtime().block_on(all(&region, 20, read)).into_iter().all(|found| found.unwrap())
            });
        }
    });
}

/// A reply among those to many calls at once is lost, swapped, changed, or sent twice.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn spoiled_reply_among_many_reaches_no_other_call() {
    const KEYS: usize = 60;
    bounded(|| {
        let faults = [
            Fault::Duplicate,
            Fault::DuplicateLater,
            Fault::Drop,
            Fault::Swap,
            Fault::OtherType,
            Fault::Error,
        ];
        for dialect in [Dialect::Meta, Dialect::Classic, Dialect::Binary] {
            let server = server();
            let relay = FaultyRelay::before(&[server.port()], dialect, SPOILING);
            let config = config(dialect, &relay, server.port());
            let region = shared(config.argument("socket_timeout", TIMEOUT.as_secs_f64()));
            let well = |runtime: &tokio::runtime::Runtime| {
                until("everything is stored and found", || {
                    runtime.block_on(all(&region, KEYS, store));
                    runtime.block_on(all(&region, KEYS, read)).into_iter().all(|found| found.unwrap())
                });
            };
            let runtime = runtime();
            for round in 0..5 {
                for fault in faults {
                    well(&runtime);
                    let before = relay.faults();
                    relay.inject_once(fault);
                    // `read` fails if a key has the value of another one.
                    let found = runtime.block_on(all(&region, KEYS, read));
                    assert_eq!(relay.faults(), before + 1, "{dialect:?} {fault:?} {round}");
                    assert!(found.into_iter().all(|found| found.is_ok()), "{dialect:?} {fault:?} {round}");
                    relay.heal();
                }
            }
        }
    });
}
