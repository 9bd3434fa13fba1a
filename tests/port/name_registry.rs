//! `NameRegistry`: one shared object per name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::yield_now;

use dogpile::lock::NameRegistry;
use dogpile_tests::threads::together;
use parking_lot::Mutex;

/// Behavior: `nameregistry-one-object-per-name`
#[test]
fn threads_requesting_one_name_share_one_object() {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let registry = NameRegistry::new(move |_| {
        counter.fetch_add(1, SeqCst);
        Mutex::new(())
    });
    let entered = [const { AtomicBool::new(false) }; 3];
    together(19, |thread| {
        for round in 0..20 {
            let which = (thread + round) % NAMES.len();
            let lock = registry.get(NAMES[which]);
            let held = lock.lock();
            assert!(!entered[which].swap(true, SeqCst), "two threads hold the lock of {which}");
            yield_now();
            entered[which].store(false, SeqCst);
            drop(held);
        }
    });
    assert!(registry.is_empty(), "{} objects are still in use", registry.len());
    assert!(made.load(SeqCst) >= NAMES.len());
}

#[test]
fn object_is_dropped_with_its_last_handle() {
    let registry = NameRegistry::new(|name: &str| name.to_owned());
    let (one, two, other) = (registry.get("a"), registry.get("a"), registry.get("b"));
    assert!(one.is_same(&two) && !one.is_same(&other));
    assert_eq!((registry.len(), &**two), (2, "a"));
    drop((one, other));
    assert_eq!(registry.len(), 1);
    drop(two);
    assert!(registry.is_empty());
}
