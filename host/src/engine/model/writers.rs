//! A `set` that races with a creation.

use std::borrow::Cow;
use std::future::pending;
use std::sync::Arc;

use loom::sync::Arc as Shared;
use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::thread;

use dogpile_sdk::CreationTime;

use super::port::{ModelPort, Store};
use super::{lead, model};
use crate::engine::Gates;
use crate::engine::blocking::drive;
use crate::engine::creation::Creation;

/// How far the writer is.
const WRITES: u32 = 1;
const WROTE: u32 = 2;

fn write(gates: &Arc<Gates>, phase: &AtomicU32) {
    let mut writing = gates.write([Cow::Borrowed("key")]);
    if writing.must_wait() {
        drive(writing.stored(pending()));
    }
    phase.store(WRITES, SeqCst);
    phase.store(WROTE, SeqCst);
    drop(writing);
}

/// Creates and stores, step by step, so that the writer may come between any two steps.
fn create(gates: &Arc<Gates>, store: &Arc<Store>, phase: &AtomicU32) {
    let mut leadership = lead(gates, store);
    leadership.begin_reading();
    leadership.begin_creation(CreationTime::from_seconds(1.0), &Creation::new(false));
    let at_creator = phase.load(SeqCst);
    if leadership.begin_store() {
        // The value is as new as the writer's, or the writer waits.
        let at_store = [phase.load(SeqCst), phase.load(SeqCst)];
        assert_eq!(at_store, [at_creator; 2], "the store overwrites a newer value");
        assert_ne!(at_creator, WRITES, "the creation stores within a write");
    }
    leadership.open_empty();
}

#[test]
fn creation_never_overwrites_a_writer() {
    model(|gates, store| {
        let phase = Shared::new(AtomicU32::new(0));
        let (writers_gates, writers_phase) = (Arc::clone(gates), Shared::clone(&phase));
        let writer = thread::spawn(move || write(&writers_gates, &writers_phase));
        create(gates, store, &phase);
        writer.join().unwrap();
    });
}

#[test]
fn canceled_store_lets_the_writer_go_on() {
    model(|gates, store| {
        let leadership = lead(gates, store);
        leadership.begin_creation(CreationTime::from_seconds(1.0), &Creation::new(false));
        assert!(leadership.begin_store());
        let writers_gates = Arc::clone(gates);
        let writer = thread::spawn(move || write(&writers_gates, &AtomicU32::new(0)));
        drop(leadership);
        writer.join().unwrap();
    });
}

#[test]
fn writer_and_waiter_of_a_canceled_store_go_on() {
    super::bounded_model(|gates, store| {
        let leadership = lead(gates, store);
        leadership.begin_creation(CreationTime::from_seconds(1.0), &Creation::new(false));
        assert!(leadership.begin_store());
        let writers_gates = Arc::clone(gates);
        let writer = thread::spawn(move || write(&writers_gates, &AtomicU32::new(0)));
        let waiter = ModelPort::new(gates, store);
        let waiter = thread::spawn(|| waiter.block());
        drop(leadership);
        writer.join().unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(10));
    });
}
