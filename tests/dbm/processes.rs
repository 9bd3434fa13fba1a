//! Processes that share a file, some of which are killed.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::Duration;

use dogpile_tests::crowd::one_of_all_creates;
use dogpile_tests::peer::Peer;
use dogpile_tests::threads::bounded;
use dogpile_tests::worker::mixed;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{DBM, LMDB, Place};

/// In seconds; `DOGPILE_TESTS_SECONDS` sets it.
const MIXED_FOR: u64 = 2;

/// What a process is asked at a time, so that each answer comes soon.
const PART: f64 = 1.0;

fn processes_work_side_by_side(place: &Place, more: &Value) {
    let configuration = place.configuration(more.clone());
    let processes: Vec<Peer> = (0..4).map(|_| Peer::worker(&configuration)).collect();
    let asked = env::var("DOGPILE_TESTS_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    for _ in 0..asked.unwrap_or(MIXED_FOR) {
        for (number, process) in processes.iter().enumerate() {
            process
                .tell(&json!({ "do": "mixed", "name": number.to_string(), "threads": 4, "seconds": PART }));
        }
        for process in &processes {
            let answer = process.hear();
            assert!(answer["rounds"].as_u64() > Some(0), "{answer}");
        }
    }
}

#[test]
fn four_processes_lose_nothing_on_one_sqlite_file() {
    let place = Place::new(DBM);
    processes_work_side_by_side(&place, &json!({}));
    check(&place);
}

#[test]
fn four_processes_lose_nothing_although_only_sqlite_keeps_them_apart() {
    let place = Place::new(DBM);
    processes_work_side_by_side(&place, &json!({ "rw_lockfile": false, "lock_stripes": 1 }));
    check(&place);
}

#[test]
fn four_processes_lose_nothing_on_one_lmdb_file() {
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

/// Up to `most`, at random.
fn some(most: Duration) -> Duration {
    most.mul_f64((RandomState::new().hash_one(()) >> 32) as f64 / u32::MAX as f64)
}

fn writers_are_killed(backend: &'static str, rounds: usize) {
    let (mut place, mut deepest) = (Place::new(backend), 0);
    for round in 0..rounds {
        if round % 10 == 0 {
            // The first writes of a file are cut short too.
            place = Place::new(backend);
        }
        let writer = Peer::worker(&place.configuration(json!({})));
        writer.tell(&json!({ "do": "mixed", "name": (round % 4).to_string(), "threads": 2, "seconds": 60 }));
        // Somewhere between its first words and the middle of its work.
        thread::sleep(some(Duration::from_millis(12)));
        writer.kill();
        drop(writer);
        check(&place);
        deepest = deepest.max(count(&place));
    }
    assert!(deepest > 0, "no writer came so far as to store anything");
}

/// How many values there are.
fn count(place: &Place) -> usize {
    place.region().get_multi::<Vec<u64>>(&mixed::keys("0", 2)).unwrap().into_iter().flatten().count()
}

#[test]
fn a_writer_of_sqlite_that_is_killed_leaves_whole_values() {
    writers_are_killed(DBM, 200);
}

#[test]
fn a_writer_of_lmdb_that_is_killed_leaves_whole_values() {
    writers_are_killed(LMDB, 100);
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
fn creators_of_different_keys_run_side_by_side_in_different_processes() {
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
fn with_one_stripe_a_file_has_one_creator_at_a_time() {
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
fn the_lock_of_a_creator_that_was_killed_is_free_at_once() {
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
fn processes_that_make_one_file_together_all_get_it() {
    for _ in 0..10 {
        for backend in [DBM, LMDB] {
            let place = Place::new(backend);
            let mut configuration = place.configuration(json!({}));
            if backend == DBM {
                // In another mode, as Python may make it: all of them switch it, and nothing but SQLite is in between.
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
fn one_process_sees_the_room_that_another_gave_the_file() {
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
