//! Processes that share a file, some of which are killed.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use dogpile_tests::crowd::one_of_all_creates;
use dogpile_tests::peer::Peer;
use dogpile_tests::refresh::one_process_refreshes;
use dogpile_tests::threads::bounded;
use dogpile_tests::worker::mixed;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{DBM, LMDB, Place};

/// The seconds of work of each process, unless `DOGPILE_TESTS_SECONDS` sets them.
const MIXED_FOR: u64 = 2;

/// The seconds of work per command, so that each reply comes soon.
const PART: f64 = 1.0;

fn processes_work_side_by_side(place: &Place, more: &Value) {
    let configuration = place.configuration(more.clone());
    let processes: Vec<Peer> = (0..4).map(|_| Peer::worker(&configuration)).collect();
    let given = env::var("DOGPILE_TESTS_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    for _ in 0..given.unwrap_or(MIXED_FOR) {
        for (number, process) in processes.iter().enumerate() {
            process
                .tell(&json!({ "do": "mixed", "name": number.to_string(), "threads": 4, "seconds": PART }));
        }
        for process in &processes {
            let reply = process.hear();
            assert!(reply["rounds"].as_u64() > Some(0), "{reply}");
        }
    }
}

#[test]
fn four_processes_share_a_sqlite_file_without_loss() {
    let place = Place::new(DBM);
    processes_work_side_by_side(&place, &json!({}));
    check(&place);
}

#[test]
fn four_processes_share_a_file_by_the_locks_of_sqlite_alone() {
    let place = Place::new(DBM);
    processes_work_side_by_side(&place, &json!({ "rw_lockfile": false, "lock_stripes": 1 }));
    check(&place);
}

#[test]
fn four_processes_share_an_lmdb_file_without_loss() {
    let place = Place::new(LMDB);
    processes_work_side_by_side(&place, &json!({ "map_size": 65536 }));
    check(&place);
}

/// Checks that SQLite finds no damage in its file.
pub(super) fn check_integrity(place: &Place) {
    if place.backend == DBM {
        let sqlite = Connection::open(place.file()).unwrap();
        let found: String = sqlite.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(found, "ok");
    }
}

/// Checks that the file is undamaged and that each value was stored whole.
fn check(place: &Place) {
    check_integrity(place);
    let region = place.region();
    for name in ["0", "1", "2", "3"] {
        for value in region.get_multi::<Vec<u64>>(&mixed::keys(name, 4)).unwrap().into_iter().flatten() {
            assert!(mixed::is_whole(&value), "{value:?}");
        }
    }
}

/// Returns a random time of at most `most`.
fn some(most: Duration) -> Duration {
    most.mul_f64((RandomState::new().hash_one(()) >> 32) as f64 / u32::MAX as f64)
}

fn writers_are_killed(backend: &'static str, rounds: usize) {
    let (mut place, mut deepest) = (Place::new(backend), 0);
    for round in 0..rounds {
        if round % 10 == 0 {
            // The first writes of a file are interrupted too.
            place = Place::new(backend);
        }
        let writer = Peer::worker(&place.configuration(json!({})));
        writer.tell(&json!({ "do": "mixed", "name": (round % 4).to_string(), "threads": 2, "seconds": 60 }));
        // Kill it at some time between its start and the middle of its work.
        thread::sleep(some(Duration::from_millis(12)));
        writer.kill();
        drop(writer);
        check(&place);
        deepest = deepest.max(count(&place));
    }
    assert!(deepest > 0, "all writers were killed before they stored anything");
}

/// Returns the number of values.
fn count(place: &Place) -> usize {
    place.region().get_multi::<Vec<u64>>(&mixed::keys("0", 2)).unwrap().into_iter().flatten().count()
}

#[test]
fn killed_writer_of_sqlite_leaves_whole_values() {
    writers_are_killed(DBM, 200);
}

#[test]
fn killed_writer_of_lmdb_leaves_whole_values() {
    writers_are_killed(LMDB, 100);
}

#[test]
fn one_process_refreshes_early_and_the_other_does_not_wait() {
    for backend in [DBM, LMDB] {
        bounded(move || one_process_refreshes(&Place::new(backend).configuration(json!({}))));
    }
}

#[test]
fn threads_of_several_processes_run_one_creator() {
    for (backend, more) in [(DBM, json!({})), (DBM, json!({ "lock_stripes": 1 })), (LMDB, json!({}))] {
        bounded(move || {
            one_of_all_creates(&Place::new(backend).configuration(more));
        });
    }
}

#[test]
fn creators_of_different_keys_run_at_once_in_two_processes() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let place = Place::new(backend);
            let [one, two] = [(); 2].map(|()| Peer::worker(&place.configuration(json!({}))));
            one.begin_to_create("a", &json!(1));
            two.begin_to_create("b", &json!(2));
            let region = place.region();
            assert!(region.key_is_locked("a").unwrap() && region.key_is_locked("b").unwrap());
            assert_eq!(two.end_creation(), json!({ "value": 2, "created": true }));
            assert_eq!(one.end_creation(), json!({ "value": 1, "created": true }));
            assert!(!region.key_is_locked("a").unwrap() && !region.key_is_locked("b").unwrap());
        }
    });
}

#[test]
fn file_with_one_stripe_has_one_creator_at_a_time() {
    bounded(|| {
        let place = Place::new(DBM);
        let configuration = place.configuration(json!({ "lock_stripes": 1 }));
        let [one, two] = [(); 2].map(|()| Peer::worker(&configuration));
        let acquire = |key| json!({ "do": "acquire", "key": key, "wait": false });
        assert_eq!(one.ask(&acquire("a")), json!({ "value": true }));
        assert_eq!(two.ask(&acquire("b")), json!({ "value": false }));
        assert_eq!(one.ask(&acquire("b")), json!({ "value": true }));
        for key in ["a", "b"] {
            one.ask(&json!({ "do": "release", "key": key }));
        }
        assert_eq!(two.ask(&acquire("b")), json!({ "value": true }));
    });
}

#[test]
fn lock_of_a_killed_creator_is_free_at_once() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let place = Place::new(backend);
            let creator = Peer::worker(&place.configuration(json!({})));
            creator.begin_to_create("key", &json!(1));
            let region = place.region();
            assert!(region.key_is_locked("key").unwrap());
            creator.kill();
            drop(creator);
            assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
        }
    });
}

#[test]
fn processes_that_create_a_file_together_share_it() {
    for _ in 0..10 {
        for backend in [DBM, LMDB] {
            let place = Place::new(backend);
            let mut configuration = place.configuration(json!({}));
            if backend == DBM {
                // Python may create it in another mode. All processes switch the mode, and only SQLite excludes them.
                let create = "CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)";
                Connection::open(place.file()).unwrap().execute(create, []).unwrap();
                configuration = place.configuration(json!({ "rw_lockfile": false }));
            }
            thread::scope(|scope| {
                for number in 0..4 {
                    let configuration = &configuration;
                    scope.spawn(move || Peer::worker(configuration).set(&number.to_string(), &json!(number)));
                }
            });
            let region = place.region();
            let found = region.get_multi::<u64>(&["0", "1", "2", "3"]).unwrap();
            assert_eq!(found, [0, 1, 2, 3].map(Some), "{backend}");
        }
    }
}

#[test]
fn growth_of_a_file_is_seen_by_other_processes() {
    bounded(|| {
        let place = Place::new(LMDB);
        let [one, two] = [(); 2].map(|()| Peer::worker(&place.configuration(json!({ "map_size": 65536 }))));
        let long = "x".repeat(500_000);
        for number in 0..10 {
            one.set(&format!("one {number}"), &json!(long));
            two.set(&format!("two {number}"), &json!(long));
            assert_eq!(two.get(&format!("one {number}")), Some(json!(long)));
        }
        assert_eq!(one.get("two 9"), Some(json!(long)));
    });
}
