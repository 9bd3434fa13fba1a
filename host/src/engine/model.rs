//! The gates under loom, which tries the orders in which threads can meet:
//! `RUSTFLAGS="--cfg dogpile_loom" cargo test --release -p dogpile --lib engine::model`.
//!
//! Models of two threads try all orders. Models of three or more try those with at most [`PREEMPTIONS`] preemptions,
//! which is where nearly all known races show, so that all models together end within a minute or two.

mod creations;
mod handoffs;
mod port;
mod writers;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use self::port::{ModelPort, Store};
use super::arrival::Arrival;
use super::leadership::Leadership;
use super::{Gates, Port};

/// How often a thread of a larger model is interrupted while it could go on.
const PREEMPTIONS: usize = 3;

/// Runs `work` in all orders, and checks that it leaves no gate behind.
fn model(work: impl Fn(&Arc<Gates>, &Arc<Store>) + Send + Sync + 'static) {
    check(loom::model::Builder::new(), work);
}

/// Runs `work`, which has three threads or more, in the orders with few preemptions.
fn bounded_model(work: impl Fn(&Arc<Gates>, &Arc<Store>) + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    check(builder, work);
}

fn check(builder: loom::model::Builder, work: impl Fn(&Arc<Gates>, &Arc<Store>) + Send + Sync + 'static) {
    builder.check(move || {
        let (gates, store) = (Arc::new(Gates::new(drop)), Arc::new(Store::default()));
        work(&gates, &store);
        assert_eq!(gates.len(), 0, "a gate is left");
        assert_eq!(Arc::strong_count(&gates), 1, "a waiter or leader is left");
    });
}

/// A call as a task, which a model polls by hand or runs to its end.
type Task = Pin<Box<dyn Future<Output = Result<u32, &'static str>> + Send>>;

fn task(port: ModelPort<true>) -> Task {
    Box::pin(super::asynchronous::drive(port.get()))
}

/// Polls `task`, which must wait, with a waker that does nothing.
fn poll_once<F: Future + ?Sized>(task: Pin<&mut F>) {
    assert!(task.poll(&mut Context::from_waker(Waker::noop())).is_pending(), "the task must wait");
}

/// Leads the key of all models.
fn lead(gates: &Arc<Gates>, store: &Arc<Store>) -> Leadership {
    let port = ModelPort::<false>::new(gates, store);
    match gates.arrive(&port.key(0), Instant::now(), true) {
        Arrival::Leads(leadership) => leadership,
        Arrival::Closed(_) => unreachable!("no other caller leads"),
    }
}
