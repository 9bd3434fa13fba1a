//! Scenes between a Python process and a region of ours over one store with locks.

use std::thread;

use dogpile::CacheRegion;
use serde_json::json;

use crate::peer::Peer;
use crate::threads::{together, until};

/// A lock on "key", which is `mangled` in the store, is seen by the other side, and keeps it out.
///
/// # Panics
/// If it is not so.
pub fn a_lock_is_shared(python: &Peer, region: &CacheRegion, mangled: &str) {
    let backend = region.backend().expect("it is configured");
    let mutex = backend.get_mutex(mangled).expect("the store has locks");
    let acquire = json!({ "do": "acquire", "key": "key" });
    let both_see = |locked| {
        let ours = region.key_is_locked("key").expect("the store answers");
        assert_eq!((python.key_is_locked("key"), ours), (locked, locked));
    };
    both_see(false);
    assert!(mutex.acquire(false).expect("the store answers"));
    both_see(true);
    assert_eq!(python.ask(&acquire), json!({ "value": false }));
    mutex.release().expect("it is held");
    both_see(false);
    assert_eq!(python.ask(&acquire), json!({ "value": true }));
    both_see(true);
    assert!(!mutex.acquire(false).expect("the store answers"));
    python.ask(&json!({ "do": "release", "key": "key" }));
    both_see(false);
}

/// Python asks for "key" while our creator is at work, and is served what that makes; `it_waits` tells when it does.
///
/// # Panics
/// If it is not so.
pub fn python_waits_for_our_creator(python: &Peer, region: &CacheRegion, it_waits: impl Fn() -> bool) {
    let made = region.get_or_create("key", || {
        python.tell(&json!({ "do": "get_or_create", "key": "key", "value": "python's" }));
        until("Python waits for the lock", it_waits);
        "ours".to_owned()
    });
    assert_eq!(made.expect("the store answers"), "ours");
    assert_eq!(python.hear(), json!({ "value": "ours", "created": false }));
    assert!(!python.key_is_locked("key"));
}

/// Eight threads of ours ask for "key" while Python's creator is at work, and are served what that makes; `they_wait`
/// tells when they do.
///
/// # Panics
/// If it is not so.
pub fn we_wait_for_pythons_creator(python: &Peer, region: &CacheRegion, they_wait: impl Fn() -> bool) {
    python.begin_to_create("key", &json!("python's"));
    assert!(region.key_is_locked("key").expect("the store answers"));
    let ask = || region.get_or_create("key", || "ours".to_owned()).expect("the store answers");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| together(8, |_| ask()));
        until("we wait for the lock", they_wait);
        assert_eq!(python.end_creation(), json!({ "value": "python's", "created": true }));
        assert_eq!(waiting.join().expect("nobody panics"), ["python's"; 8]);
    });
    assert!(!region.key_is_locked("key").expect("the store answers"));
}
