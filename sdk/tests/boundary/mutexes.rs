//! Mutexes.

use std::time::{Duration, Instant};

use dogpile_sdk::{ErrorKind, Fence};

use crate::crossed;

#[test]
fn mutex_calls_cross() {
    let mutex = crossed().get_mutex("a").expect("the shelf has mutexes");
    assert!(mutex.try_acquire().expect("the key plants no failure"));
    assert!(!mutex.acquire_until(Instant::now()).expect("the key plants no failure"));
    assert!(
        !mutex.acquire_until(Instant::now() + Duration::from_secs(60)).expect("the key plants no failure")
    );
    assert!(mutex.locked().expect("the key plants no failure") && !mutex.is_lost());
    mutex.release().expect("the key plants no failure");
    assert!(!mutex.locked().expect("the key plants no failure"));
    assert!(format!("{mutex:?}").contains("ShelfMutex"), "{mutex:?}");
}

#[test]
fn fence_outlives_its_mutex() {
    let backend = crossed();
    let mutex = backend.get_mutex("a").expect("the shelf has mutexes");
    let fence = mutex.fence();
    drop((mutex, backend));
    assert_eq!(fence.as_ref().map(Fence::as_bytes), Some(&b"a"[..]));
    assert_eq!(crossed().get_mutex("unfenced").expect("the shelf has mutexes").fence(), None);
}

#[test]
fn panic_of_a_mutex_call_is_an_error() {
    let mutex = crossed().get_mutex("panic with text").expect("the shelf has mutexes");
    let errors = [mutex.try_acquire().err(), mutex.acquire_until(Instant::now()).err(), mutex.locked().err()];
    for error in errors.into_iter().chain([mutex.release().err()]) {
        assert_eq!(error.expect("each call panics").kind(), ErrorKind::Panicked);
    }
    assert!(!mutex.is_lost(), "a call that cannot fail returns its default");
}
