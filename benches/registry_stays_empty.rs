//! A million distinct keys, each created once, leave nothing in the lock's registry.
//!
//! `cargo bench -p dogpile-benches --bench registry_stays_empty` (`-- --quick`: ten thousand keys).
//!
//! A lock of its own counts its gates while it creates. A region does not, so a test in the host counts those. Here, the
//! region's backend stores nothing, so that all memory that the process gains belongs to the lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use dogpile::lock::{DogpileLock, LockError, Reading};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_benches::{Failure, is_quick};
use dogpile_tests::forgetful::Forgetful;

const THREADS: usize = 2;

fn main() -> Result<(), Failure> {
    let keys = if is_quick()? { 10_000 } else { 1_000_000 };
    the_lock_alone(keys);
    a_region(keys)
}

/// Calls `create` once with each of `keys` keys, on some threads, and returns how long one call takes.
fn create_all(keys: usize, create: impl Fn(&str) + Sync) -> Duration {
    let began = Instant::now();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let create = &create;
            scope
                .spawn(move || (thread..keys).step_by(THREADS).for_each(|key| create(&format!("key:{key}"))));
        }
    });
    began.elapsed() * u32::try_from(THREADS).unwrap_or(1) / u32::try_from(keys).unwrap_or(1)
}

fn the_lock_alone(keys: usize) {
    let (lock, most_gates) = (DogpileLock::new(), AtomicUsize::new(0));
    let each = create_all(keys, |key| {
        let create = || {
            most_gates.fetch_max(lock.len(), Relaxed);
            Ok::<_, LockError>(())
        };
        lock.get_or_create(key, || Ok(Reading::Missing), create).expect("nothing fails");
    });
    println!(
        "the lock: {keys} keys created on {THREADS} threads, {} ns each (counting included); at most {} gates at a \
         time, {} left",
        each.as_nanos(),
        most_gates.into_inner(),
        lock.len()
    );
}

fn a_region(keys: usize) -> Result<(), Failure> {
    let region = CacheRegion::new("forgetful");
    region.configure(RegionConfig::from_instance(Arc::new(Forgetful(()))))?;
    let create = |key: &str| {
        region.get_or_create(key, || 1_u64).expect("nothing fails");
    };
    // Let the allocator and the threads take what they need for themselves.
    create_all(keys / 10, create);
    let before = resident_kib();
    let each = create_all(keys, create);
    print!("a region: {keys} keys created on {THREADS} threads, {} ns each; ", each.as_nanos());
    match before.and_then(|before| Ok(resident_kib()? - before)) {
        Ok(gained) => println!("the process gained {gained} KiB"),
        Err(error) => println!("cannot read the memory of the process: {error}"),
    }
    Ok(())
}

/// Returns the memory of the process, as Linux reports it.
fn resident_kib() -> io::Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("no VmRSS in /proc/self/status"))
}
