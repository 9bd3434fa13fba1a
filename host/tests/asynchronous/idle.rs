//! Waiting until a region has nothing in progress.

use std::sync::Arc;
use std::time::Duration;

use dogpile::sdk::{CacheBackend, ProxyBackend};
use dogpile::{CacheRegion, Creation, ManualClock, RegionConfig, RegionError, Runner};
use parking_lot::Mutex;

use super::backends::{Backend, KINDS, Kind, PATIENCE};

const SOON: Duration = Duration::from_millis(20);

/// Returns whether the region is idle by now.
fn is_idle(region: &CacheRegion) -> bool {
    let blocking = region.wait_until_idle(Duration::ZERO).expect("it is configured");
    let awaited = smol::block_on(region.wait_until_idle_async(Duration::ZERO)).expect("it is configured");
    assert_eq!(blocking, awaited, "both forms return the same");
    blocking
}

/// Asserts that the region becomes idle, in both forms.
fn assert_ends(region: &CacheRegion) {
    assert!(smol::block_on(region.wait_until_idle_async(PATIENCE)).expect("it is configured"));
    assert!(region.wait_until_idle(PATIENCE).expect("it is configured"));
}

/// Polls `call` once, and drops it.
fn begin_and_drop<F: Future>(call: F) {
    let mut call = Box::pin(call);
    assert!(smol::block_on(smol::future::poll_once(call.as_mut())).is_none(), "the call waits");
}

#[test]
fn region_without_calls_is_idle() {
    for kind in KINDS {
        let region = Backend::new(kind).region();
        assert!(is_idle(&region));
        smol::block_on(region.get_or_create_async("a", async || 1)).unwrap();
        region.get_or_create("b", || 1).unwrap();
        assert_ends(&region);
    }
    let region = CacheRegion::new("not configured");
    assert!(matches!(region.wait_until_idle(SOON), Err(RegionError::NotConfigured { .. })));
    let error = smol::block_on(region.wait_until_idle_async(SOON)).unwrap_err();
    assert!(matches!(error, RegionError::NotConfigured { .. }));
}

#[test]
fn detached_creation_without_its_caller_is_awaited() {
    for kind in KINDS {
        let backend = Backend::new(kind).with_mutex();
        let region = backend.region();
        let (go, gate) = smol::channel::bounded::<()>(1);
        let (began, begun) = smol::channel::bounded::<()>(1);
        let creator = async move || {
            drop(began);
            gate.recv().await.expect("the test sends");
            1
        };
        let call = region.options().detach().get_or_create_async("a", creator);
        smol::block_on(smol::future::or(async { drop(call.await) }, async {
            assert!(begun.recv().await.is_err(), "the creator drops the sender");
        }));
        assert!(!is_idle(&region));
        assert!(!region.wait_until_idle(SOON).unwrap(), "the wait is bounded");
        assert!(!smol::block_on(region.wait_until_idle_async(SOON)).unwrap(), "the wait is bounded");
        smol::block_on(go.send(())).unwrap();
        assert_ends(&region);
        assert!(!backend.store.is_locked(), "{kind:?}: its mutex is released");
        assert_eq!(region.get("a").unwrap(), Some(1));
    }
}

#[test]
fn creation_on_a_thread_is_awaited() {
    let region = Backend::new(Kind::Blocking).region();
    let idle = region.get_or_create("a", || is_idle(&region)).unwrap();
    assert!(!idle);
    assert_ends(&region);
}

#[test]
fn write_whose_caller_was_dropped_is_awaited() {
    for kind in [Kind::Blocking, Kind::Operations] {
        let backend = Backend::new(kind);
        let region = backend.region();
        backend.store.writes.close();
        begin_and_drop(region.set_async("a", 1));
        backend.store.writes.await_callers(1);
        assert!(!is_idle(&region), "{kind:?}");
        backend.store.writes.open();
        assert_ends(&region);
        assert_eq!(region.get("a").unwrap(), Some(1));
        backend.store.writes.close();
        begin_and_drop(region.delete_async("a"));
        assert!(!is_idle(&region), "{kind:?}");
        backend.store.writes.open();
        assert_ends(&region);
        assert_eq!(region.get::<i32>("a").unwrap(), None);
    }
}

#[test]
fn mutex_of_a_dropped_leader_is_awaited() {
    for kind in KINDS {
        let backend = Backend::new(kind).with_mutex();
        let region = backend.region();
        let (began, begun) = smol::channel::bounded::<()>(1);
        let creator = async || {
            drop(began);
            std::future::pending::<u32>().await
        };
        let leader = region.get_or_create_async("a", creator);
        let begun = async { assert!(begun.recv().await.is_err(), "the creator drops the sender") };
        let mut leader = Box::pin(leader);
        smol::block_on(smol::future::or(async { drop(leader.as_mut().await) }, begun));
        assert!(backend.store.is_locked());
        // The mutex cannot be released before the test has looked.
        backend.store.while_locked(|| {
            drop(leader);
            assert!(!is_idle(&region), "{kind:?}");
        });
        assert_ends(&region);
        assert!(!backend.store.is_locked(), "{kind:?}");
    }
}

#[test]
fn mutex_that_is_acquired_too_late_is_awaited() {
    let backend = Backend::new(Kind::Blocking).with_mutex();
    let region = backend.region();
    backend.store.lock_elsewhere();
    let mut waiter = Box::pin(region.get_or_create_async("a", async || 1));
    let waits = async {
        while region.creations().unwrap().is_empty() {
            smol::future::yield_now().await;
        }
    };
    smol::block_on(smol::future::or(async { drop(waiter.as_mut().await) }, waits));
    drop(waiter);
    // A thread may have begun to wait for the mutex. If so, it gets it, and must release it again.
    backend.store.unlock();
    assert_ends(&region);
    assert!(!backend.store.is_locked());
}

/// Keeps creations until the test takes them.
#[derive(Debug, Default)]
struct Keeping(Mutex<Vec<Creation>>);

impl Runner for Keeping {
    fn run(&self, creation: Creation) {
        self.0.lock().push(creation);
    }
}

#[test]
fn creation_that_waits_for_its_runner_is_awaited() {
    let (keeping, clock) = (Arc::new(Keeping::default()), Arc::new(ManualClock::at(100.0)));
    let region = CacheRegion::new("queued");
    let config = RegionConfig::new("dogpile.cache.memory").expiration_time(1).clock(clock.clone());
    region.configure(config.async_creation_runner(keeping.clone())).expect("nothing is wrong with it");
    region.set("a", 1_u32).unwrap();
    clock.advance(Duration::from_secs(2));
    for runs in [true, false] {
        assert_eq!(
            region.options().background().get_or_create("a", move || 2).unwrap(),
            1 + u32::from(!runs)
        );
        assert!(!is_idle(&region));
        let creation = keeping.0.lock().pop().expect("the runner has the creation");
        if runs {
            creation.run();
            clock.advance(Duration::from_secs(2));
        } else {
            drop(creation);
        }
        assert!(is_idle(&region));
    }
}

#[test]
fn regions_over_one_store_do_not_wait_for_each_other() {
    let backend = Arc::new(Backend::new(Kind::Blocking));
    let [one, other] = ["one", "other"].map(|name| {
        let region = CacheRegion::new(name);
        region.configure(RegionConfig::from_instance(backend.clone())).expect("nothing is wrong with it");
        region
    });
    assert_eq!(one.get_or_create("a", || (is_idle(&one), is_idle(&other))).unwrap(), (false, true));
}

/// What began before the region got another backend, or another proxy, counts as well.
#[test]
fn creation_over_a_replaced_backend_is_awaited() {
    let replace: [fn(&CacheRegion); 2] = [
        |region| {
            let config = RegionConfig::new("dogpile.cache.memory").replace_existing_backend();
            region.configure(config).unwrap();
        },
        |region| {
            region.wrap(PassThrough).unwrap();
        },
    ];
    for kind in KINDS {
        for replace in replace {
            let region = Backend::new(kind).region();
            let (go, gate) = smol::channel::bounded::<()>(1);
            let (began, begun) = smol::channel::bounded::<()>(1);
            let creator = async move || {
                drop(began);
                gate.recv().await.expect("the test sends");
                1
            };
            let call = region.options().detach().get_or_create_async("a", creator);
            smol::block_on(smol::future::or(async { drop(call.await) }, async {
                assert!(begun.recv().await.is_err(), "the creator drops the sender");
            }));
            replace(&region);
            replace(&region);
            assert!(!is_idle(&region), "{kind:?}");
            smol::block_on(go.send(())).unwrap();
            assert_ends(&region);
        }
    }
}

/// Changes nothing.
#[derive(Debug)]
struct PassThrough(Arc<dyn CacheBackend>);

impl ProxyBackend for PassThrough {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }
}
