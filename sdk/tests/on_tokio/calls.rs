//! The outcomes of calls: values, errors, panics, timeouts, and cancellations.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use dogpile_sdk::{
    Arguments, AsyncBytesBackend, BackendEntry, BackendError, CacheBackend, CachedValue, Entry, ErrorKind,
    Fence, NoArguments, Object, OnTokio, Payload, StoreOptions,
};

use super::drawer::until;
use super::{begun, only, start, value};

#[test]
fn blocking_calls_store_and_return_values() {
    let (backend, control) = start(1);
    assert_eq!(backend.get("a").unwrap(), None);
    backend.set("a", value("1"), &StoreOptions::new()).unwrap();
    assert_eq!(control.kept.lock().unwrap()["a"], br#"{"ct": 1.0, "v": 2}|1"#);
    assert_eq!(backend.get("a").unwrap(), Some(value("1")));
    backend.set_multi(vec![Entry::new("a", value("2")), Entry::new("b", value("3"))]).unwrap();
    assert_eq!(backend.get_multi(&["b", "c", "a"]).unwrap(), [Some(value("3")), None, Some(value("2"))]);
    backend.delete("a").unwrap();
    backend.delete_multi(&["b", "c"]).unwrap();
    assert_eq!(backend.get_multi(&["a", "b"]).unwrap(), [None, None]);
    assert_eq!(backend.health().unwrap_err().kind(), ErrorKind::Unavailable);
    backend.close().unwrap();
}

#[test]
fn asynchronous_calls_store_and_return_values() {
    let (backend, _control) = start(2);
    let calls = backend.operations().unwrap();
    let options = StoreOptions::new();
    only(&begun(|done| calls.begin_set("a", value("1"), &options, done)).1).unwrap();
    assert_eq!(only(&begun(|done| calls.begin_get("a", done)).1).unwrap(), Some(value("1")));
    let entries = vec![Entry::new("a", value("2")), Entry::new("b", value("3"))];
    only(&begun(|done| calls.begin_set_multi(entries, done)).1).unwrap();
    let found = only(&begun(|done| calls.begin_get_multi(&["b", "c", "a"], done)).1).unwrap();
    assert_eq!(found, [Some(value("3")), None, Some(value("2"))]);
    only(&begun(|done| calls.begin_delete("a", done)).1).unwrap();
    only(&begun(|done| calls.begin_delete_multi(&["b", "c"], done)).1).unwrap();
    assert_eq!(backend.get_multi(&["a", "b"]).unwrap(), [None, None]);
}

#[test]
fn unreadable_bytes_are_a_miss() {
    let (backend, control) = start(1);
    control.kept.lock().unwrap().insert("a".to_owned(), b"foreign".to_vec());
    assert_eq!(backend.get("a").unwrap(), None);
    assert_eq!(backend.get_multi(&["a"]).unwrap(), [None]);
}

#[test]
fn object_cannot_be_stored() {
    let (backend, _control) = start(1);
    let object = || CachedValue { payload: Payload::Object(Object::new(1)), ..value("") };
    let error = backend.set("a", object(), &StoreOptions::new()).unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::InvalidValue, Some("a")));
    let error = backend.set_multi(vec![Entry::new("b", object())]).unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::InvalidValue, Some("b")));
}

#[test]
fn default_set_multi_stores_values_whose_fence_holds() {
    let (backend, _control) = start(1);
    let fenced = StoreOptions::new().with_fence(Fence::new(&b"token"[..]));
    let entries = vec![Entry::new("a", value("1")).with_options(fenced), Entry::new("b", value("2"))];
    assert_eq!(backend.set_multi(entries).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(backend.get_multi(&["a", "b"]).unwrap(), [None, Some(value("2"))]);
}

#[test]
fn panic_is_an_error_with_its_message() {
    let (backend, _control) = start(1);
    let calls = backend.operations().unwrap();
    let blocking = backend.get("panic").unwrap_err();
    let begun = only(&begun(|done| calls.begin_get("panic", done)).1).unwrap_err();
    for error in [blocking, begun] {
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Panicked, Some("get")));
        assert_eq!(error.to_string(), "the backend panicked: panic requested by key panic");
    }
    assert_eq!(backend.get("a").unwrap(), None, "the thread works on");
}

#[test]
fn canceled_call_is_dropped_and_completes_once() {
    let (backend, control) = start(1);
    let calls = backend.operations().unwrap();
    let (running, outcomes) = begun(|done| calls.begin_get("gate", done));
    until("the call waits", || control.waiting.load(SeqCst) == 1);
    running.cancel();
    assert_eq!(only(&outcomes).unwrap_err().kind(), ErrorKind::Dropped);
    assert_eq!(control.dropped.load(SeqCst), 1);
    control.open();
    assert_eq!(backend.get("gate").unwrap(), None);
}

#[test]
fn cancellation_after_the_outcome_has_no_effect() {
    let (backend, _control) = start(1);
    let calls = backend.operations().unwrap();
    let (running, outcomes) = begun(|done| calls.begin_get("a", done));
    assert_eq!(only(&outcomes).unwrap(), None);
    running.cancel();
    assert_eq!(backend.get("a").unwrap(), None);
}

#[test]
fn dropping_running_does_not_cancel() {
    let (backend, control) = start(1);
    let calls = backend.operations().unwrap();
    let (running, outcomes) = begun(|done| calls.begin_get("gate", done));
    drop(running);
    control.open();
    assert_eq!(only(&outcomes).unwrap(), None);
}

#[test]
fn call_that_exceeds_its_limit_times_out() {
    let (backend, control) = start(1);
    let backend = backend.with_call_timeout(Duration::from_millis(50));
    let calls = backend.operations().unwrap();
    let blocking = backend.get("gate").unwrap_err();
    let begun = only(&begun(|done| calls.begin_get("gate", done)).1).unwrap_err();
    for error in [blocking, begun] {
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, Some("get")));
        assert_eq!(error.to_string(), "the backend did not complete the call within 50ms");
    }
    assert_eq!(control.dropped.load(SeqCst), 2);
}

/// A future that blocks its thread does not notice the limit, but its caller does.
#[test]
fn blocking_call_ends_though_the_runtime_is_blocked() {
    #[derive(Debug)]
    struct Blocks;

    impl AsyncBytesBackend for Blocks {
        async fn get(&self, _key: &str) -> Result<Option<Vec<u8>>, BackendError> {
            thread::sleep(Duration::from_secs(3));
            Ok(None)
        }
        async fn set(&self, _: &str, _: Vec<u8>, _: &StoreOptions) -> Result<(), BackendError> {
            Ok(())
        }
        async fn delete(&self, _key: &str) -> Result<(), BackendError> {
            Ok(())
        }
    }

    let backend = OnTokio::start(1, async || Ok(Blocks)).unwrap();
    let backend = backend.with_call_timeout(Duration::from_millis(10));
    assert_eq!(backend.get("a").unwrap_err().kind(), ErrorKind::Timeout);
}

#[test]
fn threads_make_calls_at_once() {
    let (backend, control) = start(1);
    thread::scope(|scope| {
        let waits = scope.spawn(|| backend.get("gate").unwrap());
        until("the first call waits", || control.waiting.load(SeqCst) == 1);
        assert_eq!(backend.get("a").unwrap(), None, "the only thread of the runtime serves both");
        control.open();
        assert_eq!(waits.join().unwrap(), None);
    });
    thread::scope(|scope| {
        for thread in 0..2 {
            let backend = &backend;
            scope.spawn(move || {
                for number in 0..200 {
                    let key = format!("{thread}:{number}");
                    backend.set(&key, value(&key), &StoreOptions::new()).unwrap();
                    assert_eq!(backend.get(&key).unwrap(), Some(value(&key)));
                }
            });
        }
    });
}

#[test]
fn capabilities_are_those_of_a_store_of_bytes() {
    let (backend, _control) = start(1);
    let capabilities = backend.capabilities();
    assert_eq!((capabilities.serializer.as_deref(), capabilities.immediate), (Some("json"), false));
}

dogpile_sdk::register_backend! {
    name: "test.drawer",
    config: NoArguments,
    build: |_| OnTokio::start(1, || super::Drawer::build(super::Control::default())),
}

#[test]
fn registered_backend_is_built_by_its_name() {
    let entry = BackendEntry::linked().find(|entry| entry.name == "test.drawer").unwrap();
    let backend = (entry.build)(Arguments::default()).unwrap();
    backend.set("a", value("1"), &StoreOptions::new()).unwrap();
    assert_eq!(backend.get("a").unwrap(), Some(value("1")));
    assert!(backend.operations().is_some());
}
