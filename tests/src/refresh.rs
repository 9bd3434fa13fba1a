//! An early refresh by several processes.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dogpile::{CacheRegion, ManualClock, RegionConfig, Share, ThreadRunner};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::peer::Peer;
use crate::threads::{LIMIT, until};

/// Checks that one of two processes refreshes a value early.
///
/// The other one must not wait for it.
///
/// Both processes have a region with this `configuration`, which has a backend whose mutexes exclude other processes.
///
/// # Panics
/// Panics if both processes create, or if a caller waits.
pub fn one_process_refreshes(configuration: &Value) {
    let mut of_worker = configuration.clone();
    of_worker["expiration_time"] = json!(100);
    of_worker["early_refresh"] = json!(40);
    let other = Peer::worker(&of_worker);
    refresh_in_the_background(configuration, &other);
    refresh_by_the_other(configuration, &other);
}

fn config(configuration: &Value) -> RegionConfig {
    let backend = configuration["backend"].as_str().expect("it is a name");
    let config = RegionConfig::new(backend).arguments(&configuration["arguments"]);
    config.expiration_time(100).early_refresh(Share::percent(40))
}

fn region(config: RegionConfig) -> CacheRegion {
    let region = CacheRegion::new("refreshing");
    region.configure(config).expect("the region can be configured");
    region
}

/// Stores a value that has been fresh for 50 seconds, and is due for a refresh.
fn store_due(configuration: &Value, value: i32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let clock = ManualClock::at((now - Duration::from_secs(50)).as_secs_f64());
    region(config(configuration).clock(Arc::new(clock))).set("key", json!(value)).expect("it is stored");
}

/// This process refreshes in the background. Its callers get the value at once, and so do those of the other process.
fn refresh_in_the_background(configuration: &Value, other: &Peer) {
    store_due(configuration, 1);
    let region = region(config(configuration).async_creation_runner(Arc::new(ThreadRunner)));
    let ((begins, begun), (go_on, goes_on)) = (channel(), channel::<()>());
    let create = move || {
        begins.send(()).expect("the test waits");
        goes_on.recv_timeout(LIMIT).expect("the test goes on");
        json!(2)
    };
    let call = |value| region.options().background().get_or_create("key", move || json!(value));
    assert_eq!(region.options().background().get_or_create("key", create).expect("it is there"), json!(1));
    begun.recv_timeout(LIMIT).expect("the creator runs");
    assert!(other.key_is_locked("key"), "the refresh holds the mutex");
    for _ in 0..3 {
        let got = other.ask(&json!({ "do": "get_or_create", "key": "key", "value": 3 }));
        assert_eq!(
            got,
            json!({ "value": 1, "created": false }),
            "the other process neither waits nor creates"
        );
        assert_eq!(call(4).expect("it is there"), json!(1), "this process refreshes once");
    }
    go_on.send(()).expect("the creator waits");
    until("the value is refreshed", || region.get("key").ok().flatten() == Some(json!(2)));
    until("the mutex is released", || !other.key_is_locked("key"));
    assert_eq!(other.get("key"), Some(json!(2)));
}

/// The other process refreshes. This one tries the mutex, and gives its runner nothing to do.
fn refresh_by_the_other(configuration: &Value, other: &Peer) {
    store_due(configuration, 5);
    other.begin_to_create("key", &json!(6));
    let desk = Arc::new(Desk::default());
    let region = region(config(configuration).async_creation_runner(desk.clone()));
    for _ in 0..3 {
        let got = region.options().background().get_or_create("key", || json!(7));
        assert_eq!(got.expect("it is there"), json!(5));
    }
    assert!(desk.take().is_empty(), "nothing is queued");
    assert_eq!(other.end_creation(), json!({ "value": 6, "created": true }));
    assert_eq!(region.get("key").expect("it is readable"), Some(json!(6)));
}
