//! Regions over loaded backends with asynchronous calls. No thread is blocked, callers may be dropped, and leases may
//! end.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Instant;

use dogpile::{CacheRegion, CreationStage, RegionConfig, Runtime, RuntimeFuture};
use dogpile_tests::threads::bounded;
use fixture_asynchronous::{CANCELED, HELD, LOSE};
use tokio::runtime::Builder;

use super::logging::Lines;
use super::registry_of;

/// The runtime of tokio, which counts the blocking calls that it is handed.
#[derive(Debug, Default)]
struct Counting {
    blocking: AtomicUsize,
}

impl Runtime for Counting {
    fn spawn(&self, future: RuntimeFuture) {
        tokio::spawn(future);
    }

    fn sleep_until(&self, time: Instant) -> RuntimeFuture {
        Box::pin(tokio::time::sleep_until(time.into()))
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.blocking.fetch_add(1, SeqCst);
        drop(tokio::task::spawn_blocking(work));
    }
}

/// A region over a loaded backend, and its runtime.
struct Loaded {
    region: CacheRegion,
    runtime: Arc<Counting>,
}

impl Loaded {
    fn courier() -> Self {
        Self::new("courier-dogpile-dylib", "courier.shelf")
    }

    fn fixture() -> Self {
        Self::new("fixture-asynchronous", "fixture.async")
    }

    fn new(package: &str, name: &str) -> Self {
        let (region, runtime) = (CacheRegion::new("loaded"), Arc::new(Counting::default()));
        let config = RegionConfig::new(name)
            .registry(registry_of(&[package]))
            .runtime(Arc::<Counting>::clone(&runtime));
        region.configure(config).unwrap();
        Loaded { region, runtime }
    }

    /// Runs `test` on one thread, and checks that no call of it was made on another one.
    fn on_one_thread(self, test: impl AsyncFnOnce(&CacheRegion) + Send + 'static) {
        bounded(move || {
            Builder::new_current_thread().enable_time().build().unwrap().block_on(test(&self.region));
            assert_eq!(
                self.runtime.blocking.load(SeqCst),
                0,
                "a call was made on a thread for blocking calls"
            );
        });
    }
}

/// Polls `future` until `is_there` returns true. The future must not have ended by then.
async fn poll_until<F: Future>(future: &mut std::pin::Pin<&mut F>, is_there: impl Fn() -> bool) {
    while !is_there() {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending()));
        assert!(polled.await, "the call ends too early");
        tokio::task::yield_now().await;
    }
}

fn is_creating(region: &CacheRegion) -> bool {
    region.creations().unwrap().iter().any(|creation| creation.stage == CreationStage::Creating)
}

#[test]
fn calls_of_tasks_need_no_blocking_thread() {
    Loaded::courier().on_one_thread(async |region| {
        assert_eq!(region.get_or_create_async("a", async || 1).await.unwrap(), 1);
        assert_eq!(region.get_or_create_async("a", async || 2).await.unwrap(), 1);
        let many = async |keys: Vec<String>| keys.into_iter().map(|_| 3).collect();
        assert_eq!(region.get_or_create_multi_async(&["a", "b"], many).await.unwrap(), [1, 3]);
        let detached = region.options().detach().get_or_create_async("c", async || 4);
        assert_eq!(detached.await.unwrap(), 4);
        region.set_async("a", 5).await.unwrap();
        region.delete_async("b").await.unwrap();
        assert_eq!(region.get_multi_async(&["a", "b"]).await.unwrap(), [Some(5), None]);
    });
}

#[test]
fn dropped_leader_is_followed_and_releases_its_mutex() {
    Loaded::courier().on_one_thread(async |region| {
        {
            let mut leader = pin!(region.get_or_create_async("a", std::future::pending::<u32>));
            poll_until(&mut leader, || is_creating(region)).await;
            let mut waiter = pin!(region.get_or_create_async("a", async || 1));
            poll_until(&mut waiter, || region.creations().unwrap()[0].waiters == 1).await;
            // Drops the call of the leader, in favor of one that is never polled.
            leader.set(region.get_or_create_async("a", std::future::pending::<u32>));
            assert_eq!(waiter.await.unwrap(), 1);
        }
        // The next creation needs the mutex, so that it shows that the mutex was released.
        region.delete_async("a").await.unwrap();
        assert_eq!(region.get_or_create_async("a", async || 2).await.unwrap(), 2);
        assert!(region.creations().unwrap().is_empty());
    });
}

#[test]
fn dropped_read_cancels_the_call_of_the_library() {
    Loaded::fixture().on_one_thread(async |region| {
        let backend = region.backend().unwrap();
        let cancellations = || backend.get(CANCELED).unwrap().unwrap().payload.as_bytes().unwrap().to_vec();
        {
            let mut read = pin!(region.get_async::<u32>("held:a"));
            let polled = poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_pending()));
            assert!(polled.await, "the library holds the call");
            assert_eq!(cancellations(), b"0");
        }
        assert_eq!(cancellations(), b"1");
        backend.delete(HELD).unwrap();
        assert_eq!(region.get_async::<u32>("later:a").await.unwrap(), None);
    });
}

#[test]
fn value_whose_lease_ended_is_returned_and_not_stored() {
    Loaded::fixture().on_one_thread(async |region| {
        let (lines, _recording) = Lines::record();
        let backend = region.backend().unwrap();
        let creator = async || {
            backend.delete(LOSE).unwrap();
            1
        };
        assert_eq!(region.get_or_create_async("later:a", creator).await.unwrap(), 1);
        assert_eq!(region.get_async::<u32>("later:a").await.unwrap(), None);
        let logged = lines.take();
        assert!(logged.contains("the lock of a creator expired while it ran"), "{logged}");
        assert_eq!(region.get_or_create_async("later:a", async || 2).await.unwrap(), 2);
        assert_eq!(region.get_async("later:a").await.unwrap(), Some(2));
    });
}
