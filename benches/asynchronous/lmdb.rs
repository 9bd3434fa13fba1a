//! A read of LMDB in the task that needs it, compared with one on a thread for blocking calls.

use std::fs::File;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile::sdk::{BytesBackend, BytesEntry, StoreOptions};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_benches::versus::BareLmdb;
use dogpile_benches::{Failure, Summary};
use dogpile_dbm::{LmdbBackend, LmdbConfig, Synchronous};
use rustix::fs::{Advice, fadvise};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

const KEYS: usize = 100;
const SIZES: [(&str, usize); 2] = [("200 bytes", 200), ("100 KB", 100_000)];
/// How many values are read from the disk.
const COLD_READS: usize = 50;

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// In each round.
    reads: usize,
}

const FULL: Effort = Effort { rounds: 50, reads: 500 };
const QUICK: Effort = Effort { rounds: 3, reads: 50 };

pub(crate) fn measure(quick: bool) -> Result<(), Failure> {
    let effort = if quick { QUICK } else { FULL };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    println!("\nreads of LMDB, µs, median of {} rounds (1st to 9th decile)", effort.rounds);
    for (name, size) in SIZES {
        let folder = tempfile::tempdir()?;
        println!("\na value of {name}, whose file is in memory");
        backends(&runtime, folder.path(), size, effort)?;
        regions(&runtime, folder.path(), size, effort)?;
    }
    cold()
}

fn keys() -> Arc<[String]> {
    (0..KEYS).map(|number| format!("user:{number:06}")).collect()
}

/// Measures the calls of the backend alone.
fn backends(runtime: &Runtime, folder: &Path, size: usize, effort: Effort) -> Result<(), Failure> {
    let mut config = LmdbConfig::new(folder.join("backend.mdb"));
    config.synchronous = Synchronous::Off;
    let (backend, keys, value) = (Arc::new(LmdbBackend::new(config)?), keys(), vec![b'x'; size]);
    let options = StoreOptions::new();
    let entries: Vec<_> = keys.iter().map(|key| BytesEntry::new(key, &value, &options)).collect();
    backend.set_multi(&entries)?;

    let inline = times(runtime, effort, async |number: usize| {
        black_box(backend.get(&keys[number % KEYS])).is_ok_and(|found| found.is_some())
    });
    let offloaded = times(runtime, effort, async |number: usize| {
        let (backend, keys) = (Arc::clone(&backend), Arc::clone(&keys));
        let read = spawn_blocking(move || backend.get(&keys[number % KEYS]));
        black_box(read.await).is_ok_and(|found| found.is_ok_and(|found| found.is_some()))
    });
    print("get in the task", &inline);
    print("get through spawn_blocking", &offloaded);
    Ok(())
}

/// Measures the calls of a region.
fn regions(runtime: &Runtime, folder: &Path, size: usize, effort: Effort) -> Result<(), Failure> {
    let (region, keys) = (CacheRegion::new("lmdb"), keys());
    let arguments = json!({ "filename": folder.join("region.mdb"), "synchronous": "off" });
    region.configure(RegionConfig::new("dogpile.cache.lmdb").arguments(arguments))?;
    region.set_multi(keys.iter().map(|key| (key, "x".repeat(size))))?;

    let of_threads = times(runtime, effort, async |number: usize| {
        black_box(region.get::<String>(&keys[number % KEYS])).is_ok_and(|found| found.is_some())
    });
    let of_tasks = times(runtime, effort, async |number: usize| {
        black_box(region.get_async::<String>(&keys[number % KEYS]).await).is_ok_and(|found| found.is_some())
    });
    print("a region's get", &of_threads);
    print("a region's get_async", &of_tasks);
    Ok(())
}

/// Returns the microseconds for a read, in each round.
fn times(runtime: &Runtime, effort: Effort, read: impl AsyncFn(usize) -> bool) -> Vec<f64> {
    let round = async |_| {
        let begun = Instant::now();
        for number in 0..effort.reads {
            assert!(read(number).await, "every read finds its value");
        }
        microseconds(begun.elapsed()) / effort.reads as f64
    };
    runtime.block_on(async {
        let mut times = Vec::new();
        // The first round only warms up.
        for number in 0..=effort.rounds {
            times.push(round(number).await);
        }
        times.split_off(1)
    })
}

/// Measures reads of values whose pages have to come from the disk.
fn cold() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("cold.mdb");
    let (value, keys) = (vec![b'x'; 200], (0..100_000).map(|number| format!("user:{number:06}")));
    let keys: Vec<String> = keys.collect();
    let entries: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &value[..])).collect();
    drop(BareLmdb::new(&path, &entries)?);
    let file = File::open(&path)?;
    file.sync_all()?;
    // The file is no longer mapped, so that the system can drop its pages.
    fadvise(&file, 0, None, Advice::DontNeed)?;

    let bare = BareLmdb::new(&path, &[])?;
    let step = keys.len() / COLD_READS;
    let times: Vec<f64> = keys
        .iter()
        .step_by(step)
        .map(|key| {
            let begun = Instant::now();
            assert!(bare.get(key).is_some());
            microseconds(begun.elapsed())
        })
        .collect();
    println!("\na value of 200 bytes, whose pages are on the disk ({COLD_READS} reads)");
    let Summary { median, low, high, max } = Summary::of(times);
    println!(
        "{:44}{median:>9.2} {:>17}, at most {max:.0}",
        "bare LMDB: get",
        format!("({low:.2}-{high:.2})")
    );
    Ok(())
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn print(name: &str, times: &[f64]) {
    let Summary { median, low, high, .. } = Summary::of(times.iter().copied());
    println!("{name:44}{median:>9.2} {:>17}", format!("({low:.2}-{high:.2})"));
}
