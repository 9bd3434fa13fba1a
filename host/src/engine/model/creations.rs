//! Callers that meet at a gate.

use std::sync::Arc;

use loom::thread;

use super::port::{End, ModelPort};
use super::{bounded_model, lead, model, poll_once, task};
use crate::engine::blocking::drive;

#[test]
fn missing_value_is_created_once_by_threads() {
    model(|gates, store| {
        let other = ModelPort::new(gates, store);
        let other = thread::spawn(|| other.block());
        assert_eq!(ModelPort::new(gates, store).block(), Ok(10));
        assert_eq!(other.join().unwrap(), Ok(10));
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn missing_value_is_created_once_by_tasks() {
    model(|gates, store| {
        let other = task(ModelPort::new(gates, store));
        let other = thread::spawn(|| drive(other));
        assert_eq!(drive(task(ModelPort::new(gates, store))), Ok(10));
        assert_eq!(other.join().unwrap(), Ok(10));
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn missing_value_is_created_once_by_a_thread_and_a_task() {
    model(|gates, store| {
        let other = task(ModelPort::new(gates, store));
        let other = thread::spawn(|| drive(other));
        assert_eq!(ModelPort::new(gates, store).block(), Ok(10));
        assert_eq!(other.join().unwrap(), Ok(10));
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn stale_value_is_created_once() {
    model(|gates, store| {
        store.set(1);
        let other = ModelPort::new(gates, store);
        let other = thread::spawn(|| other.block());
        let values = [ModelPort::new(gates, store).block(), other.join().unwrap()];
        assert!(values.iter().all(|value| matches!(value, Ok(1 | 10))), "{values:?}");
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn waiter_of_a_failing_creator_leads() {
    model(|gates, store| {
        let failing = ModelPort::new(gates, store).ending(End::Fails);
        let failing = thread::spawn(|| failing.block());
        assert_eq!(ModelPort::new(gates, store).block(), Ok(10));
        assert!(matches!(failing.join().unwrap(), Err("the creator failed") | Ok(10)));
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn waiter_of_a_canceled_leader_leads() {
    model(|gates, store| {
        let mut canceled = task(ModelPort::new(gates, store).ending(End::Hangs));
        poll_once(canceled.as_mut());
        let waiter = ModelPort::new(gates, store);
        let waiter = thread::spawn(|| waiter.block());
        drop(canceled);
        assert_eq!(waiter.join().unwrap(), Ok(10));
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn canceled_leader_is_followed_by_one_of_its_waiting_tasks() {
    bounded_model(|gates, store| {
        let mut canceled = task(ModelPort::new(gates, store).ending(End::Hangs));
        poll_once(canceled.as_mut());
        let waiters = [(); 2].map(|()| {
            let mut waiter = task(ModelPort::new(gates, store));
            poll_once(waiter.as_mut());
            thread::spawn(|| drive(waiter))
        });
        drop(canceled);
        assert_eq!(waiters.map(|waiter| waiter.join().unwrap()), [Ok(10); 2]);
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn waiter_canceled_during_the_handoff_leaves_no_trace() {
    bounded_model(|gates, store| {
        let mut leadership = lead(gates, store);
        let (mut canceled, mut other) =
            (task(ModelPort::new(gates, store)), task(ModelPort::new(gates, store)));
        poll_once(canceled.as_mut());
        poll_once(other.as_mut());
        let canceling = thread::spawn(|| drop(canceled));
        let other = thread::spawn(|| drive(other));
        store.set(20);
        leadership.hand_over(Arc::new(20_u32), None);
        drop(leadership);
        canceling.join().unwrap();
        assert_eq!(other.join().unwrap(), Ok(20));
        assert_eq!(store.created(), 0);
    });
}

#[test]
fn canceled_waiter_that_was_to_lead_passes_it_on() {
    bounded_model(|gates, store| {
        let leadership = lead(gates, store);
        let mut chosen = task(ModelPort::new(gates, store));
        poll_once(chosen.as_mut());
        let next = task(ModelPort::new(gates, store));
        let next = thread::spawn(|| drive(next));
        let canceling = thread::spawn(|| drop(chosen));
        drop(leadership);
        canceling.join().unwrap();
        assert_eq!(next.join().unwrap(), Ok(10));
    });
}

#[test]
fn canceled_waiters_leave_no_gate() {
    bounded_model(|gates, store| {
        let leadership = lead(gates, store);
        let (mut first, mut second) =
            (task(ModelPort::new(gates, store)), task(ModelPort::new(gates, store)));
        poll_once(first.as_mut());
        poll_once(second.as_mut());
        let canceling = [thread::spawn(|| drop(first)), thread::spawn(|| drop(second))];
        drop(leadership);
        canceling.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn three_waiting_threads_wake_as_a_tree() {
    bounded_model(|gates, store| {
        let mut leadership = lead(gates, store);
        let waiters = [(); 3].map(|()| {
            // All are at the gate from the start, so that the tree has a second level.
            let mut waiter = Box::pin(ModelPort::<false>::new(gates, store).get());
            poll_once(waiter.as_mut());
            thread::spawn(|| drive(waiter))
        });
        store.set(20);
        leadership.hand_over(Arc::new(20_u32), None);
        drop(leadership);
        assert_eq!(waiters.map(|waiter| waiter.join().unwrap()), [Ok(20); 3]);
        assert_eq!(store.created(), 0);
    });
}
