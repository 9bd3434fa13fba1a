//! Creations that are queued, and callers that take them over.

use std::sync::Arc;
use std::time::Instant;

use loom::thread;

use super::port::{ModelPort, Store};
use super::{bounded_model, lead, model, poll_once, task};
use crate::engine::blocking::drive;
use crate::engine::{Gates, Leader, Led, Queued, Role, create_queued};

/// Creates what is queued, as a runner does, unless it was taken over.
fn run(gates: &Arc<Gates>, store: &Arc<Store>, queued: Queued) -> Option<u32> {
    let runner = Leader { name: "runner".into(), role: Role::Thread };
    let leadership = queued.begin(&runner, Instant::now())?;
    let mut port = ModelPort::<false>::new(gates, store);
    let created = drive(create_queued(&mut port, vec![Led { place: 0, leadership }]));
    created.expect("no creator of this model fails").pop().map(|settled| settled.value)
}

#[test]
fn queued_creation_runs_once_despite_a_takeover() {
    model(|gates, store| {
        let queued = lead(gates, store).queue();
        let caller = ModelPort::new(gates, store);
        let caller = thread::spawn(|| caller.block());
        assert!(matches!(run(gates, store, queued), None | Some(10)));
        assert_eq!(caller.join().unwrap(), Ok(10));
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn queued_creation_dropped_during_a_takeover_is_created() {
    model(|gates, store| {
        let queued = lead(gates, store).queue();
        let caller = ModelPort::new(gates, store);
        let caller = thread::spawn(|| caller.block());
        drop(queued);
        assert_eq!(caller.join().unwrap(), Ok(10));
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn queued_creation_dropped_and_taken_over_twice_runs_once() {
    bounded_model(|gates, store| {
        let queued = lead(gates, store).queue();
        let callers = [(); 2].map(|()| {
            let caller = ModelPort::new(gates, store);
            thread::spawn(|| caller.block())
        });
        drop(queued);
        assert_eq!(callers.map(|caller| caller.join().unwrap()), [Ok(10); 2]);
        assert_eq!(store.created(), 1);
    });
}

#[test]
fn canceled_waiter_leaves_a_queued_creation_to_the_next() {
    bounded_model(|gates, store| {
        let leadership = lead(gates, store);
        let mut chosen = task(ModelPort::new(gates, store));
        poll_once(chosen.as_mut());
        let next = task(ModelPort::new(gates, store));
        let next = thread::spawn(|| drive(next));
        let canceling = thread::spawn(|| drop(chosen));
        let queued = leadership.queue();
        canceling.join().unwrap();
        // The runner may wait for this very caller. Nothing runs the job before it is done.
        assert_eq!(next.join().unwrap(), Ok(10));
        drop(queued);
    });
}

#[test]
fn queued_creation_dropped_with_its_last_waiter_leaves_no_gate() {
    model(|gates, store| {
        let leadership = lead(gates, store);
        let mut waiter = task(ModelPort::new(gates, store));
        poll_once(waiter.as_mut());
        let queued = leadership.queue();
        let canceling = thread::spawn(|| drop(waiter));
        drop(queued);
        canceling.join().unwrap();
    });
}
