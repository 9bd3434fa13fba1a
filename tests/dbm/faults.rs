//! Disks that are full or may not be written, and one file in two libraries.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use dogpile::{CacheRegion, RegionConfig, Registry};
use dogpile_tests::errors::told;
use dogpile_tests::libraries::library;
use dogpile_tests::peer::Peer;
use dogpile_tests::threads::{bounded, until};
use serde_json::json;
use tempfile::TempDir;

use super::{DBM, LMDB, Place, configuration, region_over};

/// A disk of a mebibyte in memory, unmounted with the value.
struct Disk(TempDir);

impl Disk {
    /// None, which is told, where this process may not mount anything.
    fn mount() -> Option<Self> {
        let folder = dogpile_tests::servers::folder();
        if run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"], folder.path()) {
            return Some(Disk(folder));
        }
        eprintln!("ignored: this process may not mount a small disk");
        None
    }

    fn make_read_only(&self) {
        assert!(run("mount", &["-o", "remount,ro"], self.0.path()));
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

#[test]
fn a_full_disk_is_an_error_and_what_is_stored_is_still_read() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let Some(disk) = Disk::mount() else { return };
            let region = region_over(backend, &disk.path().join("cache"));
            region.set("first", "kept".to_owned()).unwrap();
            let long = "x".repeat(50_000);
            let mut sets = (0..100).map(|number| region.set(&format!("key {number}"), long.clone()));
            let error = sets.find_map(Result::err).expect("the disk is full at last");
            assert!(told(&error).contains("cache\": the disk is full; free some space"), "{}", told(&error));
            assert_eq!(region.get::<String>("first").unwrap().as_deref(), Some("kept"), "{backend}");
            let stored =
                (0..100).filter_map(|number| region.get::<String>(&format!("key {number}")).unwrap());
            let stored: Vec<String> = stored.collect();
            assert!(!stored.is_empty() && stored.iter().all(|value| *value == long), "{backend}");
        }
    });
}

#[test]
fn a_disk_that_has_room_again_is_written_again() {
    bounded(|| {
        for backend in [DBM, LMDB] {
            let Some(disk) = Disk::mount() else { return };
            let filler = disk.path().join("filler");
            let region = region_over(backend, &disk.path().join("cache"));
            // All that is left.
            let _ = fs::write(&filler, vec![0; 1 << 20]);
            let long = "x".repeat(50_000);
            assert!((0..10).any(|number| region.set(&format!("key {number}"), long.clone()).is_err()));
            fs::remove_file(&filler).unwrap();
            region.set("key", long.clone()).unwrap();
            assert_eq!(region.get("key").unwrap(), Some(long));
        }
    });
}

#[test]
fn a_folder_that_may_not_be_written_is_told() {
    for backend in [DBM, LMDB] {
        for exists in [false, true] {
            let Some(disk) = Disk::mount() else { return };
            let file = disk.path().join("cache");
            if exists {
                region_over(backend, &file).set("key", 1).unwrap();
            }
            disk.make_read_only();
            for more in [json!({}), json!({ "rw_lockfile": false, "dogpile_lockfile": false })] {
                if backend == LMDB && more.get("rw_lockfile").is_some() {
                    continue;
                }
                let arguments = configuration(backend, &file, more)["arguments"].take();
                let region = CacheRegion::new("read-only");
                let config = RegionConfig::new(backend).arguments(arguments);
                let error = region.configure(config).expect_err("it cannot be written");
                assert!(told(&error).contains("the file or its directory is missing or not writable"));
            }
        }
    }
}

#[test]
fn a_file_that_is_open_in_a_plugin_library_is_refused_to_the_linked_one_and_the_reverse() {
    let loaded = Registry::empty();
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
            let error = two.configure(of(second)).expect_err("two copies undo each other's locks");
            assert!(told(&error).contains("another copy of the database library"));
            assert_eq!(one.get("key").unwrap(), Some(1));
            drop(one);
            two.configure(of(second)).unwrap();
            assert_eq!(two.get("key").unwrap(), Some(1), "{backend}");
        }
    }
}

#[test]
fn a_file_that_vanishes_is_begun_anew_by_every_process() {
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
fn a_mistyped_argument_is_refused_with_the_nearest() {
    let region = CacheRegion::new("mistyped");
    let config = RegionConfig::new(DBM).argument("filename", "/tmp/never").argument("max_byte", 1);
    let error = told(&region.configure(config).unwrap_err());
    assert!(error.contains("max_byte") && error.contains("max_bytes"), "{error}");
}

#[test]
fn arguments_may_be_texts_as_an_ini_file_has_them() {
    let place = Place::new(DBM);
    let region = CacheRegion::new("of texts");
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
