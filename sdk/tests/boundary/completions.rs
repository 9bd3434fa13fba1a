//! Asynchronous calls: completions, cancellations, and panics of both sides.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use dogpile_sdk::{
    BackendError, CachedValue, Completion, Entry, ErrorKind, Operations, Pending, StoreOptions,
};

use crate::{bytes, crossed, object};

fn operations() -> Arc<dyn Operations> {
    crossed().operations().expect("the shelf has asynchronous calls")
}

/// Blocks until `future` has its output.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn get(operations: &dyn Operations, key: &str) -> Result<Option<CachedValue>, BackendError> {
    block_on(Pending::begin(|completion| operations.begin_get(key, completion)))
}

fn set(operations: &dyn Operations, key: &str, value: CachedValue) -> Result<(), BackendError> {
    let options = StoreOptions::new();
    block_on(Pending::begin(|completion| operations.begin_set(key, value, &options, completion)))
}

#[test]
fn all_calls_complete_inline_and_later() {
    let (operations, shared): (_, Arc<str>) = (operations(), "tea".into());
    for (first, second) in [("a", "b"), ("later a", "later b")] {
        set(&*operations, first, object(&shared)).expect("the key plants no failure");
        assert!(get(&*operations, first).expect("the key plants no failure").is_some());
        let entries = vec![Entry::new(first, object(&shared)), Entry::new(second, object(&shared))];
        block_on(Pending::begin(|done| operations.begin_set_multi(entries, done)))
            .expect("no key plants a failure");
        let keys = [first, "missing", second];
        let found = block_on(Pending::begin(|done| operations.begin_get_multi(&keys, done)));
        let found = found.expect("no key plants a failure");
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
        block_on(Pending::begin(|done| operations.begin_delete(first, done)))
            .expect("the key plants no failure");
        block_on(Pending::begin(|done| operations.begin_delete_multi(&keys, done)))
            .expect("no key plants a failure");
    }
    assert_eq!(Arc::strong_count(&shared), 1);
}

#[test]
fn failures_arrive_through_the_completion() {
    let operations = operations();
    for (key, kind) in
        [("dropped", ErrorKind::Dropped), ("panic", ErrorKind::Panicked), ("error", ErrorKind::Unavailable)]
    {
        let error = get(&*operations, key).expect_err("the key plants a failure");
        assert_eq!(error.kind(), kind, "{error}");
    }
    let error = get(&*operations, "panic").expect_err("the key plants a panic");
    assert!(error.to_string().contains("planted"), "{error}");
}

#[test]
fn failed_calls_drop_their_values() {
    let (operations, shared): (_, Arc<str>) = (operations(), "tea".into());
    for key in ["dropped", "panic", "error"] {
        set(&*operations, key, object(&shared)).expect_err("the key plants a failure");
        assert_eq!(Arc::strong_count(&shared), 1, "{key}");
    }
}

#[test]
fn panic_after_the_outcome_is_ignored() {
    let operations = operations();
    set(&*operations, "twice", bytes(b"1")).expect("the outcome counts");
    assert_eq!(get(&*operations, "twice").expect("the outcome counts"), Some(bytes(b"1")));
}

/// The host's part of a completion panics on the thread of the plugin.
#[test]
fn panic_of_the_receiver_is_contained() {
    let (operations, shared): (_, Arc<str>) = (operations(), "tea".into());
    set(&*operations, "later a", object(&shared)).expect("the key plants no failure");
    for key in ["a", "later a"] {
        let (called, call) = mpsc::channel();
        let completion = Completion::new(move |outcome: Result<Option<CachedValue>, _>| {
            called.send(outcome.is_ok()).expect("the test still receives");
            resume_unwind(Box::new("planted"))
        });
        drop(operations.begin_get(key, completion));
        assert_eq!(call.recv(), Ok(true));
    }
    block_on(Pending::begin(|done| operations.begin_delete("later a", done)))
        .expect("the key plants no failure");
}

/// The call is canceled, the cancellation panics, and the value still arrives.
#[test]
fn late_value_is_handed_over() {
    let (operations, shared): (_, Arc<str>) = (operations(), "tea".into());
    set(&*operations, "later a", object(&shared)).expect("the key plants no failure");
    let (send, receive) = mpsc::channel();
    let pending = Pending::begin(|completion| operations.begin_get("later a", completion));
    drop(pending.when_late(move |value| send.send(value).expect("the test still receives")));
    assert!(receive.recv().expect("the value arrives").is_some());
}

#[test]
fn mutex_is_acquired_and_released_asynchronously() {
    for key in ["m", "later m"] {
        let mutex = crossed().get_mutex(key).expect("the shelf has mutexes");
        let operations = mutex.operations().expect("the mutex has asynchronous calls");
        let acquired = || block_on(Pending::begin(|done| operations.begin_try_acquire(done)));
        assert!(
            acquired().expect("the key plants no failure") && !acquired().expect("the key plants no failure")
        );
        let again = block_on(Pending::begin(|done| operations.begin_acquire_until(Instant::now(), done)));
        assert!(!again.expect("the key plants no failure"));
        block_on(Pending::begin(|done| operations.begin_release(done))).expect("the key plants no failure");
        assert!(!mutex.locked().expect("the key plants no failure"));
    }
}
