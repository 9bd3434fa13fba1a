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

/// Creates and stores, step by step, so that the writer may come between any two steps. What the creator knows is as
/// old as its call or, if it `sees_old` values, as the reading.
fn create(gates: &Arc<Gates>, store: &Arc<Store>, phase: &AtomicU32, sees_old: bool) {
    let mut leadership = lead(gates, store);
    leadership.begin_reading();
    let at_reading = phase.load(SeqCst);
    leadership.begin_creation(CreationTime::from_seconds(1.0), &Creation::new(false), sees_old);
    let known = if sees_old { at_reading } else { phase.load(SeqCst) };
    if leadership.begin_store() {
        // The value is as new as the writer's, or the writer waits.
        let at_store = [phase.load(SeqCst), phase.load(SeqCst)];
        assert_eq!(at_store, [known; 2], "the store overwrites a newer value");
        assert_ne!(known, WRITES, "the creation stores within a write");
    }
    leadership.open_empty();
}

#[test]
fn creation_never_overwrites_a_writer() {
    model(|gates, store| {
        let phase = Shared::new(AtomicU32::new(0));
        let (writers_gates, writers_phase) = (Arc::clone(gates), Shared::clone(&phase));
        let writer = thread::spawn(move || write(&writers_gates, &writers_phase));
        create(gates, store, &phase, false);
        writer.join().unwrap();
    });
}

#[test]
fn creation_by_an_old_value_never_overwrites_a_writer() {
    model(|gates, store| {
        let phase = Shared::new(AtomicU32::new(0));
        let (writers_gates, writers_phase) = (Arc::clone(gates), Shared::clone(&phase));
        let writer = thread::spawn(move || write(&writers_gates, &writers_phase));
        create(gates, store, &phase, true);
        writer.join().unwrap();
    });
}

#[test]
fn canceled_store_lets_the_writer_go_on() {
    model(|gates, store| {
        let leadership = lead(gates, store);
        leadership.begin_creation(CreationTime::from_seconds(1.0), &Creation::new(false), false);
        assert!(leadership.begin_store());
        let in_progress = leadership.store_in_progress();
        let writers_gates = Arc::clone(gates);
        let writer = thread::spawn(move || write(&writers_gates, &AtomicU32::new(0)));
        drop(leadership);
        drop(in_progress);
        writer.join().unwrap();
    });
}

#[test]
fn writer_and_waiter_of_a_canceled_store_go_on() {
    super::bounded_model(|gates, store| {
        let leadership = lead(gates, store);
        leadership.begin_creation(CreationTime::from_seconds(1.0), &Creation::new(false), false);
        assert!(leadership.begin_store());
        let in_progress = leadership.store_in_progress();
        let writers_gates = Arc::clone(gates);
        let writer = thread::spawn(move || write(&writers_gates, &AtomicU32::new(0)));
        let waiter = ModelPort::new(gates, store);
        let waiter = thread::spawn(|| waiter.block());
        drop(leadership);
        drop(in_progress);
        writer.join().unwrap();
        assert_eq!(waiter.join().unwrap(), Ok(10));
    });
}
