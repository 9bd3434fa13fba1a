//! Errors and panics.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::{iter, thread};

use dogpile_sdk::{Entry, ErrorKind, Object, Payload, StoreOptions};

use crate::{bytes, crossed, object, value};

#[test]
fn error_crosses_with_its_parts() {
    let error = crossed().get("error").expect_err("the key plants an error");
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unavailable, "the shelf is away"));
    assert_eq!((error.operation(), error.key()), (Some("look"), Some("error")));
    assert_eq!((error.server(), error.argument()), (Some("shelf:1"), Some("size")));
    let causes: Vec<String> = iter::successors(std::error::Error::source(&error), |cause| cause.source())
        .map(ToString::to_string)
        .collect();
    assert_eq!(causes, ["the cause"]);
}

#[test]
fn panic_is_an_error_with_its_message() {
    let backend = crossed();
    for (key, message) in [
        ("panic", "planted"),
        ("panic with text", "planted for \"panic with text\""),
        ("panic with a bomb", "a panic without a message"),
    ] {
        let errors = [
            backend.get(key).err(),
            backend.get_with(key, &mut |_| ()).err(),
            backend.get_multi(&["a", key]).err(),
            backend.set(key, bytes(b"1"), &StoreOptions::new()).err(),
            backend.set_multi(vec![Entry::new("a", bytes(b"1")), Entry::new(key, bytes(b"2"))]).err(),
            backend.delete(key).err(),
            backend.delete_multi(&["a", key]).err(),
        ];
        for error in errors {
            let error = error.expect("each call panics");
            assert_eq!(error.kind(), ErrorKind::Panicked);
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}

#[test]
fn panic_with_a_value_in_hand_drops_it() {
    let (backend, shared): (_, Arc<str>) = (crossed(), "tea".into());
    backend.set("panic", object(&shared), &StoreOptions::new()).expect_err("the key plants a panic");
    let entries = ["a", "panic", "b"].map(|key| Entry::new(key, object(&shared)));
    backend.set_multi(entries.into()).expect_err("the key plants a panic");
    assert_eq!(Arc::strong_count(&shared), 2, "\"a\" is stored, and nothing else");
    drop(backend);
    assert_eq!(Arc::strong_count(&shared), 1);
}

#[test]
fn panic_in_a_method_without_errors_returns_its_default() {
    let backend = crossed();
    let mangler = backend.key_mangler().expect("the shelf has one");
    assert_eq!((mangler.mangle("a").as_str(), mangler.mangle("panic").as_str()), ("mangled a", "panic"));
    let mutex = backend.get_mutex("panic").expect("a mutex that returns the error stands for it");
    assert_eq!(mutex.try_acquire().expect_err("there is no mutex").kind(), ErrorKind::Panicked);
}

/// A value of the host whose drop panics.
struct Explosive(Arc<str>);

impl Drop for Explosive {
    fn drop(&mut self) {
        if !thread::panicking() {
            resume_unwind(Box::new("planted"));
        }
    }
}

#[test]
fn panic_of_a_dropped_value_is_contained() {
    let (backend, shared): (_, Arc<str>) = (crossed(), "tea".into());
    for _ in 0..2 {
        let payload = Payload::Object(Object::new(Explosive(Arc::clone(&shared))));
        backend.set("a", value(payload), &StoreOptions::new()).expect("the key plants no failure");
    }
    let found = backend.get("a").expect("the key plants no failure").expect("the key was set");
    let Payload::Object(found) = &found.payload else { panic!("an object became {found:?}") };
    assert_eq!(found.downcast_ref::<Explosive>().map(|explosive| &explosive.0), Some(&shared));
    backend.delete("a").expect("the key plants no failure");
    drop(backend);
}
