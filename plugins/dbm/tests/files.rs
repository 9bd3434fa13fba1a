//! Invalid, deleted, and replaced files, and several backends over one file.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_dbm::{AbstractFileLock, DbmBackend, DbmConfig, FileLock, Lockfile};
use dogpile_sdk::{BytesBackend, BytesEntry, ErrorKind, StoreOptions};
use rusqlite::Connection;
use tempfile::TempDir;

#[test]
fn file_that_is_not_a_database_is_refused_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let text = "a text, and longer than the header of a database. ".repeat(40);
    fs::write(&path, &text).unwrap();
    let error = DbmBackend::new(DbmConfig::new(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("it is not a SQLite database; name another file"), "{error}");
    assert!(!error.to_string().contains("remove"), "the file may be precious: {error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn foreign_database_is_refused_unchanged() {
    for other in [
        "CREATE TABLE Dict (name TEXT)",
        "CREATE TABLE Dict (key BLOB, value BLOB)",
        "CREATE TABLE Dict (key BLOB UNIQUE, value BLOB, more BLOB NOT NULL)",
        "CREATE TABLE Dict (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID",
        "CREATE TABLE accounts (name TEXT)",
        "CREATE VIEW Dict AS SELECT 1 AS key, 2 AS value",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        Connection::open(&path).unwrap().execute(other, []).unwrap();
        let before = fs::read(&path).unwrap();
        let error = DbmBackend::new(DbmConfig::new(&path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{other}: {error}");
        assert!(error.to_string().contains("it is the database of another application, or its table Dict"));
        assert_eq!(fs::read(&path).unwrap(), before, "{other}");
    }
}

#[test]
fn missing_directory_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let error = DbmBackend::new(DbmConfig::new(folder.path().join("none/cache.db"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // The cache file is named, although its lock file is opened first.
    let directory = folder.path().join("none");
    let expected = format!("none/cache.db\": the directory {directory:?} does not exist; create it");
    assert!(error.to_string().ends_with(&expected), "{error}");
}

#[test]
fn concurrently_created_file_is_shared() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let (path, start) = (folder.path().join("cache.db"), Barrier::new(4));
        thread::scope(|scope| {
            for number in 0..4 {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    let backend = DbmBackend::new(DbmConfig::new(path)).unwrap();
                    backend.set(&number.to_string(), b"x", &StoreOptions::new()).unwrap();
                });
            }
        });
        let backend = DbmBackend::new(DbmConfig::new(&path)).unwrap();
        let found = backend.get_multi(&["0", "1", "2", "3"]).unwrap();
        assert!(found.iter().all(|value| value.as_deref() == Some(b"x")), "{found:?}");
    }
}

/// Returns a backend over `cache.db` in `folder`, with a changed configuration.
fn backend(folder: &TempDir, change: impl FnOnce(&mut DbmConfig)) -> DbmBackend {
    let mut config = DbmConfig::new(folder.path().join("cache.db"));
    change(&mut config);
    DbmBackend::new(config).unwrap()
}

/// Drops `backend` and returns the number of rows in its file.
fn kept(backend: DbmBackend, folder: &TempDir) -> u64 {
    drop(backend);
    let sqlite = Connection::open(folder.path().join("cache.db")).unwrap();
    sqlite.query_row("SELECT count(*) FROM Dict", [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

#[test]
fn entry_limit_drops_the_oldest_values() {
    let folder = tempfile::tempdir().unwrap();
    let limited = backend(&folder, |config| config.max_entries = Some(100));
    for number in 0..100 {
        limited.set(&number.to_string(), b"x", &StoreOptions::new()).unwrap();
    }
    assert!(limited.get("0").unwrap().is_some());
    // Storing it again makes it the newest value.
    limited.set("0", b"y", &StoreOptions::new()).unwrap();
    for number in 100..150 {
        limited.set(&number.to_string(), b"x", &StoreOptions::new()).unwrap();
    }
    assert_eq!(limited.get("0").unwrap().as_deref(), Some(&b"y"[..]));
    assert_eq!(limited.get("1").unwrap(), None);
    assert!(limited.get("149").unwrap().is_some());
    let many: Vec<String> = (200..500).map(|number| number.to_string()).collect();
    let options = StoreOptions::new();
    let many: Vec<_> = many.iter().map(|key| BytesEntry::new(key, b"x", &options)).collect();
    limited.set_multi(&many).unwrap();
    assert!(limited.get("499").unwrap().is_some());
    assert!((90..=100).contains(&kept(limited, &folder)));
}

#[test]
fn entry_limit_holds_across_backends_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let two = [(); 2].map(|()| backend(&folder, |config| config.max_entries = Some(50)));
    let unlimited = backend(&folder, |_| ());
    for number in 0..400 {
        two[number % 2].set(&(number / 3).to_string(), b"x", &StoreOptions::new()).unwrap();
        if number % 10 == 0 {
            unlimited.set(&format!("other {number}"), b"x", &StoreOptions::new()).unwrap();
        }
    }
    two[0].set("last", b"x", &StoreOptions::new()).unwrap();
    let [one, _] = two;
    assert!((40..=50).contains(&kept(one, &folder)));
}

#[test]
fn entry_limit_of_one_keeps_the_last_value() {
    let folder = tempfile::tempdir().unwrap();
    let limited = backend(&folder, |config| config.max_entries = Some(1));
    for key in ["a", "b", "b"] {
        limited.set(key, b"x", &StoreOptions::new()).unwrap();
        assert!(limited.get(key).unwrap().is_some());
    }
    assert_eq!(kept(limited, &folder), 1);
}

#[test]
fn byte_limit_bounds_the_file() {
    const LIMIT: u64 = 256 << 10;
    let folder = tempfile::tempdir().unwrap();
    let limited = backend(&folder, |config| config.max_bytes = Some(LIMIT));
    for number in 0..2000_usize {
        limited.set(&number.to_string(), &vec![7; number % 3000], &StoreOptions::new()).unwrap();
    }
    assert_eq!(limited.get("0").unwrap(), None);
    assert!(limited.get("1999").unwrap().is_some());
    // A value above the limit is not kept, and does not prevent others.
    limited.set("huge", &vec![7; 1 << 20], &StoreOptions::new()).unwrap();
    assert_eq!(limited.get("huge").unwrap(), None);
    limited.set("small", b"x", &StoreOptions::new()).unwrap();
    assert!(limited.get("small").unwrap().is_some());
    drop(limited);
    let sqlite = Connection::open(folder.path().join("cache.db")).unwrap();
    let pages: [i64; 2] = ["page_count", "freelist_count"]
        .map(|pragma| sqlite.pragma_query_value(None, pragma, |row| row.get(0)).unwrap());
    assert!((pages[0] - pages[1]) * 4096 <= LIMIT as i64, "{pages:?}");
}

#[test]
fn vacuum_shrinks_a_file_that_is_mostly_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let full = backend(&folder, |_| ());
    let keys: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    for key in &keys {
        full.set(key, &vec![7; 5000], &StoreOptions::new()).unwrap();
    }
    full.delete_multi(&keys.iter().skip(1).map(String::as_str).collect::<Vec<_>>()).unwrap();
    drop(full);
    let before = fs::metadata(&path).unwrap().len();
    drop(backend(&folder, |_| ()));
    assert_eq!(fs::metadata(&path).unwrap().len(), before);
    let small = backend(&folder, |config| config.vacuum = true);
    assert_eq!(small.get("0").unwrap(), Some(vec![7; 5000]));
    drop(small);
    assert!(fs::metadata(&path).unwrap().len() < before / 10);
}

#[test]
fn deleted_file_is_recreated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let backends = [(); 2].map(|()| backend(&folder, |_| ()));
    backends[0].set("old", b"x", &StoreOptions::new()).unwrap();
    assert!(backends[1].get("old").unwrap().is_some());
    fs::remove_file(&path).unwrap();
    // A writer notices at once, and a reader at its next check.
    backends[0].set("new", b"y", &StoreOptions::new()).unwrap();
    assert_eq!(backends[0].get("old").unwrap(), None);
    let start = Instant::now();
    while backends[1].get("new").unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(30), "the reader never notices");
    }
    assert_eq!(backends[1].get("old").unwrap(), None);
    backends[1].set("more", b"z", &StoreOptions::new()).unwrap();
    assert!(backends[0].get("more").unwrap().is_some());
    check(&path);
}

#[test]
fn replaced_file_is_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("cache.db"), folder.path().join("other.db"));
    let ours = backend(&folder, |_| ());
    let keys: Vec<String> = (0..50).map(|number| format!("old {number}")).collect();
    for key in &keys {
        ours.set(key, &[7; 2000], &StoreOptions::new()).unwrap();
    }
    let theirs = DbmBackend::new(DbmConfig::new(&other)).unwrap();
    theirs.set("theirs", b"t", &StoreOptions::new()).unwrap();
    drop(theirs);
    fs::rename(&other, &path).unwrap();
    ours.set("ours", b"o", &StoreOptions::new()).unwrap();
    assert_eq!(ours.get("theirs").unwrap().as_deref(), Some(&b"t"[..]));
    assert!(ours.get("ours").unwrap().is_some());
    assert_eq!(ours.get("old 0").unwrap(), None);
    check(&path);
}

#[test]
fn missing_directory_is_an_error_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let within = folder.path().join("within");
    fs::create_dir(&within).unwrap();
    let ours = DbmBackend::new(DbmConfig::new(within.join("cache.db"))).unwrap();
    fs::remove_dir_all(&within).unwrap();
    let error = ours.set("key", b"x", &StoreOptions::new()).unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("within\" does not exist; create it"),
        "{error}"
    );
    fs::create_dir(&within).unwrap();
    ours.set("key", b"x", &StoreOptions::new()).unwrap();
    assert!(ours.get("key").unwrap().is_some());
}

#[test]
fn damaged_file_error_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let ours = backend(&folder, |_| ());
    for number in 0..500 {
        ours.set(&number.to_string(), &[7; 500], &StoreOptions::new()).unwrap();
    }
    drop(ours);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0xee);
    fs::write(&path, bytes).unwrap();
    let ours = backend(&folder, |_| ());
    let error = (0..500).find_map(|number| ours.get(&number.to_string()).err()).unwrap();
    assert!(
        error.to_string().contains("cache.db\": it is damaged; stop its users, and remove it"),
        "{error}"
    );
}

#[test]
fn held_lock_file_times_out_for_writers() {
    let folder = tempfile::tempdir().unwrap();
    let ours = backend(&folder, |config| config.busy_timeout = Duration::from_millis(10));
    let lock = FileLock::open(folder.path().join("cache.db.rw.lock")).unwrap();
    for hold in ["as a reader", "as a writer"] {
        let taken = match hold {
            "as a reader" => lock.acquire_read_lock(Duration::ZERO),
            _ => lock.acquire_write_lock(Duration::ZERO),
        };
        assert!(taken.unwrap());
        // Reading needs no lock.
        assert_eq!(ours.get("key").unwrap(), None);
        let error = ours.set("key", b"x", &StoreOptions::new()).unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::Timeout, Some("key")), "{hold}");
        assert!(
            error.to_string().contains("\"rw_lockfile\" was held elsewhere for the whole \"busy_timeout\""),
            "{error}"
        );
        match hold {
            "as a reader" => lock.release_read_lock().unwrap(),
            _ => lock.release_write_lock().unwrap(),
        }
    }
    ours.set("key", b"x", &StoreOptions::new()).unwrap();
    assert!(ours.get("key").unwrap().is_some());
}

#[test]
fn constant_readers_do_not_starve_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let ours = backend(&folder, |_| ());
    ours.set("key", b"x", &StoreOptions::new()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let reader = backend(&folder, |_| ());
                while !done.load(Ordering::Acquire) {
                    assert!(reader.get("key").unwrap().is_some());
                }
            });
        }
        for number in 0..200 {
            ours.set("key", number.to_string().as_bytes(), &StoreOptions::new()).unwrap();
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn database_that_is_locked_elsewhere_times_out() {
    let folder = tempfile::tempdir().unwrap();
    let ours = backend(&folder, |config| {
        config.busy_timeout = Duration::from_millis(10);
        config.rw_lockfile = Some(Lockfile::Switch(false));
    });
    let other = Connection::open(folder.path().join("cache.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = ours.set("key", b"x", &StoreOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("another process held it for the whole \"busy_timeout\""), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    ours.set("key", b"x", &StoreOptions::new()).unwrap();
}

fn check(path: &Path) {
    let sqlite = Connection::open(path).unwrap();
    let result: String = sqlite.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(result, "ok");
}

/// Our table, as Python creates it.
const TABLE: &str = "CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL);";

#[test]
fn trigger_view_and_further_index_are_refused() {
    for hostile in [
        "CREATE TRIGGER t AFTER INSERT ON Dict BEGIN DELETE FROM Dict; END",
        "CREATE VIEW v AS SELECT * FROM Dict",
        "CREATE INDEX i ON Dict (hex(value))",
        "CREATE TABLE more (a)",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        Connection::open(&path).unwrap().execute_batch(&format!("{TABLE} {hostile}")).unwrap();
        let error = DbmBackend::new(DbmConfig::new(&path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{hostile}: {error}");
    }
}

/// A trigger never runs, because triggers are off, and its file is refused when the change is noticed.
#[test]
fn trigger_that_is_added_later_never_runs() {
    let folder = tempfile::tempdir().unwrap();
    let ours = backend(&folder, |_| ());
    ours.set("kept", b"x", &StoreOptions::new()).unwrap();
    let execute =
        |statement| Connection::open(folder.path().join("cache.db")).unwrap().execute_batch(statement);
    execute("CREATE TRIGGER t AFTER INSERT ON Dict BEGIN DELETE FROM Dict WHERE key = x'6b657074'; END")
        .unwrap();
    let start = Instant::now();
    let error = loop {
        match ours.set("new", b"y", &StoreOptions::new()) {
            Err(error) => break error,
            Ok(()) => assert!(start.elapsed() < Duration::from_secs(30), "the change is never noticed"),
        }
    };
    assert!(error.to_string().contains("its table Dict is not exactly that of Python's dbm"), "{error}");
    execute("DROP TRIGGER t").unwrap();
    assert_eq!(ours.get("kept").unwrap().as_deref(), Some(&b"x"[..]));
}

#[test]
fn value_that_is_not_a_blob_is_a_miss_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let ours = backend(&folder, |_| ());
    let other = Connection::open(folder.path().join("cache.db")).unwrap();
    for value in ["'text'", "1", "2.5"] {
        other.execute(&format!("REPLACE INTO Dict VALUES (CAST('key' AS BLOB), {value})"), []).unwrap();
        assert_eq!(ours.get("key").unwrap(), None, "{value}");
        assert_eq!(ours.get_multi(&["key"]).unwrap(), [None], "{value}");
        ours.set("key", b"x", &StoreOptions::new()).unwrap();
        assert_eq!(ours.get("key").unwrap().as_deref(), Some(&b"x"[..]), "{value}");
    }
}

/// The index of a damaged file leads from one key to the row of another.
#[test]
fn damaged_index_returns_no_value_of_another_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let ours = backend(&folder, |_| ());
    ours.set("key A", b"value A", &StoreOptions::new()).unwrap();
    ours.set("key B", b"value B", &StoreOptions::new()).unwrap();
    ours.delete("key A").unwrap();
    ours.set("key A", b"value A", &StoreOptions::new()).unwrap();
    drop(ours);
    // The index has the keys followed by their row numbers. Exchange the last byte of the two keys in the index only.
    let mut bytes = fs::read(&path).unwrap();
    let index = bytes.len() - 4096..bytes.len();
    for at in index.clone().filter(|at| bytes[*at..].starts_with(b"key ")).collect::<Vec<_>>() {
        bytes[at + 4] = if bytes[at + 4] == b'A' { b'B' } else { b'A' };
    }
    fs::write(&path, bytes).unwrap();
    let sqlite = Connection::open(&path).unwrap();
    let wrong = "SELECT value FROM Dict WHERE key = CAST('key B' AS BLOB)";
    let wrong: Option<Vec<u8>> = sqlite.query_row(wrong, [], |row| row.get(0)).ok();
    assert!(wrong.as_deref() != Some(b"value B"), "the index is intact");
    drop(sqlite);
    let ours = backend(&folder, |_| ());
    for key in ["key A", "key B"] {
        assert_eq!(ours.get(key).unwrap_or_default(), None, "{key}");
        ours.set(key, b"new", &StoreOptions::new()).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn files_are_private_unless_an_argument_shares_them() {
    use std::os::unix::fs::PermissionsExt;
    for mode in [0o600, 0o664] {
        let folder = tempfile::tempdir().unwrap();
        let ours = backend(&folder, |config| config.file_mode = mode);
        ours.set("key", b"x", &StoreOptions::new()).unwrap();
        let mutex = ours.get_mutex("key").unwrap();
        assert!(mutex.try_acquire().unwrap());
        let modes: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap())
            .map(|file| (file.file_name(), file.metadata().unwrap().permissions().mode() & 0o777))
            .collect();
        assert!(modes.len() >= 5 && modes.iter().all(|(_, found)| *found == mode), "{modes:?}");
    }
}

#[test]
fn last_user_removes_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let ours = backend(&folder, |_| ());
    ours.set("key", b"x", &StoreOptions::new()).unwrap();
    ours.close().unwrap();
    let log = folder.path().join("cache.db-wal");
    assert!(!log.exists());
    // A closed backend can still be used.
    ours.set("key", b"y", &StoreOptions::new()).unwrap();
    assert!(log.exists());
    drop(ours);
    assert!(!log.exists());
}
