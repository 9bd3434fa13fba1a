//! Runtimes: none, smol, and tokio.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dogpile::{Runtime, RuntimeFuture};

use super::backends::{Backend, Kind};

/// smol as a runtime, which counts its calls.
#[derive(Debug, Default)]
struct Smol {
    spawned: AtomicUsize,
    slept: AtomicUsize,
    blocked: AtomicUsize,
}

impl Runtime for Smol {
    fn spawn(&self, future: RuntimeFuture) {
        self.spawned.fetch_add(1, Ordering::SeqCst);
        smol::spawn(future).detach();
    }

    fn sleep_until(&self, time: Instant) -> RuntimeFuture {
        self.slept.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            smol::Timer::at(time).await;
        })
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        smol::unblock(work).detach();
    }
}

#[test]
fn configured_runtime_serves_all_that_is_needed() {
    let smol = Arc::new(Smol::default());
    let region = Backend::new(Kind::Blocking).configured(|config| config.runtime(smol.clone()));
    smol::block_on(async {
        assert_eq!(region.options().detach().get_or_create_async("a", async || 1).await.unwrap(), 1);
        let (began, begun) = smol::channel::bounded(1);
        let leader = async {
            let creator = async || {
                began.send(()).await.expect("the test receives");
                std::future::pending::<u32>().await
            };
            region.get_or_create_async("b", creator).await
        };
        let waiter = async {
            begun.recv().await.expect("the creator runs");
            let call = region.options().creation_wait_timeout(std::time::Duration::from_millis(10));
            call.get_or_create_async("b", async || 2).await
        };
        let waited = smol::future::or(async { Err(leader.await) }, async { Ok(waiter.await) }).await;
        assert!(waited.expect("the leader never ends").unwrap_err().is_transient());
    });
    assert_eq!(smol.spawned.load(Ordering::SeqCst), 1);
    assert!(smol.slept.load(Ordering::SeqCst) > 0);
    assert!(smol.blocked.load(Ordering::SeqCst) > 0);
}

#[cfg(feature = "tokio")]
mod tokio_runtimes {
    use std::time::Duration;

    use dogpile::lock::LockError;
    use dogpile::{CacheRegion, RegionError};
    use tokio::sync::oneshot;

    use super::*;
    use crate::backends::KINDS;

    #[tokio::test]
    async fn calls_of_a_blocking_store_leave_the_thread_to_other_tasks() {
        let backend = Backend::new(Kind::Blocking);
        let region = Arc::new(backend.region());
        backend.store.reads.close();
        let reading = tokio::spawn({
            let region = Arc::clone(&region);
            async move { region.get_async::<u32>("a").await }
        });
        // This task shares its only thread with the other one, and opens the gate for it.
        tokio::task::yield_now().await;
        backend.store.reads.open();
        assert_eq!(reading.await.unwrap().unwrap(), None);
    }

    #[tokio::test]
    async fn blocking_call_that_would_wait_for_a_task_is_refused() {
        for kind in KINDS {
            let region = Arc::new(Backend::new(kind).region());
            let (go, gate) = oneshot::channel();
            let (began, begun) = oneshot::channel();
            let leader = tokio::spawn({
                let region = Arc::clone(&region);
                let creator = || async {
                    began.send(()).expect("the test receives");
                    gate.await.expect("the test sends")
                };
                async move { region.get_or_create_async::<u32, _, _>("a", creator).await }
            });
            begun.await.unwrap();
            let refused = region.get_or_create("a", || 8_u32).unwrap_err();
            assert!(
                matches!(&refused, RegionError::Lock { source: LockError::WouldBlockRuntime, .. }),
                "{refused}"
            );
            assert!(format!("{refused:#}").contains("_async"), "{refused:#}");
            // A thread for blocking calls may wait.
            let waiter = tokio::task::spawn_blocking({
                let region = Arc::clone(&region);
                move || region.get_or_create("a", || 8_u32)
            });
            while region.creations().unwrap()[0].waiters == 0 {
                tokio::task::yield_now().await;
            }
            go.send(7).unwrap();
            assert_eq!(leader.await.unwrap().unwrap(), 7);
            assert_eq!(waiter.await.unwrap().unwrap(), 7);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_follow_the_clock_of_the_runtime() {
        let region: CacheRegion = Backend::new(Kind::Immediate).region();
        let mut leader = std::pin::pin!(region.get_or_create_async("a", std::future::pending::<u32>));
        assert!(futures_poll(leader.as_mut()).await);
        let hour = region.options().creation_wait_timeout(Duration::from_secs(3600));
        let waited =
            tokio::time::timeout(Duration::from_secs(7200), hour.get_or_create_async("a", async || 1));
        let error = waited.await.expect("the wait ends after an hour").unwrap_err();
        assert!(format!("{error:#}").contains("timed out"), "{error:#}");
    }

    /// Polls once, and returns whether the future waits.
    async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }

    #[test]
    fn detached_creation_of_a_runtime_that_ends_is_an_error() {
        let region = Backend::new(Kind::Blocking).region();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let call = region.options().detach();
        let mut call = Box::pin(call.get_or_create_async("a", std::future::pending::<u32>));
        // The task is spawned once the store has been read.
        runtime.block_on(async {
            while region.creations().unwrap().is_empty() {
                assert!(futures_poll(call.as_mut()).await);
                tokio::task::yield_now().await;
            }
        });
        drop(runtime);
        let error = smol::block_on(call).unwrap_err();
        assert!(matches!(&error, RegionError::TaskDropped { .. }), "{error}");
        assert!(format!("{error:#}").contains("\"a\""), "{error}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_tasks_create_each_key_once() {
        for kind in KINDS {
            let (region, created) = (Arc::new(Backend::new(kind).region()), Arc::new(AtomicUsize::new(0)));
            let calls: Vec<_> = (0..1000_u32)
                .map(|number| {
                    let (region, created) = (Arc::clone(&region), Arc::clone(&created));
                    tokio::spawn(async move {
                        let key = (number % 10).to_string();
                        let creator = async || {
                            created.fetch_add(1, Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            number % 10
                        };
                        assert_eq!(region.get_or_create_async(&key, creator).await.unwrap(), number % 10);
                    })
                })
                .collect();
            for call in calls {
                call.await.unwrap();
            }
            assert_eq!(created.load(Ordering::SeqCst), 10, "{kind:?}");
        }
    }
}
