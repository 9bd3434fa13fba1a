//! Asynchronous calls: many share a connection, each ends in time, and none receives the value of another key.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use dogpile::{CacheRegion, RegionConfig, RegionError};
use dogpile_tests::certificates::Certificates;
use dogpile_tests::errors::told;
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{Signal, bounded, until};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::{BACKENDS, Impatient, count, impatient, server};

pub(super) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs `work` on one thread, which a blocking call would stop.
pub(super) fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Returns the configuration of a backend at `port` with further arguments.
pub(super) fn config((backend, more): &Impatient, port: u16) -> RegionConfig {
    RegionConfig::new(*backend).arguments(more).argument("url", format!("127.0.0.1:{port}"))
}

pub(super) fn shared(config: RegionConfig) -> Arc<CacheRegion> {
    Arc::new(region_of("asynchronous", config))
}

/// Begins a call for each of `count` keys at once, and returns the outcomes in the order in which the calls end.
pub(super) async fn all<T, Fut>(
    region: &Arc<CacheRegion>,
    count: usize,
    call: impl Fn(Arc<CacheRegion>, String) -> Fut,
) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(call(Arc::clone(region), format!("key:{number}")));
    }
    tasks.join_all().await
}

/// Returns whether a key has the value that [`store`] gave it. A missing key has not.
pub(super) async fn read(region: Arc<CacheRegion>, key: String) -> Result<bool, RegionError> {
    let found = region.get_async::<String>(&key).await?;
    assert!(found.as_ref().is_none_or(|found| *found == format!("the value of {key}")), "{key}: {found:?}");
    Ok(found.is_some())
}

pub(super) async fn store(region: Arc<CacheRegion>, key: String) {
    region.set_async(&key, format!("the value of {key}")).await.unwrap();
}

/// Stores and reads 100 keys at once.
async fn is_working(region: &Arc<CacheRegion>) {
    all(region, 100, store).await;
    assert!(all(region, 100, read).await.into_iter().all(|found| found.unwrap()));
}

/// Starts a server with one thread, which counts its connections in the order in which they come.
pub(super) fn counting_server() -> MemcachedServer {
    MemcachedServer::start(&["-t", "1"]).unwrap()
}

/// Returns the number of open connections of the server, including the one that asks.
pub(super) fn connections(server: &MemcachedServer) -> usize {
    count(server.port(), "curr_connections")
}

/// Returns the number of connections that the server has accepted, including the one that asks.
pub(super) fn accepted(server: &MemcachedServer) -> usize {
    count(server.port(), "total_connections")
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn thousand_calls_share_few_connections() {
    bounded(|| {
        for backend in impatient() {
            let server = counting_server();
            for number in [1, 3] {
                let region = shared(config(&backend, server.port()).argument("async_connections", number));
                let before = accepted(&server);
                runtime().block_on(async {
                    all(&region, 1000, store).await;
                    assert!(all(&region, 1000, read).await.into_iter().all(|found| found.unwrap()));
                });
                assert_eq!(accepted(&server) - before, number + 1, "{}", backend.0);
                let open = connections(&server);
                drop(region);
                until("the connections are closed", || connections(&server) == open - number);
            }
        }
    });
}

#[test]
fn number_of_connections_is_one_to_four() {
    for (count, problem) in [(0, "0 is too low; use at least 1"), (5, "5 is too high; use at most 4")] {
        let region = CacheRegion::new("refused");
        let config = config(&("dogpile.cache.memcached", json!({})), 1).argument("async_connections", count);
        let error = told(&region.configure(config).unwrap_err());
        assert!(error.contains(problem), "{error}");
    }
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn asynchronous_and_blocking_calls_share_values() {
    bounded(|| {
        for backend in BACKENDS {
            let servers = (0..3).map(|_| server()).collect::<Vec<_>>();
            let urls: Vec<_> = servers.iter().map(MemcachedServer::url).collect();
            let region = shared(RegionConfig::new(backend).argument("url", urls));
            let keys: Vec<String> = (0..300).map(|number| format!("key:{number}")).collect();
            on_one_thread(async {
                region.set_async("one", 1).await.unwrap();
                region.set_multi_async(keys.iter().map(|key| (key, key.clone()))).await.unwrap();
            });
            assert_eq!(region.get("one").unwrap(), Some(1));
            let found = region.get_multi::<String>(&keys).unwrap();
            assert!(keys.iter().zip(&found).all(|(key, found)| found.as_ref() == Some(key)), "{backend}");
            region.set("two", 2).unwrap();
            on_one_thread(async {
                let found = region.get_multi_async::<i32>(&["two", "missing", "one"]).await.unwrap();
                assert_eq!(found, [Some(2), None, Some(1)]);
                let found = region.get_multi_async::<String>(&keys).await.unwrap();
                assert!(keys.iter().zip(&found).all(|(key, found)| found.as_ref() == Some(key)), "{backend}");
                region.delete_async("one").await.unwrap();
                region.delete_multi_async(&keys).await.unwrap();
                assert!(region.get_multi_async::<i32>(&[] as &[&str]).await.unwrap().is_empty());
                assert_eq!(region.get_async::<i32>("one").await.unwrap(), None);
            });
            assert_eq!(region.get_multi::<String>(&keys).unwrap(), vec![None; keys.len()]);
            // Behavior that does not depend on the form of a call.
            let long = "k".repeat(300);
            on_one_thread(async { region.set_async(&long, 3).await.unwrap() });
            assert_eq!(region.get(&long).unwrap(), Some(3));
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn values_expire_as_configured() {
    bounded(|| {
        let server = server();
        let region = shared(config(&impatient()[0], server.port()).argument("memcached_expire_time", 100));
        on_one_thread(async { region.set_async("key", 1).await.unwrap() });
        let lifetime = super::say(server.port(), "mg key t");
        let seconds: u32 = lifetime.split_once(" t").unwrap().1.trim().parse().unwrap();
        assert!((1..=100).contains(&seconds), "{lifetime}");
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn large_values_are_compressed_and_have_own_connections() {
    bounded(|| {
        for backend in ["dogpile.cache.memcached", "dogpile.cache.pylibmc", "dogpile.cache.bmemcached"] {
            let server = counting_server();
            let before = accepted(&server);
            let config =
                || RegionConfig::new(backend).argument("url", server.url()).argument("min_compress_len", 0);
            let (plain, small) = (shared(config()), shared(config().argument("min_compress_len", 100)));
            let value = "v".repeat(900_000);
            on_one_thread(async {
                plain.set_async("large", value.clone()).await.unwrap();
                assert_eq!(accepted(&server) - before, 2);
                plain.set_async("small", 1).await.unwrap();
                assert_eq!(accepted(&server) - before, 4);
                assert_eq!(plain.get_async("large").await.unwrap().as_ref(), Some(&value));
                // Its compressed form is small enough for an item.
                let value = "v".repeat(5_000_000);
                small.set_async("long", value.clone()).await.unwrap();
                assert_eq!(small.get_async("long").await.unwrap().as_ref(), Some(&value));
            });
            assert_eq!(small.get::<String>("long").unwrap().unwrap().len(), 5_000_000);
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn too_large_value_is_an_error_of_its_own_call_only() {
    bounded(|| {
        for backend in impatient() {
            let server = server();
            let large = shared(config(&backend, server.port()));
            let small = shared(config(&backend, server.port()).argument("max_value_bytes", 1000));
            on_one_thread(async {
                all(&small, 50, store).await;
                large.set_async("large", "v".repeat(2000)).await.unwrap();
                for _ in 0..10 {
                    let (failing, others) = tokio::join!(
                        small.get_async::<String>("large"),
                        all(&small, 50, |region, key| async move { read(region, key).await.unwrap() })
                    );
                    let error = told(&failing.unwrap_err());
                    assert!(error.contains("bytes, more than 1000; raise \"max_value_bytes\""), "{error}");
                    assert!(others.into_iter().all(|is_found| is_found));
                }
                let error = told(&small.set_async("large", "v".repeat(2000)).await.unwrap_err());
                assert!(error.contains("the limit is 1000 bytes; raise \"max_value_bytes\""), "{error}");
                assert_eq!(large.get_async::<String>("large").await.unwrap(), None);
            });
        }
    });
}

/// A runtime whose only blocking thread is busy can make every call, because none needs such a thread.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn creation_needs_no_blocking_thread() {
    bounded(|| {
        for backend in impatient() {
            let server = server();
            let region = shared(config(&backend, server.port()).argument("distributed_lock", true));
            let busy = Signal::default();
            let runtime = Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap();
            let wait = busy.clone();
            let blocked = runtime.spawn_blocking(move || wait.wait());
            let created = AtomicUsize::new(0);
            let work = async {
                let create = || async { created.fetch_add(1, SeqCst) + 1 };
                for _ in 0..2 {
                    assert_eq!(region.get_or_create_async("key", create).await.unwrap(), 1);
                }
                let makes = |keys: Vec<String>| async move { keys.into_iter().map(|_| 7).collect() };
                let made = region.get_or_create_multi_async(&["a", "b"], makes).await.unwrap();
                assert_eq!(made, [7, 7]);
                is_working(&region).await;
            };
            let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), work).await });
            busy.give();
            ended.expect("no call waits for a blocking thread");
            runtime.block_on(blocked).unwrap();
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn encrypted_and_guarded_servers_are_used() {
    bounded(|| {
        let certificates = Certificates::new();
        let tls = json!({ "cafile": certificates.authority() });
        let login = json!({ "username": "tester", "password": "0123" });
        let started = [
            (MemcachedServer::start_encrypted(&certificates), "dogpile.cache.pymemcache", json!({}), &tls),
            (MemcachedServer::start_encrypted(&certificates), "dogpile.cache.bmemcached", json!({}), &tls),
            (MemcachedServer::start_guarded(None), "dogpile.cache.bmemcached", login.clone(), &Value::Null),
            (MemcachedServer::start_guarded(Some(&certificates)), "dogpile.cache.bmemcached", login, &tls),
        ];
        for (server, backend, more, tls) in started {
            let server = server.unwrap();
            let config = |more: &Value| {
                let config = config(&(backend, more.clone()), server.port());
                if tls.is_null() { config } else { config.argument("tls_context", tls.clone()) }
            };
            let region = shared(config(&more));
            runtime().block_on(async {
                let large = "v".repeat(900_000);
                region.set_async("large", large.clone()).await.unwrap();
                assert_eq!(region.get_async("large").await.unwrap(), Some(large));
                is_working(&region).await;
            });
            if more.get("password").is_some() {
                let wrong = shared(config(&json!({ "username": "tester", "password": "4567" })));
                let error = told(&on_one_thread(wrong.get_async::<i32>("key")).unwrap_err());
                assert!(error.contains("rejected the login") && !error.contains("4567"), "{error}");
            }
        }
    });
}
