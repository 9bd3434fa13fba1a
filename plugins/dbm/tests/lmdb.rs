//! LMDB files that grow, change while open, or are invalid, and keys that LMDB does not accept.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::fs;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use dogpile_dbm::{AbstractFileLock, DbmBackend, DbmConfig, FileLock, LmdbBackend, LmdbConfig, Synchronous};
use dogpile_sdk::{BytesBackend, BytesEntry, ErrorKind, StoreOptions};
use tempfile::TempDir;

/// Returns a backend over `cache.mdb` in `folder`, with a changed configuration.
fn backend(folder: &TempDir, change: impl FnOnce(&mut LmdbConfig)) -> LmdbBackend {
    let mut config = LmdbConfig::new(folder.path().join("cache.mdb"));
    config.synchronous = Synchronous::Off;
    change(&mut config);
    LmdbBackend::new(config).unwrap()
}

#[test]
fn full_file_grows_while_threads_read_and_write() {
    let folder = tempfile::tempdir().unwrap();
    let small = backend(&folder, |config| config.map_size = 64 << 10);
    small.set("first", b"x", &StoreOptions::new()).unwrap();
    thread::scope(|scope| {
        for thread in 0..3 {
            let small = &small;
            scope.spawn(move || {
                for number in 0..300 {
                    small.set(&format!("{thread} {number}"), &[7; 3000], &StoreOptions::new()).unwrap();
                    assert_eq!(small.get("first").unwrap().as_deref(), Some(&b"x"[..]));
                }
            });
        }
    });
    for thread in 0..3 {
        assert_eq!(small.get(&format!("{thread} 299")).unwrap(), Some(vec![7; 3000]));
    }
    assert!(fs::metadata(folder.path().join("cache.mdb")).unwrap().len() > 2_000_000);
    small.set("large", &vec![1; 20 << 20], &StoreOptions::new()).unwrap();
    assert_eq!(small.get("large").unwrap().map(|value| value.len()), Some(20 << 20));
}

#[test]
fn keys_of_any_length_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let ours = backend(&folder, |_| ());
    let keys: Vec<String> = [0, 1, 511, 512, 513, 100_000].map(|length| "k".repeat(length)).into();
    for (number, key) in keys.iter().enumerate() {
        ours.set(key, number.to_string().as_bytes(), &StoreOptions::new()).unwrap();
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = ours.get_multi(&keys).unwrap();
    for (number, value) in found.into_iter().enumerate() {
        assert_eq!(value, Some(number.to_string().into_bytes()));
    }
    ours.delete_multi(&keys).unwrap();
    assert_eq!(ours.get_multi(&keys).unwrap(), vec![None; 6]);
}

#[test]
fn second_backend_shares_the_open_file() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [(); 2].map(|()| backend(&folder, |_| ()));
    one.set("key", b"x", &StoreOptions::new()).unwrap();
    drop(one);
    assert!(two.get("key").unwrap().is_some());
    drop(two);
    assert!(backend(&folder, |_| ()).get("key").unwrap().is_some());
}

#[test]
fn concurrent_opening_and_closing_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (folder, start) = (&folder, &start);
            scope.spawn(move || {
                start.wait();
                for number in 0..50 {
                    backend(folder, |_| ())
                        .set(&format!("{thread} {number}"), b"x", &StoreOptions::new())
                        .unwrap();
                }
            });
        }
    });
    let ours = backend(&folder, |_| ());
    for thread in 0..4 {
        assert!(ours.get(&format!("{thread} 49")).unwrap().is_some());
    }
}

/// Calls `look` until it returns `true`. A changed file sends no notification.
fn until(look: impl Fn() -> bool) {
    let start = Instant::now();
    while !look() {
        assert!(start.elapsed() < Duration::from_secs(30), "the change is never noticed");
    }
}

#[test]
fn deleted_file_is_recreated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.mdb");
    let ours = backend(&folder, |_| ());
    ours.set("old", b"x", &StoreOptions::new()).unwrap();
    fs::remove_file(&path).unwrap();
    until(|| ours.get("old").unwrap().is_none());
    fs::remove_file(&path).unwrap();
    until(|| {
        ours.set("new", b"y", &StoreOptions::new()).unwrap();
        path.exists()
    });
    ours.set("new", b"y", &StoreOptions::new()).unwrap();
    drop(ours);
    assert!(backend(&folder, |_| ()).get("new").unwrap().is_some());
}

#[test]
fn replaced_file_is_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("cache.mdb"), folder.path().join("other.mdb"));
    let ours = backend(&folder, |_| ());
    ours.set("old", b"x", &StoreOptions::new()).unwrap();
    let theirs = LmdbBackend::new(LmdbConfig::new(&other)).unwrap();
    theirs.set("theirs", b"t", &StoreOptions::new()).unwrap();
    drop(theirs);
    fs::rename(&other, &path).unwrap();
    until(|| ours.get("theirs").unwrap().is_some());
    ours.set("ours", b"o", &StoreOptions::new()).unwrap();
    assert!(ours.get("ours").unwrap().is_some());
    assert_eq!(ours.get("old").unwrap(), None);
}

#[test]
fn file_that_is_not_lmdb_is_refused_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (text, sqlite) = (folder.path().join("text"), folder.path().join("cache.db"));
    fs::write(&text, "a text, and longer than a page of a database. ".repeat(400)).unwrap();
    DbmBackend::new(DbmConfig::new(&sqlite)).unwrap().set("key", b"x", &StoreOptions::new()).unwrap();
    for path in [&text, &sqlite] {
        let before = fs::read(path).unwrap();
        let error = LmdbBackend::new(LmdbConfig::new(path)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("it is not an LMDB file of keys and values"), "{error}");
        assert_eq!(&fs::read(path).unwrap(), &before);
    }
}

#[test]
fn missing_directory_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let error = LmdbBackend::new(LmdbConfig::new(folder.path().join("none/cache.mdb"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let directory = folder.path().join("none");
    let expected = format!("/none/cache.mdb\": the directory {directory:?} does not exist; create it");
    assert!(error.to_string().ends_with(&expected), "{error}");
}

/// A generator of reproducible numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % limit).unwrap()
    }
}

/// The check at opening finds no damage, whatever was stored and deleted before.
#[test]
fn file_that_was_written_at_random_is_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(7);
    for _ in 0..60 {
        let ours = backend(&folder, |config| config.map_size = 64 << 10);
        for _ in 0..40 {
            let key = "k".repeat(1 + random.below(300)) + &random.below(500).to_string();
            let value = vec![7; [10, 500, 1900, 2100, 5000, 70_000][random.below(6)] + random.below(100)];
            match random.below(4) {
                0 => ours.delete(&key).unwrap(),
                1 => {
                    let keys: Vec<_> = (0..50).map(|_| random.below(500).to_string()).collect();
                    let options = StoreOptions::new();
                    let entries: Vec<_> =
                        keys.iter().map(|key| BytesEntry::new(key, &value, &options)).collect();
                    ours.set_multi(&entries).unwrap();
                }
                2 => {
                    let keys: Vec<_> = (0..100).map(|_| random.below(500).to_string()).collect();
                    ours.delete_multi(&keys.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
                }
                _ => ours.set(&key, &value, &StoreOptions::new()).unwrap(),
            }
        }
    }
}

#[test]
fn truncated_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.mdb");
    let ours = backend(&folder, |_| ());
    for number in 0..100 {
        ours.set(&number.to_string(), &[7; 3000], &StoreOptions::new()).unwrap();
    }
    drop(ours);
    let whole = fs::read(&path).unwrap();
    for length in [1, 100, 4096, 5000, 8192, whole.len() / 2, whole.len() - 4096] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = LmdbBackend::new(LmdbConfig::new(&path)).unwrap_err();
        assert!(
            error.to_string().contains("it is damaged or was cut off") || length < 4096,
            "{length}: {error}"
        );
    }
    fs::write(&path, &whole).unwrap();
    assert!(backend(&folder, |_| ()).get("99").unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn file_under_two_names_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("cache.mdb"), folder.path().join("other.mdb"));
    let ours = backend(&folder, |_| ());
    ours.set("key", b"x", &StoreOptions::new()).unwrap();
    fs::hard_link(&path, &other).unwrap();
    let error = LmdbBackend::new(LmdbConfig::new(&other)).unwrap_err();
    assert!(error.to_string().contains("this process has it open under another name"), "{error}");
    drop(ours);
    for path in [&path, &other] {
        let error = LmdbBackend::new(LmdbConfig::new(path)).unwrap_err();
        assert!(error.to_string().contains("it has several names (hard links)"), "{error}");
    }
    fs::remove_file(&path).unwrap();
    assert!(LmdbBackend::new(LmdbConfig::new(&other)).unwrap().get("key").unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn files_are_private_unless_an_argument_shares_them() {
    use std::os::unix::fs::PermissionsExt;
    for mode in [0o600, 0o664] {
        let folder = tempfile::tempdir().unwrap();
        let ours = backend(&folder, |config| config.file_mode = mode);
        ours.set("key", b"x", &StoreOptions::new()).unwrap();
        assert!(ours.get_mutex("key").unwrap().try_acquire().unwrap());
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
        let modes = files.iter().map(|file| file.metadata().unwrap().permissions().mode() & 0o777);
        assert_eq!(modes.collect::<Vec<_>>(), [mode; 4], "{files:?}");
    }
}

#[cfg(unix)]
#[test]
fn symbolic_link_is_not_followed_as_a_lock_file() {
    for ending in ["-lock", ".rw.lock"] {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::os::unix::fs::symlink(&target, folder.path().join(format!("cache.mdb{ending}"))).unwrap();
        let error = LmdbBackend::new(LmdbConfig::new(folder.path().join("cache.mdb"))).unwrap_err();
        assert!(error.to_string().contains("it is a symbolic link"), "{error}");
        assert!(!target.exists());
    }
}

#[test]
fn held_writers_lock_times_out_for_writers() {
    let folder = tempfile::tempdir().unwrap();
    let ours = backend(&folder, |config| config.busy_timeout = Duration::from_millis(10));
    let lock = FileLock::open(folder.path().join("cache.mdb.rw.lock")).unwrap();
    assert!(lock.acquire_write_lock(Duration::ZERO).unwrap());
    assert_eq!(ours.get("key").unwrap(), None);
    let error = ours.set("key", b"x", &StoreOptions::new()).unwrap_err();
    assert_eq!((error.kind(), error.key()), (ErrorKind::Timeout, Some("key")));
    assert!(error.to_string().contains("another writer held it for the whole \"busy_timeout\""), "{error}");
    lock.release_write_lock().unwrap();
    ours.set("key", b"x", &StoreOptions::new()).unwrap();
}
