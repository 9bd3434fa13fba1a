//! One file that Python's dogpile.cache and this library share. Python uses the table and the statements of its version
//! 3.13, and the lock files of dogpile.cache.

use std::path::Path;
use std::process::Command;
use std::thread;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::peer::Peer;
use dogpile_tests::regions::region_of;
use dogpile_tests::servers::python;
use dogpile_tests::threads::{bounded, together};
use serde_json::{Value, json};

use super::{DBM, Place};

/// Starts a Python process with a region over the file of `place`.
fn peer(place: &Place, more: Value) -> Peer {
    let python = python().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/sqlite_peer.py");
    let mut configuration = place.configuration(json!({}));
    if let (Value::Object(configuration), Value::Object(more)) = (&mut configuration, more) {
        configuration.extend(more);
    }
    Peer::run(Command::new(python).arg(script), &configuration)
}

fn with_json(place: &Place) -> Peer {
    peer(place, json!({ "serializer": "json" }))
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn json_values_are_read_by_both() {
    bounded(|| {
        let place = Place::new(DBM);
        let region = place.region();
        let peer = with_json(&place);
        region.set("ours", vec![1, 2]).unwrap();
        assert_eq!(peer.get("ours"), Some(json!([1, 2])));
        peer.set("theirs", &json!([3, 4]));
        assert_eq!(region.get("theirs").unwrap(), Some(vec![3, 4]));
        peer.ask(&json!({ "do": "set_multi", "values": { "a": 1, "ä": 2 } }));
        assert_eq!(region.get_multi::<i32>(&["a", "ä", "b"]).unwrap(), [Some(1), Some(2), None]);
        peer.ask(&json!({ "do": "delete", "key": "ours" }));
        assert_eq!(region.get::<Vec<i32>>("ours").unwrap(), None);
        region.delete("theirs").unwrap();
        assert_eq!(peer.get("theirs"), None);
    });
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn pickled_values_in_a_file_of_python_are_read_by_both() {
    bounded(|| {
        let place = Place::new(DBM);
        let peer = peer(&place, json!({}));
        peer.set("theirs", &json!({ "a": [1, null] }));
        let arguments = json!({ "filename": place.file() });
        let config = RegionConfig::new(DBM).arguments(arguments).serializer_named("pickle");
        let region = region_of("pickled", config);
        assert_eq!(region.get::<Value>("theirs").unwrap(), Some(json!({ "a": [1, null] })));
        region.set("ours", vec![1, 2]).unwrap();
        assert_eq!(peer.get("ours"), Some(json!([1, 2])));
    });
}

/// A Rust process locks the stripe of a key. Python locks the whole file.
#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn locks_of_python_and_rust_exclude_each_other() {
    bounded(|| {
        let place = Place::new(DBM);
        let region = place.region();
        let peer = with_json(&place);
        let mutexes = ["a", "b"].map(|key| region.backend().unwrap().get_mutex(key).unwrap());
        assert!(mutexes[0].try_acquire().unwrap());
        let acquire = json!({ "do": "acquire", "key": "other", "wait": false });
        assert_eq!(peer.ask(&acquire), json!({ "value": false }));
        assert!(mutexes[1].try_acquire().unwrap());
        mutexes[0].release().unwrap();
        assert_eq!(peer.ask(&acquire), json!({ "value": false }));
        mutexes[1].release().unwrap();
        assert_eq!(peer.ask(&acquire), json!({ "value": true }));
        for mutex in &mutexes {
            assert!(mutex.locked().unwrap() && !mutex.try_acquire().unwrap());
        }
        assert!(region.key_is_locked("a").unwrap());
        peer.ask(&json!({ "do": "release", "key": "other" }));
        assert!(mutexes[0].try_acquire().unwrap());
        mutexes[0].release().unwrap();
    });
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn python_waits_for_a_creator_in_rust() {
    bounded(|| {
        let place = Place::new(DBM);
        let region = place.region();
        let peer = with_json(&place);
        let made = region.get_or_create("key", || {
            peer.tell(&json!({ "do": "get_or_create", "key": "key", "value": 99 }));
            11
        });
        assert_eq!(made.unwrap(), 11);
        assert_eq!(peer.hear(), json!({ "value": 11, "created": false }));
    });
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn rust_waits_for_a_creator_in_python() {
    bounded(|| {
        let place = Place::new(DBM);
        let region = place.region();
        let peer = with_json(&place);
        peer.begin_to_create("key", &json!(12));
        assert!(region.key_is_locked("key").unwrap());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| region.get_or_create("key", || -1).unwrap());
            assert_eq!(peer.end_creation(), json!({ "value": 12, "created": true }));
            assert_eq!(waiting.join().unwrap(), 12);
        });
    });
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn concurrent_writes_of_both_are_kept() {
    bounded(|| {
        let place = Place::new(DBM);
        let region: CacheRegion = place.region();
        let peer = with_json(&place);
        together(3, |thread| {
            for number in 0..100 {
                match thread {
                    0 => peer.set(&format!("theirs {number}"), &json!(number)),
                    _ => region.set(&format!("ours {thread} {number}"), number).unwrap(),
                }
            }
        });
        for number in 0..100 {
            assert_eq!(region.get(&format!("theirs {number}")).unwrap(), Some(number));
            assert_eq!(peer.get(&format!("ours 1 {number}")), Some(json!(number)));
            assert_eq!(peer.get(&format!("ours 2 {number}")), Some(json!(number)));
        }
    });
}
