//! Cached asynchronous functions of one value: which callers evaluate them, and which values are stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use dogpile::{CacheKey, CacheRegion, CreateError, Runtime, RuntimeFuture, cache_on_arguments};
use smol::channel as tasks;

use super::backends::{Backend, KINDS, Kind, PATIENCE};
use super::polling::{Task, at_once};

/// Lets a test hold up functions, and counts their evaluations.
pub(crate) struct Desk {
    begun: AtomicUsize,
    sender: tasks::Sender<u32>,
    orders: tasks::Receiver<u32>,
}

impl Desk {
    pub(crate) fn new() -> Arc<Self> {
        let (sender, orders) = tasks::unbounded();
        Arc::new(Desk { begun: AtomicUsize::new(0), sender, orders })
    }

    /// Evaluates to the value that the test orders.
    pub(crate) async fn evaluate(&self) -> u32 {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.orders.recv().await.expect("the test orders a value")
    }

    /// Orders a value for one evaluation.
    pub(crate) fn order(&self, value: u32) {
        self.sender.send_blocking(value).expect("the desk receives");
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

/// Waits until `condition` is true.
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "the condition stays false");
        thread::yield_now();
    }
}

/// Runs all tasks to their ends. They wait for each other, so that none can finish alone.
pub(crate) fn finish_all<T>(mut calls: Vec<Task<'_, T>>) -> Vec<T> {
    let mut outputs: Vec<Option<T>> = calls.iter().map(|_| None).collect();
    until(|| {
        for (call, output) in calls.iter_mut().zip(&mut outputs).filter(|(_, output)| output.is_none()) {
            *output = call.poll();
        }
        outputs.iter().all(Option::is_some)
    });
    outputs.into_iter().flatten().collect()
}

#[cache_on_arguments(region = region, ignore(region, desk))]
async fn ordered(region: &CacheRegion, desk: &Desk, item: &str) -> u32 {
    let _ = item;
    desk.evaluate().await
}

#[cache_on_arguments(region = region, ignore(region, desk), detach)]
async fn detached(region: Arc<CacheRegion>, desk: Arc<Desk>, item: String) -> u32 {
    let _ = item;
    desk.evaluate().await
}

#[test]
fn many_tasks_share_one_evaluation() {
    for kind in KINDS {
        let (region, desk) = (Backend::new(kind).region(), Desk::new());
        let mut calls: Vec<_> = (0..50).map(|_| Task::new(ordered(&region, &desk, "tea"))).collect();
        until(|| {
            assert!(calls.iter_mut().all(|call| call.poll().is_none()));
            region.creations().unwrap().first().is_some_and(|creation| creation.waiters == 49)
                && desk.begun() == 1
        });
        desk.order(7);
        assert_eq!(finish_all(calls), [7; 50], "{kind:?}");
        assert_eq!(desk.begun(), 1, "{kind:?}");
        // A hit does not evaluate.
        assert_eq!(smol::block_on(ordered(&region, &desk, "tea")), 7);
        assert_eq!(desk.begun(), 1);
    }
}

#[test]
fn task_and_detached_task_share_one_evaluation() {
    #[cache_on_arguments(region = region, ignore(region, desk), key_name = "shared")]
    async fn attached(region: &CacheRegion, desk: &Desk) -> u32 {
        desk.evaluate().await
    }
    #[cache_on_arguments(region = region, ignore(region, desk), key_name = "shared", detach)]
    async fn detached(region: Arc<CacheRegion>, desk: Arc<Desk>) -> u32 {
        desk.evaluate().await
    }
    for kind in KINDS {
        let (region, desk) = (Arc::new(Backend::new(kind).region()), Desk::new());
        let mut leader = Task::new(detached(Arc::clone(&region), Arc::clone(&desk)));
        until(|| leader.poll().is_none() && desk.begun() == 1);
        let mut waiter = Task::new(attached(&region, &desk));
        until(|| waiter.poll().is_none() && region.creations().unwrap()[0].waiters == 1);
        desk.order(7);
        assert_eq!((leader.finish(), waiter.finish(), desk.begun()), (7, 7, 1), "{kind:?}");
    }
}

#[test]
fn hit_ends_at_the_first_poll() {
    let (region, desk) = (Arc::new(Backend::new(Kind::Immediate).region()), Desk::new());
    at_once(ordered::set(3, &region, &desk, "tea")).unwrap();
    assert_eq!(at_once(ordered(&region, &desk, "tea")), 3);
    assert_eq!(at_once(ordered::get(&region, &desk, "tea")).unwrap(), Some(3));
    let tea = || (Arc::clone(&region), Arc::clone(&desk), "tea".to_owned());
    let (given, on, item) = tea();
    at_once(detached::set(4, given, on, item)).unwrap();
    let (given, on, item) = tea();
    assert_eq!(at_once(detached(given, on, item)), 4);
    assert_eq!(desk.begun(), 0);
}

#[test]
fn next_task_evaluates_if_the_first_is_dropped() {
    for kind in KINDS {
        let (region, desk) = (Backend::new(kind).region(), Desk::new());
        let mut leader = Task::new(ordered(&region, &desk, "tea"));
        until(|| leader.poll().is_none() && desk.begun() == 1);
        let mut waiter = Task::new(ordered(&region, &desk, "tea"));
        until(|| waiter.poll().is_none() && region.creations().unwrap()[0].waiters == 1);
        drop(leader);
        until(|| waiter.poll().is_none() && desk.begun() == 2);
        desk.order(7);
        assert_eq!(waiter.finish(), 7, "{kind:?}");
        assert_eq!(smol::block_on(ordered::get(&region, &desk, "tea")).unwrap(), Some(7));
    }
}

#[test]
fn detached_evaluation_outlives_its_caller() {
    for kind in KINDS {
        let (region, desk) = (Arc::new(Backend::new(kind).region()), Desk::new());
        let get = || detached::get(Arc::clone(&region), Arc::clone(&desk), "tea".to_owned());
        let mut caller = Task::new(detached(Arc::clone(&region), Arc::clone(&desk), "tea".to_owned()));
        until(|| caller.poll().is_none() && desk.begun() == 1);
        drop(caller);
        desk.order(7);
        until(|| smol::block_on(get()).unwrap() == Some(7));
        assert_eq!(desk.begun(), 1, "{kind:?}");
    }
}

#[test]
fn stale_value_is_served_while_one_task_evaluates() {
    for kind in KINDS {
        let (region, desk) = (Backend::new(kind).region(), Desk::new());
        smol::block_on(ordered::set(1, &region, &desk, "tea")).unwrap();
        region.invalidate_soft().unwrap();
        let mut leader = Task::new(ordered(&region, &desk, "tea"));
        until(|| leader.poll().is_none() && desk.begun() == 1);
        assert_eq!(smol::block_on(ordered(&region, &desk, "tea")), 1, "{kind:?}");
        desk.order(2);
        assert_eq!(leader.finish(), 2);
        assert_eq!((smol::block_on(ordered(&region, &desk, "tea")), desk.begun()), (2, 1));
    }
}

#[test]
fn companions_evaluate_only_if_they_must() {
    for kind in KINDS {
        let (region, desk) = (Backend::new(kind).region(), Desk::new());
        let get = || smol::block_on(ordered::get(&region, &desk, "tea")).unwrap();
        smol::block_on(async {
            ordered::set(1, &region, &desk, "tea").await.unwrap();
            assert_eq!(ordered(&region, &desk, "tea").await, 1);
            ordered::invalidate(&region, &desk, "tea").await.unwrap();
        });
        assert_eq!((get(), desk.begun()), (None, 0), "{kind:?}");
        desk.order(2);
        assert_eq!(smol::block_on(ordered::refresh(&region, &desk, "tea")).unwrap(), 2);
        desk.order(3);
        assert_eq!(smol::block_on(ordered::original(&region, &desk, "tea")), 3);
        assert_eq!((get(), desk.begun()), (Some(2), 2));
        assert!(ordered::key(&region, &desk, "tea").ends_with(":ordered|tea"));
    }
}

#[cache_on_arguments(region = region, ignore(region, desk), should_cache_fn = |price: &u32| *price % 2 == 1)]
async fn odd(region: &CacheRegion, desk: &Desk, limit: u32) -> Result<u32, String> {
    let price = desk.evaluate().await;
    if price > limit { Err("too much".to_owned()) } else { Ok(price) }
}

#[cache_on_arguments(region = region, ignore(region, desk), should_cache_fn = |key, price| key.ends_with("9") && *price % 2 == 1, detach)]
async fn odd_detached(region: Arc<CacheRegion>, desk: Arc<Desk>, limit: u32) -> Result<u32, String> {
    let price = desk.evaluate().await;
    if price > limit { Err("too much".to_owned()) } else { Ok(price) }
}

#[test]
fn errors_and_rejected_values_are_not_cached() {
    for kind in KINDS {
        let (region, desk) = (Arc::new(Backend::new(kind).region()), Desk::new());
        let ask = |order| {
            desk.order(order);
            smol::block_on(odd(&region, &desk, 9))
        };
        assert_eq!((ask(10), ask(4), ask(3)), (Err("too much".to_owned()), Ok(4), Ok(3)));
        assert_eq!(smol::block_on(odd(&region, &desk, 9)), Ok(3));
        let refresh = |order| {
            desk.order(order);
            smol::block_on(odd::refresh(&region, &desk, 9))
        };
        assert_eq!((refresh(4).unwrap(), smol::block_on(odd(&region, &desk, 9))), (4, Ok(3)));
        let error = refresh(10).unwrap_err();
        assert!(matches!(&error, CreateError::Creator(text) if text == "too much"), "{error:?}");
        let ask = |order| {
            desk.order(order);
            smol::block_on(odd_detached(Arc::clone(&region), Arc::clone(&desk), 9))
        };
        assert_eq!((ask(10), ask(4), ask(3)), (Err("too much".to_owned()), Ok(4), Ok(3)));
        let known = smol::block_on(odd_detached::get(Arc::clone(&region), Arc::clone(&desk), 9));
        assert_eq!(known.unwrap(), Some(3), "{kind:?}");
        assert_eq!(desk.begun(), 8);
    }
}

/// A runtime that drops its tasks, as one that shuts down does.
#[derive(Debug)]
pub(crate) struct ShutDown;

impl Runtime for ShutDown {
    fn spawn(&self, future: RuntimeFuture) {
        drop(future);
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

#[test]
fn caller_evaluates_if_the_runtime_drops_its_task() {
    let region = Backend::new(Kind::Immediate).configured(|config| config.runtime(Arc::new(ShutDown)));
    let (region, desk) = (Arc::new(region), Desk::new());
    desk.order(7);
    assert_eq!(at_once(detached(Arc::clone(&region), Arc::clone(&desk), "tea".to_owned())), 7);
    assert_eq!(desk.begun(), 1);
    assert!(region.creations().unwrap().is_empty());
}

/// An argument that counts its clones.
struct Counted(Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::SeqCst);
        Counted(Arc::clone(&self.0))
    }
}

impl CacheKey for Counted {
    fn write(&self, key: &mut String, _form: dogpile::function::KeyForm) {
        key.push_str("counted");
    }
}

#[cache_on_arguments(region = region, ignore(region), detach)]
async fn of_counted(region: &'static CacheRegion, argument: Counted) -> u32 {
    let _ = argument;
    7
}

#[cache_on_arguments(region = region, ignore(region))]
async fn of_moved(region: &CacheRegion, argument: Counted) -> u32 {
    let _ = argument;
    7
}

#[test]
fn arguments_are_cloned_only_for_a_detached_evaluation() {
    static REGION: CacheRegion = CacheRegion::new("counted");
    REGION.configure(dogpile::RegionConfig::new("dogpile.cache.memory")).unwrap();
    let clones = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        assert_eq!(smol::block_on(of_moved(&REGION, Counted(Arc::clone(&clones)))), 7);
    }
    assert_eq!(clones.load(Ordering::SeqCst), 0);
    for _ in 0..3 {
        assert_eq!(smol::block_on(of_counted(&REGION, Counted(Arc::clone(&clones)))), 7);
    }
    assert_eq!(clones.load(Ordering::SeqCst), 1);
}

#[test]
fn panic_of_a_function_reaches_its_caller() {
    #[cache_on_arguments(region = region, ignore(region))]
    async fn failing(region: &CacheRegion) -> u32 {
        std::panic::resume_unwind(Box::new("planted"))
    }
    #[cache_on_arguments(region = region, ignore(region), detach)]
    async fn failing_detached(region: Arc<CacheRegion>) -> u32 {
        std::panic::resume_unwind(Box::new("planted"))
    }
    let caught = |future: std::pin::Pin<Box<dyn Future<Output = u32> + '_>>| {
        let call = std::panic::AssertUnwindSafe(|| smol::block_on(future));
        std::panic::catch_unwind(call).unwrap_err().downcast_ref::<&str>().copied()
    };
    for kind in KINDS {
        let region = Arc::new(Backend::new(kind).region());
        assert_eq!(caught(Box::pin(failing(&region))), Some("planted"), "{kind:?}");
        assert_eq!(caught(Box::pin(failing_detached(Arc::clone(&region)))), Some("planted"), "{kind:?}");
        assert!(region.creations().unwrap().is_empty());
    }
}
