//! Asynchronous calls whose server freezes, dies, or replies slowly, or that are canceled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::relay::Relay;
use dogpile_tests::threads::{bounded, until};
use serde_json::json;

use super::asynchronous::{
    accepted, all, config, connections, counting_server, on_one_thread, read, runtime, shared, store,
};
use super::{Impatient, impatient, server};

/// The timeout of regions in tests of timeouts.
const TIMEOUT: Duration = Duration::from_millis(500);

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_millis(400);

fn hurried(backend: &Impatient, port: u16) -> RegionConfig {
    config(backend, port).argument("socket_timeout", TIMEOUT.as_secs_f64())
}

/// Runs `test` with each backend and a server of its own.
fn with_each(test: impl Fn(&Impatient, MemcachedServer) + Send + 'static) {
    bounded(move || {
        for backend in impatient() {
            let server = counting_server();
            eprintln!("with {}", backend.0);
            test(&backend, server);
        }
    });
}

/// Begins many reads until all keys are found, which is a while after a failure.
async fn until_all_are_found(region: &Arc<CacheRegion>, count: usize) {
    for _ in 0..1000 {
        if all(region, count, read).await.into_iter().all(|found| found.unwrap()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the server is not used again");
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn calls_to_a_frozen_server_end_in_time_and_block_no_other_task() {
    with_each(|backend, server| {
        let region = shared(hurried(backend, server.port()));
        on_one_thread(async {
            all(&region, 300, store).await;
            server.process().stop();
            let ticks = Arc::new(AtomicUsize::new(0));
            let ticking = Arc::clone(&ticks);
            let ticker = tokio::spawn(async move {
                loop {
                    ticking.fetch_add(1, SeqCst);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            for round in 0..2 {
                let timed = |region, key| async move {
                    let begun = Instant::now();
                    (read(region, key).await.unwrap(), begun.elapsed())
                };
                for (is_found, took) in all(&region, 300, timed).await {
                    assert!(!is_found && took < TIMEOUT * 11 / 10 + SLACK, "{took:?}");
                    // In the first round, no call knows yet that the server is frozen.
                    assert!(round > 0 || took >= TIMEOUT * 9 / 10, "{took:?}");
                }
            }
            let begun = Instant::now();
            let made = region.get_or_create_async("key:1", async || "made".to_owned()).await.unwrap();
            // It reads once or twice, and stores. pylibmc goes back to a failed server at once.
            assert!(made == "made" && begun.elapsed() < TIMEOUT * 3 * 11 / 10 + SLACK);
            ticker.abort();
            assert!(ticks.load(SeqCst) > 20, "{ticks:?}");
            server.process().go_on();
            all(&region, 300, store).await;
            region.delete_async("key:1").await.unwrap_or_default();
            all(&region, 300, store).await;
            until_all_are_found(&region, 300).await;
        });
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn unreachable_server_causes_misses_and_a_restart_no_error() {
    with_each(|backend, mut server| {
        let region = shared(config(backend, server.port()));
        on_one_thread(async {
            server.kill();
            assert!(all(&region, 20, read).await.into_iter().all(|found| !found.unwrap()));
            all(&region, 20, store).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let error = region.delete_async("key:1").await.unwrap_err();
            assert!(error.is_transient() && told(&error).contains(&server.url()), "{}", told(&error));
            server.start_again();
            tokio::time::sleep(Duration::from_millis(20)).await;
            all(&region, 20, store).await;
            until_all_are_found(&region, 20).await;
            // The kept connections are broken, which costs no call.
            server.start_again();
            for round in 0..20 {
                region.set_async("key", round).await.unwrap();
                assert_eq!(region.get_async("key").await.unwrap(), Some(round));
            }
        });
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn server_down_costs_only_its_own_keys() {
    bounded(|| {
        for (name, mut more) in impatient() {
            let mut servers = (0..3).map(|_| server()).collect::<Vec<_>>();
            let urls: Vec<_> = servers.iter().map(MemcachedServer::url).collect();
            if name == "dogpile.cache.pymemcache" {
                // It is tried again a few times before its keys are others'.
                more["hashclient_retry_attempts"] = json!(0);
            }
            let region = shared(RegionConfig::new(name).arguments(&more).argument("url", urls));
            let keys: Vec<String> = (0..100).map(|number| format!("key:{number}")).collect();
            on_one_thread(async {
                region.set_multi_async(keys.iter().map(|key| (key, key.clone()))).await.unwrap();
                servers[1].kill();
                let found = region.get_multi_async::<String>(&keys).await.unwrap();
                assert!(keys.iter().zip(&found).all(|(key, found)| found.as_ref().is_none_or(|f| f == key)));
                let missing = found.iter().filter(|found| found.is_none()).count();
                assert!((10..60).contains(&missing), "{name}: {missing} keys are missing");
            });
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn retries_of_pymemcache_share_the_deadline() {
    bounded(|| {
        let server = server();
        let more = json!({ "enable_retry_client": true, "retry_attempts": 3, "retry_delay": 0.01 });
        let region = shared(hurried(&("dogpile.cache.pymemcache", more), server.port()));
        on_one_thread(async {
            all(&region, 20, store).await;
            server.process().stop();
            let begun = Instant::now();
            assert!(!read(Arc::clone(&region), "key:1".to_owned()).await.unwrap());
            assert!(begun.elapsed() < TIMEOUT + SLACK, "{:?}", begun.elapsed());
            server.process().go_on();
        });
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn cut_reply_is_requested_again_on_a_new_connection() {
    with_each(|backend, server| {
        let relay = Relay::before(server.port());
        let region = shared(config(backend, relay.port()));
        on_one_thread(async {
            all(&region, 10, store).await;
            for bytes in 0..60 {
                relay.cut_next_answer(bytes);
                assert!(all(&region, 10, read).await.into_iter().all(|found| found.unwrap()), "{bytes}");
                assert_eq!(relay.cuts(), bytes + 1);
            }
        });
    });
}

/// The reply arrives slowly, and its call does not wait for the end. The rest of it is dropped.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn late_reply_is_dropped_and_its_connection_kept() {
    with_each(|backend, server| {
        let relay = Relay::before(server.port());
        let region = shared(hurried(backend, relay.port()));
        on_one_thread(async {
            region.set_async("long", "v".repeat(40)).await.unwrap();
            all(&region, 5, store).await;
            let before = accepted(&server);
            // Each byte takes 20 milliseconds.
            relay.drip(true);
            let begun = Instant::now();
            assert_eq!(region.get_async::<String>("long").await.unwrap(), None);
            assert!(begun.elapsed() < TIMEOUT + SLACK, "{:?}", begun.elapsed());
            relay.drip(false);
            until_all_are_found(&region, 5).await;
            // The request for statistics is a connection itself.
            assert_eq!(accepted(&server), before + 1);
        });
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn canceled_calls_disturb_no_others() {
    with_each(|backend, server| {
        let region = shared(config(backend, server.port()).argument("socket_timeout", 10));
        on_one_thread(async {
            all(&region, 100, store).await;
            server.process().stop();
            let cancel = |region: Arc<CacheRegion>, key: String| async move {
                let call = region.get_async::<String>(&key);
                assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
            };
            let waiting = tokio::spawn({
                let region = Arc::clone(&region);
                async move { all(&region, 100, read).await }
            });
            all(&region, 100, cancel).await;
            server.process().go_on();
            assert!(waiting.await.unwrap().into_iter().all(|found| found.unwrap()));
        });
    });
}

/// Futures of all kinds are dropped at any moment. Afterwards, every key has its own value, on the same connections.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn storm_of_cancellations_leaves_every_key_its_own_value() {
    const KEYS: usize = 64;
    let storm = |backend: &Impatient, server: &MemcachedServer, is_locking: bool| {
        let config = config(backend, server.port()).argument("distributed_lock", is_locking);
        let region = shared(config);
        let total = || accepted(server);
        runtime().block_on(async {
            all(&region, KEYS, store).await;
            let before = total();
            for round in 0..60_u64 {
                let storm = move |region: Arc<CacheRegion>, key: String| async move {
                    let seed = round * 31 + key.bytes().map(u64::from).sum::<u64>() * 7;
                    let limit = Duration::from_micros(seed * 37 % 900);
                    let _ = tokio::time::timeout(limit, async {
                        let value = format!("the value of {key}");
                        match seed % 5 {
                            0 => region.set_async(&key, value).await.unwrap(),
                            1 => region.delete_async(&key).await.unwrap(),
                            2 => assert_eq!(
                                region.get_or_create_async(&key, async || value.clone()).await.unwrap(),
                                value
                            ),
                            _ => drop(read(region, key).await.unwrap()),
                        }
                    })
                    .await;
                };
                all(&region, KEYS, storm).await;
                all(&region, KEYS, |region, key| async move { read(region, key).await.unwrap() }).await;
            }
            all(&region, KEYS, store).await;
            assert!(all(&region, KEYS, read).await.into_iter().all(|found| found.unwrap()));
            // The request for statistics is a connection itself. Locks are released in the background, on further
            // connections.
            assert!(is_locking || total() == before + 1, "{before} and {}", total());
        });
    };
    with_each(move |backend, server| [false, true].into_iter().for_each(|is| storm(backend, &server, is)));
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn threads_of_the_runtime_end_with_the_region() {
    /// Returns the number of threads of a memcached backend's runtime. The system cuts their names.
    fn threads() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "dogpile-memcach").count()
    }
    if std::env::var_os("ALONE").is_none() {
        // Other tests of this process have such threads, too.
        let this = std::env::current_exe().unwrap();
        let name = "asynchronous_faults::threads_of_the_runtime_end_with_the_region";
        let ended = std::process::Command::new(this).args(["--exact", name]).env("ALONE", "1").output();
        let ended = ended.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        return;
    }
    bounded(|| {
        let server = counting_server();
        let region = shared(config(&impatient()[0], server.port()));
        region.set("key", 1).unwrap();
        assert_eq!(threads(), 0);
        on_one_thread(async { region.set_async("key", 1).await.unwrap() });
        assert_eq!(threads(), 1);
        // One of blocking calls, and one of asynchronous ones.
        let open = connections(&server);
        drop(region);
        until("the threads have ended", || threads() == 0);
        until("the connections are closed", || connections(&server) == open - 2);
    });
}
