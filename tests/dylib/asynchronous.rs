//! Asynchronous calls end as they should, whether their backend is linked or loaded.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use dogpile::Registry;
use dogpile::sdk::{
    Arguments, BackendError, CacheBackend, CachedValue, CreationTime, Entry, ErrorKind, Metadata,
    MutexOperations, Object, Operations, Payload, Pending, StoreOptions, ValueProxy, value_proxy,
};
use dogpile_tests::threads::{block_on, bounded};
use fixture_asynchronous::{CANCELED, HELD};

use super::logging::Lines;
use super::{loaded, told};

const NAME: &str = "fixture.async";
const PLUGIN: &str = "fixture-asynchronous";

/// One of the two copies of the plugin.
struct Copy {
    backend: Arc<dyn CacheBackend>,
    operations: Arc<dyn Operations>,
    is_loaded: bool,
}

impl Copy {
    fn new(backend: Arc<dyn CacheBackend>, is_loaded: bool) -> Self {
        let operations = backend.operations().expect("the backend has asynchronous calls");
        Copy { backend, operations, is_loaded }
    }

    fn get(&self, key: &str) -> Pending<Option<CachedValue>> {
        Pending::begin(|completion| self.operations.begin_get(key, completion))
    }

    fn set(&self, key: &str, value: CachedValue) -> Pending<()> {
        Pending::begin(|completion| self.operations.begin_set(key, value, &StoreOptions::new(), completion))
    }

    fn delete(&self, key: &str) -> Pending<()> {
        Pending::begin(|completion| self.operations.begin_delete(key, completion))
    }

    /// Lets the held calls go on, and returns when they have ended.
    fn release_held_calls(&self) {
        self.backend.delete(HELD).unwrap();
    }

    fn cancellations(&self) -> String {
        let value = self.backend.get(CANCELED).unwrap().unwrap();
        String::from_utf8(value.payload.as_bytes().unwrap().to_vec()).unwrap()
    }

    fn mutex(&self, key: &str) -> Arc<dyn MutexOperations> {
        self.backend.get_mutex(key).unwrap().operations().expect("the mutex has asynchronous calls")
    }
}

/// Runs `test` on a linked and on a loaded copy of the plugin.
fn on_both_copies(test: impl Fn(&Copy) + Send + 'static) {
    bounded(move || {
        test(&Copy::new(linked(), false));
        test(&Copy::new(loaded(PLUGIN, NAME), true));
    });
}

fn linked() -> Arc<dyn CacheBackend> {
    Registry::new().build_backend(NAME, Arguments::default()).unwrap()
}

pub(crate) fn value(text: &str) -> CachedValue {
    let payload = Payload::Bytes(text.as_bytes().to_vec().into());
    CachedValue { payload, metadata: Metadata::new(CreationTime::from_seconds(1.0)) }
}

/// Returns the outcome that has arrived, without waiting.
fn outcome<T>(pending: Pending<T>) -> Option<Result<T, BackendError>> {
    match pin!(pending).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn error_of(copy: &Copy, key: &str) -> BackendError {
    block_on(copy.get(key)).unwrap_err()
}

#[test]
fn every_call_completes_inline_and_later() {
    on_both_copies(|copy| {
        for ending in ["inline", "later"] {
            let (first, second) = (&*format!("{ending}:a"), &*format!("{ending}:b"));
            assert!(block_on(copy.get(first)).unwrap().is_none());
            block_on(copy.set(first, value("1"))).unwrap();
            assert_eq!(block_on(copy.get(first)).unwrap(), Some(value("1")));
            let entries = vec![Entry::new(first, value("2")), Entry::new(second, value("3"))];
            block_on(Pending::begin(|done| copy.operations.begin_set_multi(entries, done))).unwrap();
            let keys = [second, "missing", first];
            let get =
                || block_on(Pending::begin(|done| copy.operations.begin_get_multi(&keys, done))).unwrap();
            assert_eq!(get(), [Some(value("3")), None, Some(value("2"))]);
            block_on(copy.delete(first)).unwrap();
            assert_eq!(get(), [Some(value("3")), None, None]);
            block_on(Pending::begin(|done| copy.operations.begin_delete_multi(&keys, done))).unwrap();
            assert_eq!(get(), [None, None, None]);
        }
    });
}

#[test]
fn inline_outcome_is_there_at_the_first_poll() {
    on_both_copies(|copy| {
        outcome(copy.set("inline:a", value("1"))).unwrap().unwrap();
        assert_eq!(outcome(copy.get("inline:a")).unwrap().unwrap(), Some(value("1")));
    });
}

#[test]
fn held_call_completes_once_released() {
    on_both_copies(|copy| {
        copy.backend.set("held:a", value("1"), &StoreOptions::new()).unwrap();
        let mut pending = copy.get("held:a");
        let polled = pin!(&mut pending).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        copy.release_held_calls();
        assert_eq!(block_on(pending).unwrap(), Some(value("1")));
        assert_eq!(copy.cancellations(), "0");
    });
}

#[test]
fn error_of_the_backend_is_the_outcome() {
    on_both_copies(|copy| {
        let error = error_of(copy, "error");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(told(&error).contains("planted failure"), "{}", told(&error));
        assert_eq!(error.operation(), copy.is_loaded.then_some("get"));
    });
}

#[test]
fn dropped_completion_is_an_error() {
    on_both_copies(|copy| {
        for key in ["dropped", "dropped_later"] {
            let error = error_of(copy, key);
            assert_eq!(error.kind(), ErrorKind::Dropped, "{}", told(&error));
        }
    });
}

#[test]
fn panic_of_a_call_is_an_error_with_its_message() {
    on_both_copies(|copy| {
        let error = error_of(copy, "panic");
        assert_eq!(error.kind(), ErrorKind::Panicked, "{}", told(&error));
        let text = told(&error);
        assert!(text.contains("planted panic at the call"), "{text}");
        assert_eq!(text.contains(PLUGIN), copy.is_loaded, "{text}");
    });
}

#[test]
fn panic_of_the_plugins_thread_is_an_error() {
    on_both_copies(|copy| {
        let error = error_of(copy, "panic_later");
        assert_eq!(error.kind(), ErrorKind::Panicked, "{}", told(&error));
        assert!(block_on(copy.get("later:a")).unwrap().is_none(), "the thread works on");
    });
}

#[test]
fn second_outcome_is_ignored_and_logged() {
    on_both_copies(|copy| {
        let (lines, _recording) = Lines::record();
        copy.backend.set("twice", value("1"), &StoreOptions::new()).unwrap();
        assert_eq!(block_on(copy.get("twice")).unwrap(), Some(value("1")));
        let logged = lines.take();
        assert!(logged.contains("WARN") && logged.contains("second outcome"), "{logged}");
        assert!(logged.contains("planted panic after the outcome"), "{logged}");
    });
}

#[test]
fn dropped_future_cancels_and_its_late_value_is_dropped() {
    on_both_copies(|copy| {
        let stored = Arc::new(7);
        let payload = Payload::Object(Object::new(Arc::clone(&stored)));
        copy.backend.set("held:a", CachedValue { payload, ..value("") }, &StoreOptions::new()).unwrap();
        drop(copy.get("held:a"));
        assert_eq!(copy.cancellations(), "1");
        copy.release_held_calls();
        copy.backend.delete("held:a").unwrap();
        assert_eq!(Arc::strong_count(&stored), 1, "the late value is still held somewhere");
    });
}

#[test]
fn future_with_an_outcome_does_not_cancel() {
    on_both_copies(|copy| {
        let pending = copy.get("held:a");
        copy.release_held_calls();
        drop(pending);
        assert_eq!(copy.cancellations(), "0");
    });
}

#[test]
fn panic_of_cancel_is_contained() {
    on_both_copies(|copy| {
        drop(copy.get("held_uncancelable"));
        copy.release_held_calls();
        assert!(block_on(copy.get("inline")).unwrap().is_none());
    });
}

#[test]
fn dropped_backend_ends_its_held_calls() {
    bounded(|| {
        for backend in [linked(), loaded(PLUGIN, NAME)] {
            let operations = backend.operations().unwrap();
            let pending = Pending::begin(|completion| operations.begin_delete("held:a", completion));
            drop((backend, operations));
            assert_eq!(block_on(pending).unwrap_err().kind(), ErrorKind::Dropped);
        }
    });
}

#[test]
fn mutex_is_acquired_and_released_asynchronously() {
    on_both_copies(|copy| {
        for key in ["inline:m", "later:m"] {
            let mutex = copy.mutex(key);
            let acquire = || block_on(Pending::begin(|done| mutex.begin_try_acquire(done))).unwrap();
            assert!(acquire() && !acquire());
            let again = Pending::begin(|done| mutex.begin_acquire_until(Instant::now(), done));
            assert!(!block_on(again).unwrap());
            let release = || block_on(Pending::begin(|done| mutex.begin_release(done)));
            release().unwrap();
            assert_eq!(release().unwrap_err().kind(), ErrorKind::NotHeld);
        }
    });
}

#[test]
fn mutex_acquired_after_a_cancellation_is_released() {
    on_both_copies(|copy| {
        let mutex = copy.backend.get_mutex("held:m").unwrap();
        let (operations, late) = (mutex.operations().unwrap(), Arc::clone(&mutex));
        let acquiring = Pending::begin(|completion| operations.begin_try_acquire(completion));
        drop(acquiring.when_late(move |acquired| assert!(acquired && late.release().is_ok())));
        assert!(!mutex.locked().unwrap(), "it is not acquired yet");
        copy.release_held_calls();
        assert!(!mutex.locked().unwrap(), "the late mutex was not released");
        assert!(mutex.try_acquire().unwrap());
    });
}

/// Stores the bytes of each value in reverse, and panics for values that begin with `!`.
#[derive(Debug)]
struct Reversed(Arc<dyn CacheBackend>);

impl ValueProxy for Reversed {
    fn proxied(&self) -> &dyn CacheBackend {
        &*self.0
    }

    fn encode(&self, _key: &str, value: CachedValue) -> Result<CachedValue, BackendError> {
        let refused = || BackendError::new(ErrorKind::InvalidValue, "cannot reverse an object");
        let reversed: Vec<u8> = value.payload.as_bytes().ok_or_else(refused)?.iter().rev().copied().collect();
        Ok(CachedValue { payload: Payload::Bytes(reversed.into()), ..value })
    }

    fn decode(&self, key: &str, value: CachedValue) -> Result<Option<CachedValue>, BackendError> {
        let bytes = value.payload.as_bytes().map(|bytes| bytes.to_vec());
        assert!(!bytes.unwrap_or_default().starts_with(b"!"), "planted panic while decoding");
        self.encode(key, value).map(Some)
    }
}

#[test]
fn value_proxy_transforms_asynchronous_calls() {
    on_both_copies(|copy| {
        let proxy = Copy::new(value_proxy(Reversed(Arc::clone(&copy.backend))), copy.is_loaded);
        for (first, second) in [("inline:a", "inline:b"), ("later:a", "later:b")] {
            block_on(proxy.set(first, value("tea"))).unwrap();
            assert_eq!(block_on(copy.get(first)).unwrap(), Some(value("aet")));
            assert_eq!(block_on(proxy.get(first)).unwrap(), Some(value("tea")));
            let entries = vec![Entry::new(second, value("milk"))];
            block_on(Pending::begin(|done| proxy.operations.begin_set_multi(entries, done))).unwrap();
            let keys = [second, "missing"];
            let found = Pending::begin(|done| proxy.operations.begin_get_multi(&keys, done));
            assert_eq!(block_on(found).unwrap(), [Some(value("milk")), None]);
            block_on(proxy.delete(first)).unwrap();
            assert!(block_on(copy.get(first)).unwrap().is_none());
        }
    });
}

#[test]
fn failure_of_a_value_proxy_is_the_outcome() {
    on_both_copies(|copy| {
        let proxy = Copy::new(value_proxy(Reversed(Arc::clone(&copy.backend))), copy.is_loaded);
        let payload = Payload::Object(Object::new(7));
        let refused = block_on(proxy.set("inline:a", CachedValue { payload, ..value("") })).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidValue);
        for key in ["inline:a", "later:a"] {
            copy.backend.set(key, value("!"), &StoreOptions::new()).unwrap();
            assert_eq!(error_of(&proxy, key).kind(), ErrorKind::Panicked);
        }
    });
}

#[test]
fn proxy_has_no_asynchronous_calls_by_default() {
    let backend = loaded(PLUGIN, NAME);
    let registry = super::registry_of(&["acme-dogpile-dylib"]);
    let proxy = registry.build_proxy("acme.hit_counter", Arguments::default(), backend).unwrap();
    assert!(proxy.operations().is_none());
    assert!(loaded("dogpile-memory-dylib", super::MEMORY).operations().is_none());
}
