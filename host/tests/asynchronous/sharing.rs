//! Threads and tasks that request one key share one creation.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use smol::channel as tasks;

use super::backends::{Backend, KINDS, Kind, PATIENCE};
use super::polling::Task;

#[test]
fn thread_waits_for_the_task_that_creates() {
    for kind in KINDS {
        let (region, (sender, orders)) = (Backend::new(kind).region(), tasks::unbounded());
        let (began, begun) = channel();
        let mut leader = Task::new(async {
            let creator = async || {
                began.send(()).expect("the test receives");
                orders.recv().await.expect("the test sends")
            };
            region.get_or_create_async::<u32, _, _>("a", creator).await
        });
        while begun.try_recv().is_err() {
            assert!(leader.poll().is_none());
            thread::yield_now();
        }
        thread::scope(|scope| {
            let waiter = scope.spawn(|| region.get_or_create("a", || 8_u32));
            while region.creations().unwrap()[0].waiters == 0 {
                thread::yield_now();
            }
            sender.send_blocking(7).unwrap();
            assert_eq!(leader.finish().unwrap(), 7);
            assert_eq!(waiter.join().unwrap().unwrap(), 7, "{kind:?}");
        });
    }
}

#[test]
fn task_waits_for_the_thread_that_creates() {
    for kind in KINDS {
        let region = Backend::new(kind).region();
        let ((began, begun), (go, gate)) = (channel(), channel());
        thread::scope(|scope| {
            let region = &region;
            let leader = scope.spawn(move || {
                region.get_or_create("a", || {
                    began.send(()).expect("the test receives");
                    gate.recv_timeout(PATIENCE).expect("the test lets the creator go on")
                })
            });
            begun.recv_timeout(PATIENCE).expect("the creator runs");
            let mut waiter = Task::new(async { region.get_or_create_async("a", async || 8_u32).await });
            while region.creations().unwrap()[0].waiters == 0 {
                assert!(waiter.poll().is_none());
                thread::yield_now();
            }
            go.send(7_u32).unwrap();
            assert_eq!(waiter.finish().unwrap(), 7, "{kind:?}");
            assert_eq!(leader.join().unwrap().unwrap(), 7);
        });
    }
}

#[test]
fn creator_that_requests_its_own_key_gets_an_error() {
    for kind in KINDS {
        let region = Backend::new(kind).region();
        let outer = async || {
            let inner = region.get_or_create_async("a", async || 1).await;
            format!("{:#}", inner.unwrap_err())
        };
        let message = smol::block_on(region.get_or_create_async("a", outer)).unwrap();
        assert!(message.contains("deadlock avoided"), "{message}");
    }
}

/// Debug builds refuse blocking calls of the region's own code, not those of creators.
#[test]
fn creator_of_a_task_may_make_blocking_calls() {
    for kind in KINDS {
        let region = Backend::new(kind).region();
        let single = async || region.get_or_create("b", || 1).unwrap();
        assert_eq!(smol::block_on(region.get_or_create_async("a", single)).unwrap(), 1, "{kind:?}");
        let many = |keys: Vec<String>| {
            region.set("d", 2).unwrap();
            async move { vec![keys.len() as u32] }
        };
        assert_eq!(smol::block_on(region.get_or_create_multi_async(&["c"], many)).unwrap(), [1], "{kind:?}");
        assert_eq!(region.get("d").unwrap(), Some(2));
    }
}

#[test]
fn wait_of_a_task_ends_at_its_limit() {
    let region = Backend::new(Kind::Immediate).region();
    let mut leader = Task::new(async { region.get_or_create_async("a", std::future::pending::<u32>).await });
    assert!(leader.poll().is_none());
    let patient = region.options().creation_wait_timeout(Duration::from_millis(20));
    let error = smol::block_on(patient.get_or_create_async("a", async || 1)).unwrap_err();
    assert!(format!("{error:#}").contains("timed out"), "{error:#}");
}

#[test]
fn wait_for_the_mutex_of_another_process_blocks_no_task() {
    let backend = Backend::new(Kind::Blocking).with_mutex();
    let region = backend.region();
    backend.store.lock_elsewhere();
    let mut leader = Task::new(async { region.get_or_create_async("a", async || 1).await });
    while region.creations().unwrap().is_empty() {
        assert!(leader.poll().is_none());
        thread::yield_now();
    }
    // Other keys of the store are read and written meanwhile.
    smol::block_on(region.set_async("b", 2)).unwrap();
    assert_eq!(smol::block_on(region.get_async("b")).unwrap(), Some(2));
    assert!(leader.poll().is_none());
    backend.store.unlock();
    assert_eq!(leader.finish().unwrap(), 1);
}

#[test]
fn queued_calls_beyond_the_threads_of_a_store_are_made_in_turn() {
    let backend = Backend::new(Kind::Blocking);
    let region = backend.region();
    backend.store.reads.close();
    let keys: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let mut calls: Vec<_> = keys
        .iter()
        .map(|key| Task::waiting(async { region.get_or_create_async(key, async || 1).await.unwrap() }))
        .collect();
    backend.store.reads.await_callers(64);
    backend.store.reads.open();
    assert!(calls.drain(..).all(|call| call.finish() == 1));
}
