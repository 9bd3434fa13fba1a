//! What happens when callers are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use dogpile::CacheRegion;
use smol::channel as tasks;

use super::backends::{Backend, KINDS, Kind, PATIENCE};
use super::polling::{Boxed, Task};

/// Counts how many creators run, and how many have begun.
#[derive(Default)]
struct Creators {
    running: AtomicUsize,
    most: AtomicUsize,
    begun: AtomicUsize,
}

/// A creator that runs until this is dropped.
struct Run<'c>(&'c Creators);

impl Creators {
    fn begin(&self) -> Run<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        Run(self)
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A call whose creator returns what the test sends it.
fn call<'c>(region: &'c CacheRegion, creators: &'c Creators, orders: &tasks::Receiver<u32>) -> Task<'c, u32> {
    let orders = orders.clone();
    let creator = move || async move {
        let _run = creators.begin();
        orders.recv().await.expect("the test sends")
    };
    let future: Boxed<'c, u32> =
        Box::pin(async move { region.get_or_create_async("a", creator).await.expect("the store works") });
    Task::new(future)
}

#[test]
fn dropped_leader_is_followed_by_one_waiter() {
    let (region, creators) = (Backend::new(Kind::Immediate).region(), Creators::default());
    let (sender, orders) = tasks::unbounded();
    let mut calls: Vec<_> = (0..5).map(|_| call(&region, &creators, &orders)).collect();
    assert!(calls.iter_mut().all(|call| call.poll().is_none()));
    assert_eq!(creators.begun(), 1);
    drop(calls.remove(0));
    let woken: Vec<usize> = (0..4).filter(|place| calls[*place].is_woken()).collect();
    assert_eq!(woken, [0], "only the waiter that came first is woken, at once");
    // Even if all of them are polled, one creates.
    assert!(calls.iter_mut().all(|call| call.poll().is_none()));
    assert_eq!((creators.begun(), creators.most()), (2, 1));
    sender.send_blocking(7).unwrap();
    assert_eq!(calls.iter_mut().map(Task::poll).collect::<Vec<_>>(), [Some(7); 4]);
}

#[test]
fn dropped_waiters_leave_no_trace() {
    let (region, creators) = (Backend::new(Kind::Immediate).region(), Creators::default());
    let (sender, orders) = tasks::unbounded();
    let mut leader = call(&region, &creators, &orders);
    assert_eq!(leader.poll(), None);
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let mut waiter = call(&region, &creators, &orders);
            assert_eq!(waiter.poll(), None);
            waiter
        })
        .collect();
    assert_eq!(region.creations().unwrap()[0].waiters, 3);
    drop(waiters);
    assert_eq!(region.creations().unwrap()[0].waiters, 0);
    sender.send_blocking(7).unwrap();
    assert_eq!(leader.poll(), Some(7));
    assert!(region.creations().unwrap().is_empty());
}

#[test]
fn woken_waiter_that_is_dropped_passes_the_key_on() {
    let (region, creators) = (Backend::new(Kind::Immediate).region(), Creators::default());
    let (sender, orders) = tasks::unbounded();
    let mut calls: Vec<_> = (0..3).map(|_| call(&region, &creators, &orders)).collect();
    assert!(calls.iter_mut().all(|call| call.poll().is_none()));
    drop(calls.remove(0));
    assert!(calls[0].is_woken() && !calls[1].is_woken());
    drop(calls.remove(0));
    assert!(calls[0].is_woken(), "the last waiter follows");
    sender.send_blocking(7).unwrap();
    assert_eq!(calls.remove(0).finish(), 7);
    assert_eq!(creators.begun(), 2);
}

#[test]
fn thousands_of_dropped_leaders_do_no_harm() {
    for kind in KINDS {
        let (region, creators) = (Backend::new(kind).with_mutex().region(), Creators::default());
        let (sender, orders) = tasks::unbounded();
        let executor = smol::Executor::new();
        smol::block_on(executor.run(async {
            for _ in 0..2000 {
                let (region, creators, orders) = (&region, &creators, orders.clone());
                let _canceled_when_dropped = executor.spawn(async move {
                    let creator = async || {
                        let _run = creators.begin();
                        orders.recv().await.expect("the test sends")
                    };
                    region.get_or_create_async("a", creator).await
                });
                smol::future::yield_now().await;
            }
            sender.send(7).await.unwrap();
            assert_eq!(region.get_or_create_async("a", async || 7).await.unwrap(), 7);
        }));
        assert!(creators.most() <= 1, "{kind:?}");
        assert!(region.creations().unwrap().is_empty(), "{kind:?}");
    }
}

#[test]
fn dropped_leader_releases_the_mutex_in_the_background() {
    for kind in KINDS {
        let (backend, creators) = (Backend::new(kind).with_mutex(), Creators::default());
        let region = backend.region();
        let (_sender, orders) = tasks::unbounded();
        let mut leader = call(&region, &creators, &orders);
        while creators.begun() == 0 {
            assert_eq!(leader.poll(), None);
            thread::yield_now();
        }
        assert!(backend.store.is_locked());
        drop(leader);
        backend.store.await_unlocked();
    }
}

#[test]
fn mutex_that_is_acquired_too_late_is_released() {
    let backend = Backend::new(Kind::Blocking).with_mutex();
    let region = backend.region();
    backend.store.lock_elsewhere();
    let (began, begun) = channel();
    let mut leader = Task::new(async {
        let creator = async || began.send(()).expect("the test receives");
        region.get_or_create_async("a", creator).await
    });
    // The second read of the leader ends before it requests the mutex.
    while region.creations().unwrap().is_empty() {
        assert!(leader.poll().is_none());
        thread::yield_now();
    }
    assert!(leader.poll().is_none());
    drop(leader);
    backend.store.unlock();
    // A thread may have begun to wait or not. In the end, the mutex is free, and another call gets it.
    assert_eq!(smol::block_on(region.get_or_create_async("a", async || 1)).unwrap(), 1);
    backend.store.await_unlocked();
    assert!(begun.try_recv().is_err(), "the dropped caller does not create");
}

#[test]
fn value_that_is_being_stored_does_not_overwrite_a_newer_one() {
    for kind in [Kind::Blocking, Kind::Operations] {
        let backend = Backend::new(kind);
        let region = Arc::new(backend.region());
        backend.store.writes.close();
        let mut leader = Task::new(async { region.get_or_create_async("a", async || 1).await });
        while region
            .creations()
            .unwrap()
            .first()
            .is_none_or(|creation| creation.stage != dogpile::CreationStage::Storing)
        {
            assert!(leader.poll().is_none());
            thread::yield_now();
        }
        backend.store.writes.await_callers(1);
        drop(leader);
        // The store of the dropped leader goes on. A `set` waits for its end.
        let mut set = Task::new(region.set_async("a", 2));
        assert!(set.poll().is_none());
        assert_eq!(region.creations().unwrap().len(), 1, "{kind:?}: the gate stays closed");
        backend.store.writes.open();
        set.finish().unwrap();
        assert_eq!(region.get("a").unwrap(), Some(2), "{kind:?}");
        assert!(region.creations().unwrap().is_empty());
    }
}

#[test]
fn detached_creation_outlives_its_caller() {
    for kind in KINDS {
        let (region, (sender, orders)) = (Backend::new(kind).region(), tasks::unbounded());
        let (began, begun) = channel();
        let (ended, end) = channel();
        let creator = move || async move {
            began.send(()).expect("the test receives");
            let value: u32 = orders.recv().await.expect("the test sends");
            ended.send(()).expect("the test receives");
            value
        };
        let mut caller = Task::new(region.options().detach().get_or_create_async("a", creator));
        loop {
            assert!(caller.poll().is_none());
            if begun.try_recv().is_ok() {
                break;
            }
            thread::yield_now();
        }
        drop(caller);
        // A new caller waits for the creation that goes on.
        let mut waiter = Task::new(async { region.get_or_create_async("a", async || 8_u32).await });
        assert!(waiter.poll().is_none());
        sender.send_blocking(7).unwrap();
        end.recv_timeout(PATIENCE).expect("the creator runs to its end");
        assert_eq!(waiter.finish().unwrap(), 7, "{kind:?}");
        assert_eq!(region.get("a").unwrap(), Some(7_u32), "{kind:?}");
    }
}

#[test]
fn panic_of_a_detached_creator_reaches_its_caller() {
    let region = Backend::new(Kind::Blocking).region();
    let creator = || async { std::panic::resume_unwind(Box::new("planted")) };
    let call = async { region.options().detach().get_or_create_async::<u32, _, _>("a", creator).await };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| smol::block_on(call)));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"planted"));
    assert_eq!(region.get_or_create("a", || 1).unwrap(), 1);
}
