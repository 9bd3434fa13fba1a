//! [`Scenario`]: a region that tasks use and drop, in a process of its own.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig, Registry, Runtime, RuntimeFuture};
use dogpile_tests::libraries::library;
use dogpile_tests::servers::folder;
use dogpile_tests::threads::block_on;

use super::threads_left::threads_left;

/// The runtimes: none, two kinds of tokio's, and smol.
pub(crate) const RUNTIMES: [&str; 4] = ["host", "tokio_current_thread", "tokio_multi_thread", "smol"];

/// The longest time that the threads may be idle. It is generous, because the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

/// A backend, and the runtime of the tasks that use it.
pub(crate) struct Scenario {
    backend: String,
    runtime: String,
    /// The port or the address of the server, if there is one.
    server: String,
}

/// smol as a runtime.
#[derive(Debug)]
struct Smol;

impl Runtime for Smol {
    fn spawn(&self, future: RuntimeFuture) {
        smol::spawn(future).detach();
    }

    fn sleep_until(&self, time: Instant) -> RuntimeFuture {
        Box::pin(async move {
            smol::Timer::at(time).await;
        })
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        smol::unblock(work).detach();
    }
}

impl Scenario {
    pub(crate) fn parse(text: &str) -> Self {
        let mut words = text.split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        Scenario { backend: word(), runtime: word(), server: word() }
    }

    /// Uses a region, drops it and the runtime, and fails if a thread is left.
    pub(crate) fn run(&self) -> ExitCode {
        let folder = folder();
        let config = self.config(&folder.path().join("values").display().to_string());
        let region = Arc::new(CacheRegion::new("shutdown"));
        match &*self.runtime {
            "host" => {
                region.configure(config).expect("the region can be configured");
                block_on(use_region(Arc::clone(&region)));
            }
            "smol" => {
                region.configure(config.runtime(Arc::new(Smol))).expect("the region can be configured");
                smol::block_on(use_region(Arc::clone(&region)));
            }
            kind => {
                region.configure(config).expect("the region can be configured");
                let runtime = match kind {
                    "tokio_current_thread" => {
                        tokio::runtime::Builder::new_current_thread().enable_time().build()
                    }
                    _ => tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build(),
                };
                let runtime = runtime.expect("a runtime starts");
                runtime.block_on(use_region(Arc::clone(&region)));
            }
        }
        assert_eq!(Arc::strong_count(&region), 1, "a task is left");
        drop(region);
        let left = threads_left(LIMIT);
        if left.is_empty() {
            return ExitCode::SUCCESS;
        }
        println!("these threads are left: {left:?}");
        ExitCode::FAILURE
    }

    fn config(&self, file: &str) -> RegionConfig {
        match &*self.backend {
            "memory" => RegionConfig::new("dogpile.cache.memory"),
            "dbm" => RegionConfig::new("dogpile.cache.dbm").argument("filename", file),
            "redis" => {
                let port: u16 = self.server.parse().expect("the port is a number");
                let redis = RegionConfig::new("dogpile.cache.redis").argument("host", "127.0.0.1");
                redis.argument("port", port).argument("distributed_lock", true)
            }
            "memcached" => {
                let memcached = RegionConfig::new("dogpile.cache.memcached").argument("url", &*self.server);
                memcached.argument("distributed_lock", true)
            }
            _ => {
                let registry = Registry::empty();
                registry.add_library(library("courier-dogpile-dylib")).expect("the library can be opened");
                RegionConfig::new("courier.shelf").registry(registry)
            }
        }
    }
}

/// Makes calls of all kinds: some that end, one that is detached, and one that is dropped while others wait for it.
async fn use_region(region: Arc<CacheRegion>) {
    let region = &region;
    assert_eq!(region.get_or_create_async("a", async || 1).await.expect("the store works"), 1);
    region.set_async("b", 2).await.expect("the store works");
    assert_eq!(region.get_async("b").await.expect("the store works"), Some(2));
    let detached = region.options().detach().get_or_create_async("c", async || 3);
    assert_eq!(detached.await.expect("the store works"), 3);
    let (began, begun) = smol::channel::bounded(1);
    let leader = async {
        let creator = async || {
            began.send(()).await.expect("the waiter receives");
            std::future::pending::<u32>().await
        };
        region.get_or_create_async("d", creator).await
    };
    let waiter = async {
        begun.recv().await.expect("the creator runs");
        let impatient = region.options().creation_wait_timeout(Duration::from_millis(20));
        impatient.get_or_create_async("d", async || 4).await
    };
    let waited = smol::future::or(async { Err(leader.await) }, async { Ok(waiter.await) }).await;
    assert!(waited.expect("the leader never ends").is_err(), "the waiter gives up");
    assert_eq!(region.get_or_create_async("d", async || 5).await.expect("the mutex is released"), 5);
}
