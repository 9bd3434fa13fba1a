//! How a backend starts, and how its runtime ends.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::thread;

use dogpile_sdk::{BackendError, CacheBackend, Completion, ErrorKind, OnTokio, Running};

use super::drawer::{Control, Drawer, until};
use super::{LIMIT, begun, only, start};

/// Returns the error of a start whose constructor is `build`.
fn failure<F>(build: impl Fn() -> F + Send + Sync + 'static) -> BackendError
where
    F: Future<Output = Result<Drawer, BackendError>> + Send + 'static,
{
    OnTokio::start(1, build).unwrap_err()
}

#[test]
fn error_of_the_constructor_is_returned() {
    let error = failure(async || Err(BackendError::new(ErrorKind::Configuration, "no such drawer")));
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Configuration, "no such drawer"));
}

#[test]
fn panic_of_the_constructor_is_an_error() {
    let error = failure(async || panic!("a planted panic"));
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert_eq!(error.to_string(), "the backend panicked: a planted panic");
}

#[test]
fn runtime_without_threads_is_refused() {
    let error = OnTokio::start(0, || Drawer::build(Control::default())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(error.to_string(), "cannot start a tokio runtime with 0 threads: expected at least 1");
}

#[test]
fn backend_is_built_once_in_a_process() {
    let (backend, control) = start(2);
    backend.get_multi(&["a", "b"]).unwrap();
    assert_eq!(control.built.load(SeqCst), 1);
    assert_eq!(format!("{backend:?}").split('(').next(), Some("OnTokio"));
}

#[test]
fn dropping_the_backend_ends_calls_in_flight() {
    let (backend, control) = start(2);
    let calls = backend.operations().unwrap();
    let pending: Vec<_> = (0..10).map(|_| begun(|done| calls.begin_get("gate", done))).collect();
    until("the calls wait", || control.waiting.load(SeqCst) == 10);
    drop((backend, calls));
    for (_running, outcomes) in pending {
        assert_eq!(only(&outcomes).unwrap_err().kind(), ErrorKind::Dropped);
    }
    until("the futures are dropped", || control.dropped.load(SeqCst) == 10);
}

/// Completes a call on a thread of the runtime, and does `work` there, to which the backend belongs. Returns its result.
pub(super) fn on_own_thread<R: Send + 'static>(
    backend: OnTokio<Drawer>,
    work: impl FnOnce(OnTokio<Drawer>) -> R + Send + 'static,
) -> R {
    let calls = backend.operations().unwrap();
    let (sender, result) = mpsc::channel();
    let (tell_begun, begun) = mpsc::channel();
    let _running: Running = calls.begin_get(
        "a",
        Completion::new(move |_| {
            assert_eq!(thread::current().name(), Some("dogpile-tokio"));
            // The test drops its own part first.
            begun.recv().unwrap();
            let _ = sender.send(work(backend));
        }),
    );
    drop(calls);
    tell_begun.send(()).unwrap();
    result.recv_timeout(LIMIT).expect("the completion ran")
}

#[test]
fn last_owner_may_die_on_a_thread_of_the_runtime() {
    for threads in [1, 2] {
        let (backend, control) = start(threads);
        let shared = Arc::new(backend.operations().unwrap());
        let weak = Arc::downgrade(&shared);
        on_own_thread(backend, move |backend| drop((backend, shared)));
        assert!(weak.upgrade().is_none());
        until("the backend is dropped", || Control::strong_count(&control) == 1);
    }
}

#[test]
fn blocking_call_on_the_only_thread_of_the_runtime_returns() {
    let (backend, _control) = start(1);
    let found = on_own_thread(backend, |backend| {
        let mutex = backend.get_mutex("b").unwrap();
        assert!(mutex.try_acquire().unwrap());
        mutex.release().unwrap();
        backend.get("b").unwrap()
    });
    assert_eq!(found, None);
}

#[test]
fn panic_of_the_completion_leaves_the_backend_usable() {
    let (backend, _control) = start(1);
    let calls = backend.operations().unwrap();
    let (sender, receiver) = mpsc::channel();
    let _running = calls.begin_get(
        "a",
        Completion::new(move |_| {
            let _ = sender.send(());
            std::panic::resume_unwind(Box::new("the host panicked"));
        }),
    );
    receiver.recv_timeout(LIMIT).expect("the completion ran");
    assert_eq!(backend.get("a").unwrap(), None);
}
