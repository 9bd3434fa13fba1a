//! Servers and networks that send anything but the reply to asynchronous calls that share a connection, and processes that
//! fork.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::threads::{bounded, together};
use serde_json::json;

use super::asynchronous::{all, on_one_thread, runtime, shared};
use super::fake::{FakeServer, Misbehavior};
use super::hostile::{NO_VALUES, SLOW, kinds};
use super::{BACKENDS, Impatient, server};

/// The timeout of the regions.
const TIMEOUT: Duration = Duration::from_millis(1000);

/// The longest time that a call may take: a tenth more than the timeout, and some more on a busy machine.
const LONGEST: Duration = Duration::from_millis(1100 + 400);

fn region_on((backend, more): &Impatient, server: &FakeServer) -> Arc<CacheRegion> {
    let config = RegionConfig::new(*backend).arguments(more).argument("url", server.url());
    shared(config.argument("socket_timeout", TIMEOUT.as_secs_f64()).argument("distributed_lock", true))
}

/// Reads a key. What it has is its own value.
async fn read(region: Arc<CacheRegion>, key: String) -> bool {
    match region.get_async::<String>(&key).await {
        Ok(found) => {
            assert!(found.as_ref().is_none_or(|found| *found == FakeServer::value(&key)), "{key}: {found:?}");
            found.is_some()
        }
        Err(error) => {
            let error = told(&error);
            assert!(error.contains("more than 536870912"), "{error}");
            false
        }
    }
}

/// Reads many keys at once, until all are found.
async fn until_well(region: &Arc<CacheRegion>, what: &dyn std::fmt::Debug) {
    for _ in 0..1000 {
        if all(region, 50, read).await.into_iter().all(|is_found| is_found) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the server is not used again after {what:?}");
}

/// Waits for a call, and fails if it takes too long.
async fn in_time<T>(what: &dyn std::fmt::Debug, call: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let result = call.await;
    assert!(begun.elapsed() < LONGEST, "{what:?} took {:?}", begun.elapsed());
    result
}

/// While a server misbehaves, many calls at once end in time with no wrong value. Afterwards, all are right.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn hostile_reply_reaches_no_concurrent_call() {
    bounded(|| {
        let more = [Misbehavior::Repeat, Misbehavior::Previous, Misbehavior::Slow, Misbehavior::Freeze];
        let hostile: Vec<_> = NO_VALUES.into_iter().chain(SLOW).chain(more).collect();
        together(kinds().len(), |number| {
            let (kind, backend) = &kinds()[number];
            for misbehaviors in hostile.chunks(12) {
                together(misbehaviors.len(), |number| {
                    let misbehavior = misbehaviors[number];
                    let (server, what) = (FakeServer::start(*kind), (kind, misbehavior));
                    let region = region_on(backend, &server);
                    on_one_thread(async {
                        until_well(&region, &what).await;
                        server.misbehave(misbehavior);
                        in_time(&what, all(&region, 30, read)).await;
                        in_time(&what, async { drop(region.set_async("key:1", 1).await) }).await;
                        let deleted = in_time(&what, region.delete_async("key:1")).await;
                        if let Err(error) = deleted {
                            let text = told(&error);
                            assert_eq!(text.matches(&server.url()).count(), 1, "{what:?}: {text}");
                            assert!(!text.contains("EVIL") && !text.contains(['\x1b', '\r']), "{text:?}");
                        }
                        server.misbehave(Misbehavior::None);
                        until_well(&region, &what).await;
                    });
                });
            }
        });
    });
}

/// With the default arguments, the other parts of a call do not wait for a server that just timed out.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn whole_creation_on_a_slow_server_takes_one_timeout() {
    bounded(|| {
        let cases: Vec<_> =
            BACKENDS.into_iter().flat_map(|backend| SLOW.map(|slow| (backend, slow))).collect();
        together(cases.len(), |number| {
            let (backend, slow) = cases[number];
            let kind = if backend == "dogpile.cache.bmemcached" { kinds()[3].0 } else { kinds()[0].0 };
            let server = FakeServer::start(kind);
            server.misbehave(slow);
            let region = region_on(&(backend, json!({})), &server);
            let creation = region.get_or_create_async("key", async || 7);
            let value = on_one_thread(in_time(&cases[number], creation)).unwrap();
            assert_eq!(value, 7);
        });
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn reply_duplicated_after_its_call_reaches_no_later_one() {
    bounded(|| {
        for (kind, backend) in kinds() {
            for first in ["first", "missing"] {
                let server = FakeServer::start(kind);
                let region = region_on(&backend, &server);
                runtime().block_on(async {
                    server.misbehave(Misbehavior::RepeatLater);
                    assert_eq!(read(Arc::clone(&region), first.to_owned()).await, first == "first");
                    server.misbehave(Misbehavior::None);
                    server.repeat_now();
                    // The server is not to blame for the duplicate, and stays in use.
                    let found = all(&region, 50, read).await;
                    assert!(found.into_iter().all(|is_found| is_found), "{kind:?}");
                    assert_eq!(server.connections(), 2, "{kind:?}");
                });
            }
        }
    });
}

/// Replies with other numbers than those of their requests: each is refused, whatever key it names.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn reply_with_another_number_fails_its_connection() {
    bounded(|| {
        for (kind, backend) in [kinds()[0].clone(), kinds()[3].clone()] {
            let server = FakeServer::start(kind);
            let region = region_on(&backend, &server);
            runtime().block_on(async {
                until_well(&region, &kind).await;
                let before = server.connections();
                server.misbehave(Misbehavior::Previous);
                // The previous reply even names the right key.
                assert!(!read(Arc::clone(&region), "key:1".to_owned()).await);
                server.misbehave(Misbehavior::None);
                until_well(&region, &kind).await;
                assert_eq!(server.connections(), before + 1, "{kind:?}");
            });
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn forked_child_has_a_runtime_and_connections_of_its_own() {
    bounded(|| {
        for backend in BACKENDS {
            let server = server();
            let program = env!("CARGO_BIN_EXE_asynchronous_fork");
            let ended = Command::new(program).args([&server.port().to_string(), backend]).output().unwrap();
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
        }
    });
}
