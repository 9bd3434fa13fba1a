//! Asynchronous backends on a tokio runtime of their own.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

#[path = "on_tokio/calls.rs"]
mod calls;
#[path = "on_tokio/drawer.rs"]
mod drawer;
#[path = "on_tokio/leases.rs"]
mod leases;
#[path = "on_tokio/lifetime.rs"]
mod lifetime;
#[path = "on_tokio/mutexes.rs"]
mod mutexes;
#[path = "on_tokio/other_runtimes.rs"]
mod other_runtimes;

use std::fmt::Debug;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use dogpile_sdk::{
    BackendError, Bytes, CachedValue, Completion, CreationTime, Metadata, OnTokio, Payload, Running,
};

use self::drawer::{Control, Drawer};

/// The longest time that a test waits for an event.
const LIMIT: Duration = Duration::from_secs(30);

/// Returns a backend with `threads` threads, and what controls it.
fn start(threads: usize) -> (OnTokio<Drawer>, Control) {
    let control = Control::default();
    let drawer = control.clone();
    (OnTokio::start(threads, move || Drawer::build(drawer.clone())).unwrap(), control)
}

fn value(text: &str) -> CachedValue {
    let payload = Payload::Bytes(Bytes::from(text.as_bytes()));
    CachedValue { payload, metadata: Metadata::new(CreationTime::from_seconds(1.0)) }
}

/// Begins a call, and returns it with its outcomes.
fn begun<T: Send + 'static>(
    begin: impl FnOnce(Completion<T>) -> Running,
) -> (Running, Receiver<Result<T, BackendError>>) {
    let (sender, outcomes) = mpsc::channel();
    let running = begin(Completion::new(move |outcome| {
        let _ = sender.send(outcome);
    }));
    (running, outcomes)
}

/// Returns the only outcome of a call.
fn only<T: Debug>(outcomes: &Receiver<Result<T, BackendError>>) -> Result<T, BackendError> {
    let outcome = outcomes.recv_timeout(LIMIT).expect("the call ends");
    let second = outcomes.recv_timeout(LIMIT);
    assert!(second.is_err_and(|error| error == mpsc::RecvTimeoutError::Disconnected), "a second outcome");
    outcome
}
