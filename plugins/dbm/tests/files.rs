//! Files that are not as they should be, and several backends at once.

use std::fs;
use std::sync::Barrier;
use std::thread;

use dogpile_dbm::{DbmBackend, DbmConfig};
use dogpile_sdk::{BytesBackend, ErrorKind};
use rusqlite::Connection;

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let text = "a text, and longer than the header of a database. ".repeat(40);
    fs::write(&path, &text).unwrap();
    let error = DbmBackend::new(DbmConfig::new(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("it is no SQLite database; name another file"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_table_of_another_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    Connection::open(&path).unwrap().execute("CREATE TABLE Dict (name TEXT)", []).unwrap();
    let error = DbmBackend::new(DbmConfig::new(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("its table Dict has another shape"), "{error}");
}

#[test]
fn a_missing_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = DbmBackend::new(DbmConfig::new(folder.path().join("none/cache.db"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("none/cache.db.rw.lock"), "{error}");
}

#[test]
fn backends_that_make_one_file_together_all_open_it_and_see_each_others_values() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let (path, start) = (folder.path().join("cache.db"), Barrier::new(4));
        thread::scope(|scope| {
            for number in 0..4 {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    let backend = DbmBackend::new(DbmConfig::new(path)).unwrap();
                    backend.set(&number.to_string(), b"x").unwrap();
                });
            }
        });
        let backend = DbmBackend::new(DbmConfig::new(&path)).unwrap();
        let found = backend.get_multi(&["0", "1", "2", "3"]).unwrap();
        assert!(found.iter().all(|value| value.as_deref() == Some(b"x")), "{found:?}");
    }
}
