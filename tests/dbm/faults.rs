//! Full and read-only disks, and one file in two copies of the library.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use dogpile::{CacheRegion, RegionConfig, Registry};
use dogpile_tests::errors::told;
use dogpile_tests::libraries::{library, permissive_registry};
use dogpile_tests::peer::Peer;
use dogpile_tests::threads::{bounded, until};
use serde_json::json;
use tempfile::TempDir;

use super::{DBM, LMDB, Place, configuration, region_over};

/// A disk of one mebibyte in memory. Dropping the value unmounts it.
struct Disk(TempDir);

impl Disk {
    /// Mounts a disk.
    fn mount() -> Self {
        Disk::try_mount().expect("this process may mount a disk")
    }

    /// Mounts a disk. Returns `None` if this process may not mount anything.
    fn try_mount() -> Option<Self> {
        let folder = dogpile_tests::servers::folder();
        run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"], folder.path()).then(|| Disk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], self.0.path());
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).arg(path).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg_attr(missing_mount, ignore = "needs the right to mount a disk")]
#[test]
fn full_disk_fails_writes_and_is_still_read() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let disk = Disk::mount();
            let region = region_over(backend, &disk.path().join("cache"));
            region.set("first", "kept".to_owned()).unwrap();
            let long = "x".repeat(50_000);
            let mut sets = (0..100).map(|number| region.set(&format!("key {number}"), long.clone()));
            let error = sets.find_map(Result::err).expect("the disk becomes full");
            assert!(told(&error).contains("cache\": the disk is full; free some space"), "{}", told(&error));
            assert_eq!(region.get::<String>("first").unwrap().as_deref(), Some("kept"), "{backend}");
            let stored =
                (0..100).filter_map(|number| region.get::<String>(&format!("key {number}")).unwrap());
            let stored: Vec<String> = stored.collect();
            assert!(!stored.is_empty() && stored.iter().all(|value| *value == long), "{backend}");
        }
    });
}

#[cfg_attr(missing_mount, ignore = "needs the right to mount a disk")]
#[test]
fn disk_with_room_again_is_written_again() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let disk = Disk::mount();
            let filler = disk.path().join("filler");
            let region = region_over(backend, &disk.path().join("cache"));
            // Take all the room that is left.
            let _ = fs::write(&filler, vec![0; 1 << 20]);
            let long = "x".repeat(50_000);
            assert!((0..10).any(|number| region.set(&format!("key {number}"), long.clone()).is_err()));
            // Truncate the file instead of removing it: a program that another test starts at this moment may hold it
            // open until it runs, and a removed file keeps its room that long.
            fs::write(&filler, []).unwrap();
            region.set("key", long.clone()).unwrap();
            assert_eq!(region.get("key").unwrap(), Some(long));
        }
    });
}

/// Makes the folder and everything in it read-only. The superuser needs a disk for this.
fn make_read_only(disk: Option<&Disk>, folder: &Path) {
    if disk.is_none() {
        return assert!(run("chmod", &["-R", "a-w"], folder));
    }
    // The disk is busy while a program that another test starts has a file of it open, which it inherited.
    until("the disk is read-only", || run("mount", &["-o", "remount,ro"], folder));
}

#[test]
fn read_only_folder_is_reported() {
    for (backend, exists) in [(DBM, false), (DBM, true), (LMDB, false), (LMDB, true)] {
        // Without a disk, this process is not the superuser, so that the permissions of a folder suffice.
        let (disk, folder) = (Disk::try_mount(), dogpile_tests::servers::folder());
        let folder = disk.as_ref().map_or(folder.path(), Disk::path);
        let file = folder.join("cache");
        if exists {
            region_over(backend, &file).set("key", 1).unwrap();
        }
        make_read_only(disk.as_ref(), folder);
        for more in [json!({}), json!({ "rw_lockfile": false, "dogpile_lockfile": false })] {
            if backend == LMDB && more.get("rw_lockfile").is_some() {
                continue;
            }
            let arguments = configuration(backend, &file, more)["arguments"].take();
            let region = CacheRegion::new("read-only");
            let config = RegionConfig::new(backend).arguments(arguments);
            let error = region.configure(config).expect_err("the file cannot be written");
            assert!(told(&error).contains(" is not writable for this user; check "), "{}", told(&error));
        }
        assert!(run("chmod", &["-R", "u+w"], folder) || disk.is_some());
    }
}

#[test]
fn file_open_in_another_library_copy_is_refused() {
    let loaded = permissive_registry();
    loaded.add_library(library("dogpile-dbm-dylib")).unwrap();
    for backend in [DBM, LMDB] {
        let place = Place::new(backend);
        let of = |registry: &Registry| {
            let arguments = place.configuration(json!({}))["arguments"].take();
            RegionConfig::new(backend).arguments(arguments).registry(registry.clone())
        };
        let linked = Registry::new();
        for (first, second) in [(&linked, &loaded), (&loaded, &linked)] {
            let [one, two] = ["one", "two"].map(CacheRegion::new);
            one.configure(of(first)).unwrap();
            one.set("key", 1).unwrap();
            let error = two.configure(of(second)).expect_err("two copies would release each other's locks");
            assert!(told(&error).contains("another copy of the database library"));
            assert_eq!(one.get("key").unwrap(), Some(1));
            drop(one);
            two.configure(of(second)).unwrap();
            assert_eq!(two.get("key").unwrap(), Some(1), "{backend}");
        }
    }
}

#[test]
fn deleted_file_is_recreated_by_every_process() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let place = Place::new(backend);
            let [one, two] = [(); 2].map(|()| Peer::worker(&place.configuration(json!({}))));
            one.set("old", &json!(1));
            assert_eq!(two.get("old"), Some(json!(1)));
            fs::remove_file(place.file()).unwrap();
            let number = Cell::new(0);
            until("both notice", || {
                number.set(number.get() + 1);
                one.set("new", &json!(number.get()));
                place.file().exists() && two.get("new") == Some(json!(number.get()))
            });
            two.set("more", &json!(3));
            assert_eq!((one.get("more"), one.get("old")), (Some(json!(3)), None));
        }
    });
}

#[test]
fn mistyped_argument_is_refused_with_the_nearest_name() {
    let region = CacheRegion::new("mistyped");
    let config = RegionConfig::new(DBM).argument("filename", "/tmp/never").argument("max_byte", 1);
    let error = told(&region.configure(config).unwrap_err());
    assert!(error.contains("max_byte") && error.contains("max_bytes"), "{error}");
}

#[test]
fn arguments_of_an_ini_file_may_be_strings() {
    let place = Place::new(DBM);
    let region = CacheRegion::new("of strings");
    let config = RegionConfig::new(DBM)
        .argument("filename", place.file())
        .argument("rw_lockfile", "False")
        .argument("dogpile_lockfile", "false")
        .argument("lock_factory", "thread")
        .argument("lock_stripes", "8")
        .argument("max_entries", "10")
        .argument("busy_timeout", "1.5")
        .argument("vacuum", "true");
    region.configure(config).unwrap();
    region.set("key", 1).unwrap();
    assert!(region.backend().unwrap().get_mutex("key").is_none());
    let files: Vec<_> = fs::read_dir(place.folder.path()).unwrap().flatten().collect();
    assert!(files.iter().all(|file| !file.file_name().to_string_lossy().ends_with(".lock")), "{files:?}");
}
