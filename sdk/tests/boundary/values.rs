//! Values, their metadata, and store options.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dogpile_sdk::{
    Attributes, Bytes, CacheBackend, CachedValue, Entry, Fence, Metadata, Payload, StoreOptions,
};

use crate::{bytes, crossed, object, value};

fn set(backend: &dyn CacheBackend, key: &str, value: CachedValue) {
    backend.set(key, value, &StoreOptions::new()).expect("the key plants no failure");
}

fn get(backend: &dyn CacheBackend, key: &str) -> CachedValue {
    backend.get(key).expect("the key plants no failure").expect("the key was set")
}

#[test]
fn objects_come_back_and_are_dropped_once() {
    let (backend, shared): (_, Arc<str>) = (crossed(), "tea".into());
    set(&*backend, "a", object(&shared));
    set(&*backend, "a", object(&shared));
    let found = get(&*backend, "a");
    let Payload::Object(found) = &found.payload else { panic!("an object became {found:?}") };
    assert!(Arc::ptr_eq(found.downcast_ref::<Arc<str>>().expect("the type is the same"), &shared));
    assert!(found.downcast_ref::<String>().is_none());
    assert!(format!("{found:?}").contains("str"), "{found:?}");
    assert_eq!(Arc::strong_count(&shared), 2);
    let kept = found.clone();
    backend.delete("a").expect("the key plants no failure");
    drop(backend);
    assert_eq!(kept.downcast_ref::<Arc<str>>(), Some(&shared));
    drop(kept);
}

#[test]
fn nothing_is_left_of_objects_in_a_dropped_backend() {
    let shared: Arc<str> = "tea".into();
    let backend = crossed();
    let entries = (0..5).map(|number| Entry::new(format!("key {number}"), object(&shared))).collect();
    backend.set_multi(entries).expect("the keys plant no failure");
    let found = backend.get_multi(&["key 0", "missing", "key 4"]).expect("the keys plant no failure");
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    backend.delete_multi(&["key 0", "missing"]).expect("the keys plant no failure");
    drop((backend, found));
    assert_eq!(Arc::strong_count(&shared), 1);
}

#[test]
fn cut_bytes_outlive_their_backend() {
    let backend = crossed();
    let cut = Bytes::from(b"head|tail".to_vec()).slice(5..);
    set(&*backend, "a", value(Payload::Bytes(cut)));
    set(&*backend, "empty", bytes(b""));
    let (found, empty) = (get(&*backend, "a"), get(&*backend, "empty"));
    drop(backend);
    assert_eq!(&**found.payload.as_bytes().expect("bytes stay bytes"), b"tail");
    assert_eq!(empty, bytes(b""));
}

#[test]
fn metadata_and_attributes_come_back() {
    let (backend, members) = (crossed(), "\"d.tags\": [\"a\"]");
    let plain = bytes(b"x");
    let metadata = plain.metadata.clone().with_version(7).with_attributes(Attributes::from_members(members));
    set(&*backend, "a", CachedValue { metadata, ..plain.clone() });
    set(&*backend, "plain", plain);
    let found = get(&*backend, "a").metadata;
    let Metadata { creation_time, version, attributes, .. } = found.clone();
    assert_eq!((creation_time.as_seconds(), version, attributes.members()), (1.5, 7, members));
    assert!(get(&*backend, "plain").metadata.attributes.is_empty());
    drop((backend, attributes));
    assert_eq!(found.attributes.members(), members);
}

#[test]
fn store_options_are_lent() {
    let backend = crossed();
    let options =
        StoreOptions::new().with_keep_for(Duration::from_millis(5)).with_fence(Fence::new(&b"a"[..]));
    backend.set("a", bytes(b"1"), &options).expect("the key plants no failure");
    let entries =
        vec![Entry::new("b", bytes(b"2")).with_options(options.clone()), Entry::new("c", bytes(b"3"))];
    backend.set_multi(entries).expect("the keys plant no failure");
    assert_eq!(options.fence.as_ref().map(Fence::as_bytes), Some(&b"a"[..]));
    let described = format!("{backend:?}");
    assert_eq!(described.matches("keep_for: Some(5ms), fence: Some(Fence)").count(), 2, "{described}");
    assert_eq!(described.matches("keep_for: None, fence: None").count(), 1, "{described}");
}

#[test]
fn visitor_sees_the_stored_value() {
    let (backend, shared): (_, Arc<str>) = (crossed(), "tea".into());
    set(&*backend, "a", object(&shared));
    let mut seen = None;
    let found =
        backend.get_with("a", &mut |value| seen = Some(value.clone())).expect("the key plants no failure");
    assert!(found && seen == Some(get(&*backend, "a")));
    let found = backend.get_with("missing", &mut |value| panic!("saw {value:?}"));
    assert!(!found.expect("the key plants no failure"));
    drop((backend, seen));
    assert_eq!(Arc::strong_count(&shared), 1);
}

/// The panic of a visitor is one of this side. It does not unwind through the other side.
#[test]
fn panic_of_a_visitor_reaches_the_caller() {
    let backend = crossed();
    set(&*backend, "a", bytes(b"1"));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        backend.get_with("a", &mut |_| resume_unwind(Box::new("planted".to_owned())))
    }));
    let payload = panicked.expect_err("the visitor panics");
    assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some("planted"));
    assert_eq!(get(&*backend, "a"), bytes(b"1"));
}

#[test]
fn values_are_shared_among_threads() {
    let (backend, shared): (_, Arc<str>) = (crossed(), "tea".into());
    thread::scope(|scope| {
        for number in 0..4 {
            let (backend, shared) = (&*backend, &shared);
            scope.spawn(move || {
                let key = format!("key {}", number % 2);
                for _ in 0..50 {
                    set(backend, &key, object(shared));
                    drop(backend.get_multi(&[&key, "key 0"]).expect("the keys plant no failure"));
                    backend.delete(&key).expect("the key plants no failure");
                }
            });
        }
    });
    drop(backend);
    assert_eq!(Arc::strong_count(&shared), 1);
}
