//! Locks on the servers that tasks acquire, wait for, and release without blocking a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use dogpile::sdk::{CacheMutex, ErrorKind, Pending};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::threads::{bounded, until};
use tokio::task::JoinSet;

use super::asynchronous::{config, on_one_thread, shared};
use super::{Impatient, count, impatient, say, server};

fn with_locks(backend: &Impatient, server: &MemcachedServer) -> RegionConfig {
    config(backend, server.port()).argument("distributed_lock", true)
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

fn is_locked(server: &MemcachedServer, key: &str) -> bool {
    say(server.port(), &format!("get _lock{key}")).starts_with("VALUE")
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn tasks_of_several_regions_run_one_creator() {
    bounded(|| {
        for backend in impatient() {
            let server = server();
            let regions: Vec<_> = (0..4).map(|_| shared(with_locks(&backend, &server))).collect();
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
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn mutex_is_acquired_waited_for_and_released() {
    bounded(|| {
        for backend in impatient() {
            let server = server();
            let region = || shared(with_locks(&backend, &server));
            let (ours, theirs) = (mutex(&region(), "key"), mutex(&region(), "key"));
            on_one_thread(async {
                assert!(try_acquire(&ours).await);
                assert!(is_locked(&server, "key") && !ours.is_lost());
                assert!(!try_acquire(&ours).await && !try_acquire(&theirs).await);
                assert!(!acquire(&theirs, Duration::from_millis(50)).await.unwrap());
                let waiting = acquire(&theirs, Duration::from_secs(20));
                release(&ours).await.unwrap();
                assert!(waiting.await.unwrap());
                let error = release(&ours).await.unwrap_err();
                assert_eq!((error.kind(), error.key()), (ErrorKind::NotHeld, Some("key")));
            });
            // What a task acquired, a thread may release.
            theirs.release().unwrap();
            assert!(!is_locked(&server, "key"));
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn lock_of_another_holder_is_not_released() {
    bounded(|| {
        for backend in impatient() {
            let server = server();
            let region = shared(with_locks(&backend, &server));
            let mutex = mutex(&region, "key");
            on_one_thread(async {
                assert!(try_acquire(&mutex).await);
                assert_eq!(say(server.port(), "set _lockkey 0 0 7\r\nanother"), "STORED\r\n");
                let error = release(&mutex).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
            });
            assert!(say(server.port(), "get _lockkey").contains("another"));
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn canceled_waiter_acquires_nothing() {
    bounded(|| {
        for backend in impatient() {
            let server = server();
            let region = || shared(with_locks(&backend, &server));
            let (ours, theirs) = (mutex(&region(), "key"), mutex(&region(), "key"));
            on_one_thread(async {
                assert!(try_acquire(&ours).await);
                let waiting = acquire(&theirs, Duration::from_secs(20));
                assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
                release(&ours).await.unwrap();
            });
            // A poll that was under way may have acquired the lock, which is then released.
            until("the lock is free", || !is_locked(&server, "key"));
            // A waiter that went on would poll at least every tenth of a second.
            let polls = count(server.port(), "cmd_set");
            std::thread::sleep(Duration::from_millis(250));
            assert_eq!((count(server.port(), "cmd_set"), is_locked(&server, "key")), (polls, false));
        }
    });
}

/// A lock whose server is down excludes no caller, and the value is created, as with blocking calls.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn creation_goes_on_without_the_server_of_its_lock() {
    bounded(|| {
        for backend in impatient() {
            let mut server = server();
            let region = shared(with_locks(&backend, &server));
            server.kill();
            on_one_thread(async {
                for number in 0..3 {
                    let created = region.get_or_create_async("key", async || number).await;
                    assert_eq!(created.unwrap(), number);
                }
                let mutex = mutex(&region, "key");
                assert!(try_acquire(&mutex).await);
            });
        }
    });
}

#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn value_of_a_creator_that_lost_its_lock_is_not_stored() {
    bounded(|| {
        let server = server();
        let region = shared(with_locks(&impatient()[0], &server).argument("lock_timeout", 1));
        on_one_thread(async {
            let creator = async || {
                tokio::time::sleep(Duration::from_millis(1300)).await;
                7
            };
            assert_eq!(region.get_or_create_async("key", creator).await.unwrap(), 7);
            assert_eq!(region.get_async::<i32>("key").await.unwrap(), None);
        });
    });
}
