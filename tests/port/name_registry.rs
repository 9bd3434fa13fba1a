//! One object per name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::yield_now;

use dogpile::lock::{NameRegistry, ReadWriteMutex};
use dogpile_tests::threads::together;
use parking_lot::Mutex;

/// Behaviour: `nameregistry-one-object-per-name`
#[test]
fn threads_that_ask_for_one_name_get_one_object() {
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
            assert!(!entered[which].swap(true, SeqCst), "the section of {which} was entered twice");
            yield_now();
            entered[which].store(false, SeqCst);
            drop(held);
        }
    });
    assert!(registry.is_empty(), "{} objects are left behind", registry.len());
    assert!(made.load(SeqCst) >= NAMES.len());
}

#[test]
fn an_object_lives_as_long_as_its_users() {
    let registry = NameRegistry::new(|name: &str| name.to_owned());
    let (one, two, other) = (registry.get("a"), registry.get("a"), registry.get("b"));
    assert!(one.is_same(&two) && !one.is_same(&other));
    assert_eq!((registry.len(), &**two), (2, "a"));
    drop((one, other));
    assert_eq!(registry.len(), 1);
    drop(two);
    assert!(registry.is_empty());
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    let mutex = ReadWriteMutex::new();
    let readers = (mutex.read(), mutex.try_read().unwrap());
    assert!(mutex.try_write().is_none());
    drop(readers.0);
    // In Python a surplus release lets a writer in beside the other reader; here a release is a guard's end.
    assert!(mutex.try_write().is_none());
    drop(readers.1);
    let writer = mutex.write();
    assert!(mutex.try_read().is_none() && mutex.try_write().is_none());
    drop(writer);
    assert!(mutex.try_read().is_some());
}

#[test]
fn threads_that_read_and_write_never_see_half_a_change() {
    let (mutex, pair) = (ReadWriteMutex::new(), [const { AtomicUsize::new(0) }; 2]);
    together(8, |thread| {
        for _ in 0..200 {
            if thread % 4 == 0 {
                let _alone = mutex.write();
                pair[0].fetch_add(1, SeqCst);
                yield_now();
                pair[1].fetch_add(1, SeqCst);
            } else {
                let _shared = mutex.read();
                assert_eq!(pair[0].load(SeqCst), pair[1].load(SeqCst));
            }
        }
    });
    assert_eq!(pair[1].load(SeqCst), 400);
}
