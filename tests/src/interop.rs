//! Scenes between a Python process and our region over one store with locks.

use std::thread;

use dogpile::CacheRegion;
use serde_json::json;

use crate::peer::Peer;
use crate::threads::{together, until};

/// Each side sees the other's lock on "key", and is excluded by it. The key is `mangled` in the store.
///
/// # Panics
/// If the scene goes differently.
pub fn a_lock_is_shared(python: &Peer, region: &CacheRegion, mangled: &str) {
    let backend = region.backend().expect("it is configured");
    let mutex = backend.get_mutex(mangled).expect("the store has locks");
    let acquire = json!({ "do": "acquire", "key": "key" });
    let both_see = |locked| {
        let ours = region.key_is_locked("key").expect("the store replies");
        assert_eq!((python.key_is_locked("key"), ours), (locked, locked));
    };
    both_see(false);
    assert!(mutex.try_acquire().expect("the store replies"));
    both_see(true);
    assert_eq!(python.ask(&acquire), json!({ "value": false }));
    mutex.release().expect("it is held");
    both_see(false);
    assert_eq!(python.ask(&acquire), json!({ "value": true }));
    both_see(true);
    assert!(!mutex.try_acquire().expect("the store replies"));
    python.ask(&json!({ "do": "release", "key": "key" }));
    both_see(false);
}

/// Python requests "key" while our creator runs, and gets the value that it creates. `it_waits` returns whether Python
/// waits.
///
/// # Panics
/// If the scene goes differently.
pub fn python_waits_for_our_creator(python: &Peer, region: &CacheRegion, it_waits: impl Fn() -> bool) {
    let made = region.get_or_create("key", || {
        python.tell(&json!({ "do": "get_or_create", "key": "key", "value": "python's" }));
        until("Python waits for the lock", it_waits);
        "ours".to_owned()
    });
    assert_eq!(made.expect("the store replies"), "ours");
    assert_eq!(python.hear(), json!({ "value": "ours", "created": false }));
    assert!(!python.key_is_locked("key"));
}

/// Eight of our threads get the value of "key" from Python's running creator. `they_wait` returns whether they wait.
///
/// # Panics
/// If the scene goes differently.
pub fn we_wait_for_pythons_creator(python: &Peer, region: &CacheRegion, they_wait: impl Fn() -> bool) {
    python.begin_to_create("key", &json!("python's"));
    assert!(region.key_is_locked("key").expect("the store replies"));
    let ask = || region.get_or_create("key", || "ours".to_owned()).expect("the store replies");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| together(8, |_| ask()));
        until("we wait for the lock", they_wait);
        assert_eq!(python.end_creation(), json!({ "value": "python's", "created": true }));
        assert_eq!(waiting.join().expect("no thread panics"), ["python's"; 8]);
    });
    assert!(!region.key_is_locked("key").expect("the store replies"));
}
