//! Threads that use all calls of a region at once and check the results.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dogpile::CacheRegion;
use serde_json::{Value, json};

use crate::errors::told;
use crate::threads::together;

/// The number of keys of each thread.
const OWN: u64 = 5;

/// The number of keys that all threads share.
const SHARED: u64 = 4;

/// Returns a value that shows whether it is whole: one number, repeated as often as the number determines.
fn value(number: u64) -> Vec<u64> {
    vec![number; 1 + number as usize % 90]
}

/// Returns whether `value` was stored by `mixed` and is whole.
pub fn is_whole(value: &[u64]) -> bool {
    value.first().is_some_and(|number| value == self::value(*number))
}

/// Returns all keys of the process `name` with this number of `threads`. They include those that all processes share.
pub fn keys(name: &str, threads: u64) -> Vec<String> {
    let own = (0..threads).flat_map(|thread| (0..OWN).map(move |number| own_key(name, thread, number)));
    own.chain((0..SHARED).map(shared_key)).collect()
}

fn own_key(name: &str, thread: u64, number: u64) -> String {
    format!("own {name} {thread} {number}")
}

fn shared_key(number: u64) -> String {
    format!("shared {number}")
}

/// Stores, reads, deletes, and creates values in `threads` threads for `seconds`.
///
/// Each thread has keys that no other thread uses, and keys that all threads share. The reply has the number of
/// `rounds`. An error names a value that is not the stored one.
pub(super) fn mixed(region: &CacheRegion, command: &Value) -> Result<Value, String> {
    let name = command["name"].as_str().unwrap_or_default();
    let threads = command["threads"].as_u64().unwrap_or(1);
    let seconds = Duration::try_from_secs_f64(command["seconds"].as_f64().unwrap_or_default())
        .map_err(|error| error.to_string())?;
    let (start, rounds) = (Instant::now(), AtomicU64::new(0));
    let ended = together(threads as usize, |thread| -> Result<(), String> {
        let mut worker = Thread { region, name, thread: thread as u64, round: 0 };
        while start.elapsed() < seconds {
            worker.round().map_err(|error| format!("thread {thread}, round {}: {error}", worker.round))?;
            rounds.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    ended.into_iter().collect::<Result<(), String>>()?;
    Ok(json!({ "rounds": rounds }))
}

struct Thread<'a> {
    region: &'a CacheRegion,
    name: &'a str,
    thread: u64,
    round: u64,
}

impl Thread<'_> {
    fn round(&mut self) -> Result<(), String> {
        self.round += 1;
        match self.round % 8 {
            0 => self.delete(),
            1 => self.many(),
            2 | 3 => self.create(),
            _ => self.store(),
        }?;
        // Read a key that another thread may be storing or deleting.
        let other = own_key(self.name, self.thread + 1, self.round % OWN);
        self.read(&other).map(drop)
    }

    fn store(&self) -> Result<(), String> {
        let (key, stored) = (self.own(self.round), value(self.round));
        self.region.set(&key, stored.clone()).map_err(|error| told(&error))?;
        self.expect(&key, Some(&stored))
    }

    fn delete(&self) -> Result<(), String> {
        let key = self.own(self.round);
        self.region.delete(&key).map_err(|error| told(&error))?;
        self.expect(&key, None)
    }

    fn many(&self) -> Result<(), String> {
        let keys: Vec<String> = (0..OWN).map(|number| self.own(number)).collect();
        let stored = value(self.round);
        self.region
            .set_multi(keys.iter().map(|key| (key.clone(), stored.clone())))
            .map_err(|error| told(&error))?;
        let found = self.region.get_multi::<Vec<u64>>(&keys).map_err(|error| told(&error))?;
        let lost = found.iter().any(|found| found.as_ref() != Some(&stored));
        if lost { Err(format!("stored {stored:?} under {keys:?}, found {found:?}")) } else { Ok(()) }
    }

    fn create(&self) -> Result<(), String> {
        let key = shared_key(self.round % SHARED);
        if self.round.is_multiple_of(5) {
            return self.region.delete(&key).map_err(|error| told(&error));
        }
        let made = self.region.get_or_create(&key, || value(self.round)).map_err(|error| told(&error))?;
        whole(&key, made).map(drop)
    }

    fn own(&self, number: u64) -> String {
        own_key(self.name, self.thread, number % OWN)
    }

    fn expect(&self, key: &str, stored: Option<&[u64]>) -> Result<(), String> {
        let found = self.read(key)?;
        if found.as_deref() == stored {
            Ok(())
        } else {
            Err(format!("stored {stored:?} under {key:?}, found {found:?}"))
        }
    }

    fn read(&self, key: &str) -> Result<Option<Vec<u64>>, String> {
        self.region
            .get::<Vec<u64>>(key)
            .map_err(|error| told(&error))?
            .map(|found| whole(key, found))
            .transpose()
    }
}

fn whole(key: &str, found: Vec<u64>) -> Result<Vec<u64>, String> {
    if is_whole(&found) { Ok(found) } else { Err(format!("{key:?} is torn: {found:?}")) }
}
