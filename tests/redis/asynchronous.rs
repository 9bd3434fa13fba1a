//! Asynchronous calls: many share a connection, each ends in time, and none receives the value of another key.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig, RegionError};
use dogpile_tests::errors::told;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::relay::Relay;
use dogpile_tests::threads::{bounded, until};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::{count, say, server};

/// The timeout of regions in tests of timeouts.
const TIMEOUT: Duration = Duration::from_millis(500);

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_millis(400);

pub(super) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs `work` on one thread, which a blocking call would stop.
fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn config(port: u16) -> RegionConfig {
    RegionConfig::new("dogpile.cache.redis").argument("host", "127.0.0.1").argument("port", port)
}

fn impatient(port: u16) -> RegionConfig {
    config(port).argument("socket_timeout", TIMEOUT.as_secs_f64())
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
        tasks.spawn(call(Arc::clone(region), format!("key {number}")));
    }
    tasks.join_all().await
}

/// Reads a key, and checks that it has the value that [`store`] gave it. Returns how long that took.
async fn read(region: Arc<CacheRegion>, key: String) -> (Duration, Result<bool, RegionError>) {
    let begun = Instant::now();
    let found = region.get_async::<String>(&key).await;
    let found = found.map(|found| found.is_some_and(|found| found == format!("the value of {key}")));
    (begun.elapsed(), found)
}

async fn store(region: Arc<CacheRegion>, key: String) {
    region.set_async(&key, format!("the value of {key}")).await.unwrap();
}

/// Returns the server's connections and the commands that they sent last, except the connection that asks.
fn connections(server: &RedisServer) -> Vec<(String, String)> {
    let listed = say(server.port(), "CLIENT LIST");
    let word = |line: &str, name: &str| {
        let word = line.split(' ').find_map(|word| word.strip_prefix(name));
        word.unwrap_or_else(|| panic!("{line} has {name}")).trim().to_owned()
    };
    let lines = listed.lines().filter(|line| line.contains("cmd="));
    let lines = lines.map(|line| (word(line, "id="), word(line, "cmd=")));
    lines.filter(|(_, command)| !command.starts_with("client")).collect()
}

/// Returns the commands that the server's connections sent last.
fn last_commands(server: &RedisServer) -> Vec<String> {
    connections(server).into_iter().map(|(_, command)| command).collect()
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn thousand_calls_share_few_connections() {
    bounded(|| {
        let server = server(&[]);
        for count in [1, 3] {
            let region = shared(config(server.port()).argument("async_connections", count));
            runtime().block_on(async {
                all(&region, 1000, store).await;
                let found = all(&region, 1000, read).await;
                assert!(found.iter().all(|(_, found)| *found.as_ref().unwrap()));
            });
            assert_eq!(last_commands(&server).len(), count, "{:?}", last_commands(&server));
            drop(region);
            until("the connections are closed", || last_commands(&server).is_empty());
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn number_of_connections_is_one_to_four() {
    for (count, problem) in [(0, "0 is too low; use at least 1"), (5, "5 is too high; use at most 4")] {
        let region = CacheRegion::new("refused");
        let error = told(&region.configure(config(1).argument("async_connections", count)).unwrap_err());
        assert!(error.contains(problem), "{error}");
    }
}

/// Each value is a command of its own, because it expires. The server replies to the first ones while the last ones are sent.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn replies_to_the_beginning_of_a_large_request_are_accepted() {
    bounded(|| {
        let server = server(&[]);
        let region = shared(config(server.port()).argument("redis_expiration_time", 100));
        let entry = |number: usize| (number.to_string(), number.to_string().repeat(1 << 19));
        let entries: Vec<(String, String)> = (0..32).map(entry).collect();
        on_one_thread(async {
            region.set_multi_async(entries.clone()).await.unwrap();
            let keys: Vec<&String> = entries.iter().map(|(key, _)| key).collect();
            let found = region.get_multi_async::<String>(&keys).await.unwrap();
            assert!(entries.iter().zip(found).all(|((_, value), found)| found.as_ref() == Some(value)));
        });
        assert_eq!(count(server.port(), "setex") + count(server.port(), "set"), 32);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn asynchronous_and_blocking_calls_share_values() {
    bounded(|| {
        let server = server(&[]);
        let region = shared(config(server.port()).argument("redis_expiration_time", 100));
        on_one_thread(async {
            region.set_async("one", 1).await.unwrap();
            region.set_multi_async([("two", 2), ("three", 3)]).await.unwrap();
        });
        assert_eq!(region.get_multi(&["one", "two", "three"]).unwrap(), [Some(1), Some(2), Some(3)]);
        for key in ["one", "two", "three"] {
            let lifetime: i64 = server.say(&["TTL", key]).parse().unwrap();
            assert!((1..=100).contains(&lifetime), "{key}: {lifetime}");
        }
        region.set("four", 4).unwrap();
        server.say(&["LPUSH", "list", "x"]);
        server.say(&["SET", "foreign", "text"]);
        on_one_thread(async {
            assert_eq!(region.get_async("four").await.unwrap(), Some(4));
            assert_eq!(region.get_async::<i32>("list").await.unwrap(), None);
            assert_eq!(region.get_async::<i32>("foreign").await.unwrap(), None);
            let found = region.get_multi_async::<i32>(&["four", "missing", "list"]).await.unwrap();
            assert_eq!(found, [Some(4), None, None]);
            region.delete_async("one").await.unwrap();
            region.delete_multi_async(&["two", "missing"]).await.unwrap();
            assert!(region.get_multi_async::<i32>(&[] as &[&str]).await.unwrap().is_empty());
        });
        assert_eq!(region.get_multi::<i32>(&["one", "two", "three"]).unwrap(), [None, None, Some(3)]);
        assert_eq!(count(server.port(), "mget"), 3);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn large_value_has_a_connection_of_its_own() {
    bounded(|| {
        let server = server(&[]);
        let region = shared(config(server.port()));
        let large = "v".repeat(10 << 20);
        on_one_thread(async {
            region.set_async("large", large.clone()).await.unwrap();
            region.set_async("small", 1).await.unwrap();
            assert_eq!(region.get_async("large").await.unwrap(), Some(large));
        });
        let mut commands = last_commands(&server);
        commands.sort();
        // The small connection was used twice, so that its last request ended with a guard.
        assert_eq!(commands, ["echo", "set"]);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn too_large_value_is_refused() {
    bounded(|| {
        let server = server(&[]);
        let large = shared(config(server.port()));
        let small = shared(config(server.port()).argument("max_value_bytes", 1000));
        on_one_thread(async {
            large.set_async("key", "v".repeat(2000)).await.unwrap();
            let error = told(&small.get_async::<String>("key").await.unwrap_err());
            assert!(error.contains("bytes, more than 1000; see \"max_value_bytes\""), "{error}");
            let error = told(&small.set_async("key", "v".repeat(2000)).await.unwrap_err());
            assert!(error.contains("more than 1000; raise \"max_value_bytes\""), "{error}");
            small.set_async("key", 1).await.unwrap();
            assert_eq!(small.get_async("key").await.unwrap(), Some(1));
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn calls_to_a_frozen_server_end_in_time_and_block_no_other_task() {
    bounded(|| {
        let server = server(&[]);
        let region = shared(impatient(server.port()));
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
            for _ in 0..2 {
                let ended = all(&region, 300, read).await;
                for (took, found) in ended {
                    let error = told(&found.unwrap_err());
                    assert!(error.contains("timed out: it did not reply in time"), "{error}");
                    assert!(took >= TIMEOUT && took < TIMEOUT * 11 / 10 + SLACK, "{took:?}");
                }
            }
            let created = region.get_or_create_async("key 1", || async { "created".to_owned() }).await;
            told(&created.unwrap_err());
            ticker.abort();
            assert!(ticks.load(SeqCst) > 20, "{ticks:?}");
            server.process().go_on();
            let found = all(&region, 300, read).await;
            assert!(found.iter().all(|(_, found)| *found.as_ref().unwrap()));
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn unreachable_server_is_named_and_the_next_call_connects() {
    bounded(|| {
        let mut server = server(&[]);
        let region = shared(config(server.port()));
        on_one_thread(async {
            server.kill();
            for (_, found) in all(&region, 20, read).await {
                let error = told(&found.unwrap_err());
                assert!(error.contains(&format!("cannot reach Redis server 127.0.0.1:{}", server.port())));
                assert!(error.contains("refused"), "{error}");
            }
            server.start_again();
            all(&region, 20, store).await;
            // The kept connections are broken, which costs no call.
            server.start_again();
            let found = all(&region, 20, read).await;
            assert!(found.iter().all(|(_, found)| !found.as_ref().unwrap()));
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn cut_reply_is_requested_again_on_a_new_connection() {
    bounded(|| {
        let server = server(&[]);
        let relay = Relay::before(server.port());
        let region = shared(config(relay.port()));
        on_one_thread(async {
            all(&region, 10, store).await;
            relay.cut_next_answer(5);
            let found = all(&region, 10, read).await;
            assert!(found.iter().all(|(_, found)| *found.as_ref().unwrap()));
            assert_eq!(relay.cuts(), 1);
        });
        let region = shared(config(relay.port()).argument("retry_on_reconnect", false));
        on_one_thread(async {
            assert!(read(Arc::clone(&region), "key 1".to_owned()).await.1.unwrap());
            relay.cut_next_answer(5);
            let error = told(&read(Arc::clone(&region), "key 1".to_owned()).await.1.unwrap_err());
            assert!(error.contains("the connection failed or was closed"), "{error}");
        });
    });
}

/// The reply arrives slowly, and its call does not wait for the end. The rest of it is dropped.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn late_reply_is_dropped_and_its_connection_kept() {
    bounded(|| {
        let server = server(&[]);
        let relay = Relay::before(server.port());
        let region = shared(impatient(relay.port()).argument("async_connections", 1));
        on_one_thread(async {
            region.set_async("long", "v".repeat(40)).await.unwrap();
            all(&region, 5, store).await;
            let before: Vec<_> = connections(&server).into_iter().map(|(id, _)| id).collect();
            // Each byte takes 20 milliseconds.
            relay.drip(true);
            let begun = Instant::now();
            let error = told(&region.get_async::<String>("long").await.unwrap_err());
            assert!(error.contains("timed out") && begun.elapsed() < TIMEOUT + SLACK, "{error}");
            relay.drip(false);
            let found = all(&region, 5, read).await;
            assert!(found.iter().all(|(_, found)| *found.as_ref().unwrap()));
            let after: Vec<_> = connections(&server).into_iter().map(|(id, _)| id).collect();
            assert_eq!(after, before);
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn canceled_calls_disturb_no_others() {
    bounded(|| {
        let server = server(&[]);
        let region = shared(config(server.port()).argument("socket_timeout", 10));
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
            assert!(waiting.await.unwrap().iter().all(|(_, found)| *found.as_ref().unwrap()));
        });
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn threads_of_the_runtime_end_with_the_region() {
    /// Returns whether a thread of a Redis backend's runtime exists.
    fn threads() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "dogpile-redis").count()
    }
    if std::env::var_os("ALONE").is_none() {
        // Other tests of this process have such threads, too.
        let this = std::env::current_exe().unwrap();
        let name = "asynchronous::threads_of_the_runtime_end_with_the_region";
        let ended = std::process::Command::new(this).args(["--exact", name]).env("ALONE", "1").output();
        let ended = ended.unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
        return;
    }
    bounded(|| {
        let server = server(&[]);
        let region = shared(config(server.port()));
        region.set("key", 1).unwrap();
        assert_eq!(threads(), 0);
        on_one_thread(async { region.set_async("key", 1).await.unwrap() });
        assert_eq!(threads(), 1);
        drop(region);
        until("the threads have ended", || threads() == 0);
        until("the connections are closed", || last_commands(&server).is_empty());
    });
}
