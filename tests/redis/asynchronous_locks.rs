//! Locks on the server that tasks acquire, wait for, and release without blocking a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use dogpile::sdk::{CacheMutex, ErrorKind, Pending};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::hostile::{HostileServer, Misbehavior};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::threads::{bounded, until};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::asynchronous::shared;
use super::{count, server};

/// Runs `work` on one thread. It has no other threads, so that a call that is offloaded to one fails.
fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn config(port: u16) -> RegionConfig {
    RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", port)
        .argument("distributed_lock", true)
}

fn mutex(region: &CacheRegion, key: &str) -> Arc<dyn CacheMutex> {
    region.backend().unwrap().get_mutex(key).unwrap()
}

async fn try_acquire(mutex: &Arc<dyn CacheMutex>) -> bool {
    let operations = mutex.operations().expect("it has asynchronous calls");
    Pending::begin(|completion| operations.begin_try_acquire(completion)).await.unwrap()
}

/// Begins to acquire the mutex, and waits for up to `limit`.
fn acquire(mutex: &Arc<dyn CacheMutex>, limit: Duration) -> Pending<bool> {
    let operations = mutex.operations().expect("it has asynchronous calls");
    let deadline = Instant::now() + limit;
    Pending::begin(|completion| operations.begin_acquire_until(deadline, completion))
}

fn release(mutex: &Arc<dyn CacheMutex>) -> Pending<()> {
    let operations = mutex.operations().expect("it has asynchronous calls");
    Pending::begin(|completion| operations.begin_release(completion))
}

fn is_locked(server: &RedisServer, key: &str) -> bool {
    server.say(&["EXISTS", &format!("_lock{key}")]) == "1"
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn tasks_of_several_regions_run_one_creator() {
    bounded(|| {
        let server = server(&[]);
        let regions: Vec<_> = (0..4).map(|_| shared(config(server.port()))).collect();
        let created = Arc::new(AtomicUsize::new(0));
        on_one_thread(async {
            let mut tasks = JoinSet::new();
            for number in 0..40 {
                let (region, created) = (Arc::clone(&regions[number % 4]), Arc::clone(&created));
                tasks.spawn(async move {
                    let creator = || async {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        created.fetch_add(1, SeqCst) + 1
                    };
                    region.get_or_create_async("key", creator).await.unwrap()
                });
            }
            assert!(tasks.join_all().await.into_iter().all(|value| value == 1));
        });
        assert_eq!(created.load(SeqCst), 1);
        until("the lock is released", || !is_locked(&server, "key"));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn mutex_is_acquired_waited_for_and_released() {
    bounded(|| {
        let server = server(&[]);
        let (ours, theirs) = (shared(config(server.port())), shared(config(server.port())));
        let (ours, theirs) = (mutex(&ours, "key"), mutex(&theirs, "key"));
        on_one_thread(async {
            assert!(try_acquire(&ours).await);
            assert!(is_locked(&server, "key") && !ours.is_lost() && ours.fence().is_some());
            assert!(!try_acquire(&ours).await && !try_acquire(&theirs).await);
            assert!(!acquire(&theirs, Duration::from_millis(50)).await.unwrap());
            let waiting = acquire(&theirs, Duration::from_secs(20));
            release(&ours).await.unwrap();
            assert!(waiting.await.unwrap());
            assert!(theirs.fence().is_some() && ours.fence().is_none());
            let error = release(&ours).await.unwrap_err();
            assert_eq!((error.kind(), error.key()), (ErrorKind::NotHeld, Some("key")));
        });
        // What a task acquired, a thread may release.
        theirs.release().unwrap();
        assert!(!is_locked(&server, "key"));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn canceled_waiter_acquires_nothing() {
    bounded(|| {
        let server = server(&[]);
        let (ours, theirs) = (shared(config(server.port())), shared(config(server.port())));
        let (ours, theirs) = (mutex(&ours, "key"), mutex(&theirs, "key"));
        on_one_thread(async {
            assert!(try_acquire(&ours).await);
            let waiting = acquire(&theirs, Duration::from_secs(20));
            assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
            release(&ours).await.unwrap();
        });
        // A poll that was under way may have acquired the lock, which is then released.
        until("the lock is free", || !is_locked(&server, "key"));
        // A waiter that went on would poll at least every tenth of a second.
        let polls = count(server.port(), "eval");
        std::thread::sleep(Duration::from_millis(250));
        assert_eq!((count(server.port(), "eval"), is_locked(&server, "key")), (polls, false));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn value_of_a_creator_that_lost_its_lock_is_not_stored() {
    bounded(|| {
        let server = server(&[]);
        let region = shared(config(server.port()));
        on_one_thread(async {
            let creator = || async {
                server.say(&["SET", "_lockkey", "another token"]);
                7
            };
            assert_eq!(region.get_or_create_async("key", creator).await.unwrap(), 7);
            assert_eq!(region.get_async::<i32>("key").await.unwrap(), None);
        });
        assert_eq!(server.say(&["GET", "_lockkey"]), "another token");
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn release_after_a_timeout_runs_in_the_background() {
    bounded(|| {
        let server = HostileServer::start();
        let config = config(server.port()).argument("socket_timeout", 1.0).argument("lock_timeout", 5.0);
        let region = shared(config);
        let mutex = mutex(&region, "key");
        on_one_thread(async {
            assert!(try_acquire(&mutex).await);
            server.misbehave(Misbehavior::Freeze);
            region.set_async("key", 1).await.unwrap_err();
            let begun = Instant::now();
            let error = release(&mutex).await.unwrap_err();
            assert!(error.to_string().contains("released in the background"), "{error}");
            // It does not take another exchange.
            assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
        });
        server.misbehave(Misbehavior::None);
        until("the lock is released", || server.received("EVAL") >= 2);
    });
}
