//! What the file backends cost, compared with bare SQLite and LMDB.
//!
//! Also measures how late the last of many processes gets a value that one of them created.
//!
//! `cargo bench -p dogpile-benches --bench dbm` (about a minute; `-- --quick`: some seconds, to see that it runs).

#[path = "processes.rs"]
mod processes;

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::Command;

use dogpile::sdk::{BytesBackend, BytesEntry, StoreOptions};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_benches::rivals::{Rival, compare, verdict};
use dogpile_benches::versus::{BareLmdb, BareSqlite};
use dogpile_benches::{Failure, Summary, is_quick};
use dogpile_dbm::{DbmBackend, DbmConfig, LmdbBackend, LmdbConfig, Lockfile, Synchronous};
use dogpile_tests::servers::python;
use serde_json::json;
use tempfile::TempDir;

const DBM: &str = "dogpile.cache.dbm";
const LMDB: &str = "dogpile.cache.lmdb";

const KEYS: usize = 1000;
const MANY: usize = 100;
const VALUE: [u8; 200] = [b'x'; 200];
/// The largest ratio of a call's time to that of the bare library.
const MOST: f64 = 1.3;
/// The largest ratio of a hit's time to that of Python.
const OF_PYTHON: f64 = 0.1;

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Of each rival, in each round.
    calls: usize,
    stampedes: usize,
}

const FULL: Effort = Effort { rounds: 100, calls: 1000, stampedes: 50 };
const QUICK: Effort = Effort { rounds: 3, calls: 50, stampedes: 2 };

fn main() -> Result<(), Failure> {
    if processes::served() {
        return Ok(());
    }
    let effort = if is_quick()? { QUICK } else { FULL };
    let folder = tempfile::tempdir()?;
    println!("µs, median of {} rounds (1st to 9th decile), and the ratio to the first", effort.rounds);
    sqlite(folder.path(), effort)?;
    lmdb(folder.path(), effort)?;
    beside_python(folder.path(), effort)?;
    for backend in [DBM, LMDB] {
        stampedes(backend, effort.stampedes)?;
    }
    Ok(())
}

/// Keys that are requested one after another.
struct Keys {
    all: Vec<String>,
    next: Cell<usize>,
}

impl Keys {
    fn new() -> Self {
        Keys { all: (0..KEYS).map(|number| format!("user:{number:06}")).collect(), next: Cell::new(0) }
    }

    fn next(&self) -> &str {
        let number = self.next.get();
        self.next.set((number + 1) % KEYS);
        &self.all[number]
    }

    fn entries(&self) -> Vec<(&str, &[u8])> {
        self.all.iter().map(|key| (key.as_str(), &VALUE[..])).collect()
    }

    fn many(&self) -> Vec<&str> {
        self.all.iter().take(MANY).map(String::as_str).collect()
    }
}

fn sqlite(folder: &Path, effort: Effort) -> Result<(), Failure> {
    let keys = Keys::new();
    let bare = BareSqlite::new(&folder.join("bare.db"), &keys.entries())?;
    let ours = DbmBackend::new(DbmConfig::new(folder.join("ours.db")))?;
    let mut config = DbmConfig::new(folder.join("unlocked.db"));
    config.rw_lockfile = Some(Lockfile::Switch(false));
    let unlocked = DbmBackend::new(config)?;
    let mut config = DbmConfig::new(folder.join("limited.db"));
    (config.max_entries, config.max_bytes) = (Some(10_000), Some(10_000_000));
    let limited = DbmBackend::new(config)?;
    for backend in [&ours, &unlocked, &limited] {
        backend.set_multi(&stores(&keys.entries()))?;
    }
    let gets = &mut [
        Rival::new("bare SQLite: get", || assert!(bare.get(keys.next()).is_some())),
        get("dbm: get", &ours, &keys).at_most(MOST),
        get("dbm without rw_lockfile: get", &unlocked, &keys).at_most(MOST),
    ];
    compare("SQLite, get of 200 bytes", effort.rounds, effort.calls, gets);
    let sets = &mut [
        Rival::new("bare SQLite: set", || bare.set(keys.next(), &VALUE)),
        set("dbm: set", &ours, &keys).at_most(MOST),
        set("dbm without rw_lockfile: set", &unlocked, &keys).at_most(MOST),
        set("dbm with limits: set", &limited, &keys),
    ];
    compare("SQLite, set of 200 bytes", effort.rounds, effort.calls.div_ceil(5), sets);
    let many = &mut [
        Rival::new("bare SQLite: 100 gets, one transaction", || bare.get_multi(&keys.many())),
        get_multi("dbm: get_multi of 100", &ours, &keys).at_most(MOST),
        Rival::new("bare SQLite: 100 sets, one transaction", || bare.set_multi(&keys.entries()[..MANY])),
        set_multi("dbm: set_multi of 100", &ours, &keys),
        set_singly("dbm: 100 times set", &ours, &keys),
    ];
    compare("SQLite, 100 keys", effort.rounds, effort.calls.div_ceil(100), many);
    Ok(())
}

fn lmdb(folder: &Path, effort: Effort) -> Result<(), Failure> {
    let keys = Keys::new();
    let bare = BareLmdb::new(&folder.join("bare.mdb"), &keys.entries())?;
    let mut config = LmdbConfig::new(folder.join("ours.mdb"));
    config.synchronous = Synchronous::Off;
    let ours = LmdbBackend::new(config)?;
    ours.set_multi(&stores(&keys.entries()))?;
    let gets = &mut [
        Rival::new("bare LMDB: get", || assert!(bare.get(keys.next()).is_some())),
        get("lmdb: get", &ours, &keys).at_most(MOST),
    ];
    compare("LMDB, get of 200 bytes", effort.rounds, effort.calls * 5, gets);
    let sets = &mut [
        Rival::new("bare LMDB: set, not synchronous", || bare.set(keys.next(), &VALUE)),
        set("lmdb: set, not synchronous", &ours, &keys).at_most(MOST),
    ];
    compare("LMDB, set of 200 bytes", effort.rounds, effort.calls.div_ceil(5), sets);
    let many = &mut [
        Rival::new("bare LMDB: 100 gets, one transaction", || bare.get_multi(&keys.many())),
        get_multi("lmdb: get_multi of 100", &ours, &keys).at_most(MOST),
        set_multi("lmdb: set_multi of 100", &ours, &keys),
        set_singly("lmdb: 100 times set", &ours, &keys),
    ];
    compare("LMDB, 100 keys", effort.rounds, effort.calls.div_ceil(100), many);
    Ok(())
}

fn get<'a>(name: &'static str, backend: &'a dyn BytesBackend, keys: &'a Keys) -> Rival<'a> {
    Rival::new(name, || assert!(backend.get(keys.next()).expect("it works").is_some()))
}

fn set<'a>(name: &'static str, backend: &'a dyn BytesBackend, keys: &'a Keys) -> Rival<'a> {
    Rival::new(name, || stored(backend.set(keys.next(), &VALUE, &StoreOptions::new())))
}

fn get_multi<'a>(name: &'static str, backend: &'a dyn BytesBackend, keys: &'a Keys) -> Rival<'a> {
    Rival::new(name, || {
        let found = backend.get_multi(&keys.many()).expect("it works");
        assert!(found.iter().all(Option::is_some));
    })
}

/// Returns what `set_multi` takes.
fn stores<'a>(entries: &[(&'a str, &'a [u8])]) -> Vec<BytesEntry<'a>> {
    const OPTIONS: &StoreOptions = &StoreOptions::new();
    entries.iter().map(|(key, value)| BytesEntry::new(key, value, OPTIONS)).collect()
}

fn set_multi<'a>(name: &'static str, backend: &'a dyn BytesBackend, keys: &'a Keys) -> Rival<'a> {
    Rival::new(name, || stored(backend.set_multi(&stores(&keys.entries()[..MANY]))))
}

fn set_singly<'a>(name: &'static str, backend: &'a dyn BytesBackend, keys: &'a Keys) -> Rival<'a> {
    Rival::new(name, || {
        keys.many().iter().for_each(|key| stored(backend.set(key, &VALUE, &StoreOptions::new())));
    })
}

fn stored(outcome: Result<(), dogpile::sdk::BackendError>) {
    outcome.expect("it stores");
}

/// A program in Python that times a hit of its dbm backend, on its default dbm or on that of version 3.13.
const SCRIPT: &str = "
import sys, time
if sys.argv[1] == '3.13':
    sys.path.insert(0, sys.argv[4])
    import sqlite_dbm
from dogpile.cache import make_region
region = make_region().configure('dogpile.cache.dbm', arguments={'filename': sys.argv[2]})
keys = ['user:%06d' % number for number in range(1000)]
for key in keys: region.set(key, 'x' * 200)
times = []
for _ in range(int(sys.argv[3])):
    begun = time.perf_counter()
    for key in keys: region.get(key)
    times.append((time.perf_counter() - begun) * 1000)
import dbm
print(sorted(times)[len(times) // 2], dbm.whichdb(sys.argv[2]) or 'as Python 3.13')
";

/// Returns the time of Python's faster hit, in microseconds.
fn python_hit(folder: &Path, rounds: usize) -> Result<Option<f64>, Failure> {
    let Ok(python) = python() else { return Ok(None) };
    let mut times = Vec::new();
    for kind in ["default", "3.13"] {
        let mut script = Command::new(&python);
        script.args(["-c", SCRIPT, kind]).arg(folder.join(kind)).arg(rounds.to_string());
        let output = script.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python")).output()?;
        let output = String::from_utf8(output.stdout)?;
        let (time, dbm) = output.trim().split_once(' ').ok_or("Python printed no times")?;
        println!("Python: {:36}{time:>9.7}", dbm);
        times.push(time.parse()?);
    }
    Ok(times.into_iter().reduce(f64::min))
}

fn beside_python(folder: &Path, effort: Effort) -> Result<(), Failure> {
    println!("\na hit through a region, the ratio to the faster of Python's");
    let Some(theirs) = python_hit(folder, effort.rounds.div_ceil(20))? else {
        println!("ignored: there is no Python with dogpile.cache to compare with");
        return Ok(());
    };
    let keys = Keys::new();
    for backend in [DBM, LMDB] {
        let region = CacheRegion::new("benched");
        let arguments = json!({ "filename": folder.join(format!("{backend} beside Python")) });
        region.configure(RegionConfig::new(backend).arguments(arguments))?;
        region.set_multi(keys.all.iter().map(|key| (key.clone(), "x".repeat(200))))?;
        let mut times = Vec::new();
        for _ in 0..effort.rounds {
            let begun = std::time::Instant::now();
            for _ in 0..KEYS {
                assert!(region.get::<String>(keys.next())?.is_some());
            }
            times.push(begun.elapsed().as_secs_f64() * 1e6 / KEYS as f64);
        }
        let ours = Summary::of(times).median;
        println!("{backend:44}{ours:>9.2} {:>25.3}{}", ours / theirs, verdict(ours / theirs, OF_PYTHON));
    }
    Ok(())
}

/// Measures stampedes on `backend`, on a file of its own.
fn stampedes(backend: &str, rounds: usize) -> Result<(), Failure> {
    let folder = TempDir::new()?;
    let configuration =
        json!({ "backend": backend, "arguments": { "filename": folder.path().join("cache") } });
    processes::stampedes(backend, &configuration, rounds)?;
    Ok(fs::remove_dir_all(folder.path())?)
}
