//! A million distinct keys, each created once, leave nothing in the lock's registry.
//!
//! `cargo bench -p dogpile-benches --bench registry_stays_empty` (`-- --quick`: ten thousand keys).
//!
//! The lock alone tells how many gates it has. A region's gates are counted by a test in the host; here the region's
//! backend forgets what it is given, so that memory which the process gains is the lock's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use dogpile::lock::{DogpileLock, Gates, Leadership, LockError, Reading, Regeneration};
use dogpile::sdk::{BackendError, CacheBackend, CachedValue};
use dogpile::{CacheRegion, RegionConfig};
use dogpile_benches::{Failure, is_quick};

const THREADS: usize = 2;

fn main() -> Result<(), Failure> {
    let keys = if is_quick()? { 10_000 } else { 1_000_000 };
    the_lock_alone(keys);
    a_region(keys)
}

/// Creates `keys` values by `create`, which is given a key, on some threads; answers how long one takes.
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

/// A store that has nothing, and counts what it is given and how many gates there are meanwhile.
struct Counting<'a> {
    gates: &'a Gates,
    most_gates: &'a AtomicUsize,
}

impl Regeneration for Counting<'_> {
    type Value = ();
    type Error = LockError;

    fn read(&mut self) -> Result<Reading<()>, LockError> {
        Ok(Reading::Missing)
    }

    fn create(&mut self, _: &Leadership) -> Result<(), LockError> {
        self.most_gates.fetch_max(self.gates.len(), Relaxed);
        Ok(())
    }
}

fn the_lock_alone(keys: usize) {
    let (gates, most_gates) = (Arc::new(Gates::new()), AtomicUsize::new(0));
    let each = create_all(keys, |key| {
        let mut counting = Counting { gates: &gates, most_gates: &most_gates };
        DogpileLock::new(&gates, key).get_or_create(&mut counting).expect("nobody fails");
    });
    println!(
        "the lock: {keys} keys created on {THREADS} threads, {} ns each (counting included); at most {} gates at a \
         time, {} left",
        each.as_nanos(),
        most_gates.into_inner(),
        gates.len()
    );
}

/// A store that forgets at once.
#[derive(Debug)]
struct Forgetful;

impl CacheBackend for Forgetful {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(None)
    }

    fn set(&self, _key: &str, _value: CachedValue) -> Result<(), BackendError> {
        Ok(())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Ok(())
    }
}

fn a_region(keys: usize) -> Result<(), Failure> {
    let region = CacheRegion::new("forgetful");
    region.configure(RegionConfig::from_instance(Arc::new(Forgetful)))?;
    let create = |key: &str| {
        region.get_or_create(key, || 1_u64).expect("nobody fails");
    };
    // What allocator and threads need for themselves.
    create_all(keys / 10, create);
    let before = resident_kib();
    let each = create_all(keys, create);
    print!("a region: {keys} keys created on {THREADS} threads, {} ns each; ", each.as_nanos());
    match before.and_then(|before| Ok(resident_kib()? - before)) {
        Ok(gained) => println!("the process has gained {gained} KiB"),
        Err(error) => println!("its memory is not known here: {error}"),
    }
    Ok(())
}

/// Memory of the process, as Linux tells it.
fn resident_kib() -> io::Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other("no VmRSS in /proc/self/status"))
}
