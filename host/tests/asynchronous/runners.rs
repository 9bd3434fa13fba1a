//! Runners: they get the creations of both front ends, and may refuse them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dogpile::{
    CacheRegion, Creation, CreatorTimeout, ManualClock, OnStale, RegionConfig, RegionError, Runner, Runtime,
    TaskCreation, ThreadRunner,
};
use parking_lot::Mutex;

const SECOND: Duration = Duration::from_secs(1);

/// Notes what it gets, and runs it.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<(&'static str, Vec<String>)>>);

impl Runner for Noting {
    fn run(&self, creation: Creation) {
        assert_eq!(creation.region(), "region");
        self.0.lock().push(("run", creation.keys().to_vec()));
        creation.run();
    }

    fn spawn(&self, creation: TaskCreation, runtime: &dyn Runtime) {
        assert_eq!(creation.region(), "region");
        self.0.lock().push(("spawn", creation.keys().to_vec()));
        runtime.spawn(creation.into_future());
    }
}

#[derive(Debug)]
struct Refusing;

impl Runner for Refusing {
    fn run(&self, creation: Creation) {
        drop(creation);
    }

    fn spawn(&self, creation: TaskCreation, _runtime: &dyn Runtime) {
        drop(creation);
    }
}

#[derive(Debug)]
struct Panicking;

impl Runner for Panicking {
    fn run(&self, _creation: Creation) {
        std::panic::resume_unwind(Box::new("planted"));
    }

    fn spawn(&self, _creation: TaskCreation, _runtime: &dyn Runtime) {
        std::panic::resume_unwind(Box::new("planted"));
    }
}

/// Keeps tasks until the test takes them.
#[derive(Debug, Default)]
struct Keeping(Mutex<Vec<TaskCreation>>);

impl Runner for Keeping {
    fn run(&self, creation: Creation) {
        creation.run();
    }

    fn spawn(&self, creation: TaskCreation, _runtime: &dyn Runtime) {
        self.0.lock().push(creation);
    }
}

/// Returns a region whose values expire after a second, and its clock.
fn region_with(runner: Arc<dyn Runner>) -> (CacheRegion, Arc<ManualClock>) {
    let (region, clock) = (CacheRegion::new("region"), Arc::new(ManualClock::at(100.0)));
    let config = RegionConfig::new("dogpile.cache.memory").expiration_time(SECOND).clock(clock.clone());
    region.configure(config.async_creation_runner(runner)).expect("nothing is wrong with it");
    (region, clock)
}

/// Asserts that no caller creates `key`, and that a call creates it at once.
fn assert_free(region: &CacheRegion, key: &str) {
    assert_eq!(region.creations().expect("it is configured"), []);
    assert!(!region.key_is_locked(key).expect("the backend works"));
    assert_eq!(region.get_or_create(key, || 9).expect("the backend works"), 9);
}

#[test]
fn runner_gets_creations_of_threads_and_tasks() {
    let noting = Arc::new(Noting::default());
    let (region, clock) = region_with(noting.clone());
    let (background, detached) =
        (region.options().background(), region.options().stale(OnStale::ServeAll).detach());
    let noted = || std::mem::take(&mut *noting.0.lock());
    let one = |form, key: &str| vec![(form, vec![key.to_owned()])];

    assert_eq!(background.get_or_create("a", || 1).unwrap(), 1);
    assert_eq!(noted(), [], "the caller creates a missing value");
    assert_eq!(smol::block_on(detached.get_or_create_async("b", async || 1)).unwrap(), 1);
    assert_eq!(noted(), one("spawn", "b"));
    clock.advance(2 * SECOND);
    assert_eq!(background.get_or_create("a", || 2).unwrap(), 1);
    assert_eq!(noted(), one("run", "a"));
    assert_eq!(region.get("a").unwrap(), Some(2));
    let (ended, end) = smol::channel::bounded::<()>(1);
    let creator = async move || {
        drop(ended);
        2
    };
    assert_eq!(smol::block_on(detached.get_or_create_async("b", creator)).unwrap(), 1);
    assert_eq!(noted(), one("spawn", "b"));
    // The creator has run. Its caller got the old value, and the next one waits for the new value.
    assert!(smol::block_on(end.recv()).is_err());
    let next = region.options().stale(OnStale::Wait).get_or_create_async("b", async || 3);
    assert_eq!(smol::block_on(next).unwrap(), 2);
    let many = detached.get_or_create_multi_async(&["d", "c"], async |keys: Vec<String>| vec![1; keys.len()]);
    assert_eq!(smol::block_on(many).unwrap(), [1, 1]);
    assert_eq!(noted(), [("spawn", vec!["c".to_owned(), "d".to_owned()])]);
}

#[test]
fn default_of_a_runner_spawns_tasks_on_the_runtime() {
    let (region, _) = region_with(Arc::new(ThreadRunner));
    let call = region.options().detach().get_or_create_async("a", async || 1);
    assert_eq!(smol::block_on(call).unwrap(), 1);
}

#[test]
fn refused_creations_leave_their_keys_free() {
    for runner in [Arc::new(Refusing) as Arc<dyn Runner>, Arc::new(Panicking)] {
        let (region, clock) = region_with(runner);
        region.set_multi([("a", 1), ("b", 1), ("c", 1)]).unwrap();
        clock.advance(2 * SECOND);
        let (background, detached) =
            (region.options().background(), region.options().stale(OnStale::ServeAll).detach());
        assert_eq!(background.get_or_create("a", || 2).unwrap(), 1, "the caller gets the old value");
        assert_free(&region, "a");
        assert_eq!(smol::block_on(detached.get_or_create_async("b", async || 2)).unwrap(), 1);
        assert_free(&region, "b");
    }
}

#[test]
fn caller_that_needs_a_refused_value_creates_it() {
    for runner in [Arc::new(Refusing) as Arc<dyn Runner>, Arc::new(Panicking)] {
        let (region, _) = region_with(runner);
        let detached = region.options().detach();
        assert_eq!(smol::block_on(detached.get_or_create_async("a", async || 1)).unwrap(), 1);
        assert_eq!(region.get("a").unwrap(), Some(1));
        let many = detached.get_or_create_multi_async(&["c", "b"], async |keys: Vec<String>| {
            keys.into_iter().map(|key| u32::from(key == "b")).collect()
        });
        assert_eq!(smol::block_on(many).unwrap(), [0, 1]);
        let limits = CreatorTimeout::OFF.hard(Duration::from_secs(60));
        let limited = region.options().creator_timeout(limits).background();
        assert_eq!(limited.get_or_create("d", || 1).unwrap(), 1);
        assert_eq!(region.get("d").unwrap(), Some(1));
        assert_eq!(region.creations().unwrap(), []);
    }
}

/// Takes longer than any soft limit here.
async fn slow() -> u32 {
    smol::Timer::after(Duration::from_millis(50)).await;
    2
}

/// The creation belongs to the caller then. Returning the old value would drop it, each time.
#[test]
fn caller_that_creates_a_refused_value_has_no_soft_limit() {
    for runner in [Arc::new(Refusing) as Arc<dyn Runner>, Arc::new(Panicking)] {
        let (region, clock) = region_with(runner);
        region.set_multi([("a", 1_u32), ("b", 1)]).unwrap();
        clock.advance(Duration::from_secs(2));
        let limits = CreatorTimeout::OFF.soft(Duration::from_millis(5));
        let call = region.options().creator_timeout(limits).detach();
        assert_eq!(smol::block_on(call.get_or_create_async("a", slow)).unwrap(), 2);
        let many = call.get_or_create_multi_async(&["b"], async |_| vec![slow().await]);
        assert_eq!(smol::block_on(many).unwrap(), [2]);
        assert_eq!((region.get("a").unwrap(), region.get("b").unwrap()), (Some(2_u32), Some(2_u32)));
    }
}

#[test]
fn queued_creation_is_taken_over_after_the_wait_timeout() {
    let keeping = Arc::new(Keeping::default());
    let (region, _) = region_with(keeping.clone());
    let created = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&created);
    let creator = async move || counted.fetch_add(1, Ordering::SeqCst) + 1;
    let call = region.options().creation_wait_timeout(Duration::from_millis(10)).detach();
    assert_eq!(smol::block_on(call.get_or_create_async("a", creator)).unwrap(), 1);
    let kept = keeping.0.lock().pop().expect("the runner has the creation");
    smol::block_on(kept.into_future());
    assert_eq!(created.load(Ordering::SeqCst), 1, "the runner came too late");
    assert_eq!(region.get("a").unwrap(), Some(1_usize));
}

#[test]
fn caller_of_a_queued_creation_is_still_limited() {
    let keeping = Arc::new(Keeping::default());
    let (region, _) = region_with(keeping.clone());
    let limits = CreatorTimeout::OFF.hard(Duration::from_millis(10));
    let call = region.options().creator_timeout(limits).detach();
    let error = smol::block_on(call.get_or_create_async("a", async || 1)).unwrap_err();
    assert!(matches!(error, RegionError::CreatorTimedOut { .. }), "{error}");
    let kept = keeping.0.lock().pop().expect("the runner has the creation");
    smol::block_on(kept.into_future());
    assert_eq!(region.get("a").unwrap(), Some(1), "it went on without its caller");
}

#[test]
fn task_that_the_runner_drops_while_it_runs_is_an_error() {
    let keeping = Arc::new(Keeping::default());
    let (region, _) = region_with(keeping.clone());
    let mut call = Box::pin(region.options().detach().get_or_create_async("a", std::future::pending::<u32>));
    smol::block_on(async {
        assert!(smol::future::poll_once(call.as_mut()).await.is_none());
        let mut task = keeping.0.lock().pop().expect("the runner has the creation").into_future();
        assert!(smol::future::poll_once(task.as_mut()).await.is_none());
        assert_eq!(region.creations().unwrap().len(), 1);
        drop(task);
        let error = call.await.unwrap_err();
        assert!(matches!(error, RegionError::TaskDropped { .. }) && error.is_transient(), "{error}");
    });
    assert_free(&region, "a");
}
