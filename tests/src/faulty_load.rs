//! Threads that use a region while a [`FaultyRelay`] spoils replies, and checks of their results.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionError};

use crate::errors::told;
use crate::fault::{Fault, VICTIM};
use crate::faulty_relay::FaultyRelay;
use crate::front::Front;

/// The number of threads.
const THREADS: usize = 3;

/// The number of keys of each thread.
const KEYS: usize = 4;

/// The number of replies that are spoiled, unless that takes too long.
const FAULTS: usize = 60;

/// The longest time for which replies are spoiled.
const LONGEST: Duration = Duration::from_millis(2500);

/// The number of attempts within which replies are right again after a fault. A pause follows each that was not.
const RECOVERY: usize = 200;

/// The number of times in a row that all keys must be right after a fault.
const ROUNDS: usize = 5;

/// The explanation of a call that a machine with few processors and many threads delays.
const SLACK: Duration = Duration::from_millis(1500);

/// A stored value: the key, and the number of values that its thread stored under it before.
type Stored = (String, u64);

/// A region that is used through a relay.
#[derive(Debug)]
pub struct Spoiled<'r> {
    /// The region.
    pub region: &'r CacheRegion,
    /// The relay between the region and its servers.
    pub relay: &'r FaultyRelay,
    /// The limit of one exchange with a server.
    pub timeout: Duration,
    /// The time after which a lock is free whose release was lost.
    pub lock: Duration,
    /// Whether reads may fail. Otherwise, what cannot be read is a miss.
    pub fails: bool,
    /// The form of the calls.
    pub front: Front,
}

struct Key {
    name: String,
    /// The number of the last value that its thread tried to store.
    tried: AtomicU64,
}

impl Spoiled<'_> {
    /// Lets threads use the region while `fault` spoils replies, and checks each result. Then checks that everything is
    /// right again.
    ///
    /// # Panics
    /// Panics if a call returns a wrong value or takes too long, or if the region does not recover.
    pub fn survives(&self, fault: Fault) {
        let keys: Vec<Key> = (0..THREADS * KEYS).map(|number| key(fault, number)).collect();
        let keys = &keys[..];
        self.recovers(keys, fault);
        self.relay.inject(fault);
        let before = self.relay.faults();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let user = User { spoiled: self, keys, number, fault, calls: 0, failures: 0 };
                    let is_over = &is_over;
                    scope.spawn(move || user.work(is_over))
                })
                .collect();
            let begun = Instant::now();
            while self.relay.faults() < before + FAULTS
                && begun.elapsed() < LONGEST
                && threads.iter().all(|thread| !thread.is_finished())
            {
                thread::sleep(Duration::from_millis(2));
            }
            is_over.store(true, SeqCst);
            self.relay.heal();
        });
        assert!(self.relay.faults() > before, "{fault:?}: no reply was spoiled");
        self.recovers(keys, fault);
    }

    /// Checks that after a bounded number of calls, values are stored and read again, over connections that are kept.
    fn recovers(&self, keys: &[Key], fault: Fault) {
        let is_well = (0..RECOVERY).any(|_| {
            let connections = self.relay.connections();
            let is_right = (0..ROUNDS).all(|_| keys.iter().all(|key| self.keeps(key, fault)));
            // Locks are released in the background, which may open connections, too.
            let is_well = is_right && self.relay.connections() - connections <= THREADS;
            if !is_well {
                thread::sleep(Duration::from_millis(5));
            }
            is_well
        });
        assert!(is_well, "{fault:?}: calls still fail, or open connections, long after the fault");
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        let found = self.front.get_multi::<Stored>(self.region, &names).expect("the fault is over");
        for (key, found) in keys.iter().zip(found) {
            assert_eq!(found, Some((key.name.clone(), key.tried.load(SeqCst))), "{fault:?}");
        }
    }

    /// Stores a new value, and returns whether it is read again.
    fn keeps(&self, key: &Key, fault: Fault) -> bool {
        let value = (key.name.clone(), key.next());
        let is_stored = self.front.set(self.region, &key.name, value.clone()).is_ok();
        let Ok(Some(found)) = self.front.get::<Stored>(self.region, &key.name) else { return false };
        assert!(found.0 == key.name && found.1 <= value.1, "{fault:?}: {} has {found:?}", key.name);
        is_stored && found == value
    }
}

fn key(fault: Fault, number: usize) -> Key {
    // Of each thread, one key may have wrong values.
    let kind = if number.is_multiple_of(KEYS) { VICTIM } else { "key" };
    Key { name: format!("{fault:?}:{kind}:{number}"), tried: AtomicU64::new(0) }
}

impl Key {
    /// Returns the number of the next value.
    fn next(&self) -> u64 {
        self.tried.fetch_add(1, SeqCst) + 1
    }

    fn is_victim(&self) -> bool {
        self.name.contains(VICTIM)
    }
}

/// One of the threads.
struct User<'s> {
    spoiled: &'s Spoiled<'s>,
    keys: &'s [Key],
    number: usize,
    fault: Fault,
    calls: usize,
    failures: usize,
}

impl User<'_> {
    fn work(mut self, is_over: &AtomicBool) {
        for round in (0..).take_while(|_| !is_over.load(SeqCst)) {
            self.use_once(round);
        }
        let (calls, failures) = (self.calls, self.failures);
        if self.fault.is_harmless() {
            // On a busy machine, a call may take too long by itself.
            assert!(failures <= calls / 10, "{:?}: {failures} of {calls} calls failed", self.fault);
        }
    }

    fn use_once(&mut self, round: usize) {
        let (region, front, keys) = (self.spoiled.region, self.spoiled.front, self.keys);
        let own = &keys[self.number * KEYS..][..KEYS];
        let one = &own[round % KEYS];
        // Reads of different keys follow each other, so that a reply to an earlier one would be noticed.
        let others = [5, 7, 11].map(|step| &keys[(round * step + self.number) % keys.len()]);
        for key in others {
            if let Some(found) = self.call("get", 1, || front.get::<Stored>(region, &key.name)) {
                self.check(key, found);
            }
        }
        let value = (one.name.clone(), one.next());
        self.call("set", 1, || front.set(region, &one.name, value));
        for keys in [[others[0], &own[1], &own[2], &own[0]], [&own[3], others[2], others[1], &own[1]]] {
            let names = keys.map(|key| key.name.as_str());
            if let Some(found) = self.call("get_multi", 1, || front.get_multi::<Stored>(region, &names)) {
                keys.into_iter().zip(found).for_each(|(key, found)| self.check(key, found));
            }
        }
        let values: Vec<_> =
            own.iter().map(|key| (key.name.as_str(), (key.name.clone(), key.next()))).collect();
        self.call("set_multi", 1, || front.set_multi(region, values));
        if round % 3 == 2 {
            self.call("delete", 1, || front.delete(region, &one.name));
            self.create(&one.name);
        }
    }

    /// Creates a value of a key that no other thread uses.
    fn create(&mut self, name: &str) {
        let (region, front) = (self.spoiled.region, self.spoiled.front);
        let made = format!("{name}:made");
        self.call("delete", 1, || front.delete(region, &made));
        // It reads twice, acquires, stores, and releases. The lock of an earlier one may have to expire.
        let value = (made.clone(), 0);
        let found = self.call("get_or_create", 6, || front.get_or_create(region, &made, &value));
        let is_right = found.as_ref().is_none_or(|found| *found == value);
        assert!(is_right || name.contains(VICTIM), "{:?}: {made} has {found:?}", self.fault);
    }

    /// Makes a call of at most so many exchanges. Returns its result, or `None` if it failed.
    fn call<T>(
        &mut self,
        what: &str,
        exchanges: u32,
        call: impl FnOnce() -> Result<T, RegionError>,
    ) -> Option<T> {
        let begun = Instant::now();
        let result = call();
        let took = begun.elapsed();
        let lock = if exchanges > 1 { self.spoiled.lock } else { Duration::ZERO };
        let limit = self.spoiled.timeout * exchanges * 11 / 10 + lock + SLACK;
        assert!(took < limit, "{:?}: {what} took {took:?}, more than {limit:?}", self.fault);
        self.calls += 1;
        result.map_err(|error| self.failed(what, &error)).ok()
    }

    fn failed(&mut self, what: &str, error: &RegionError) {
        let why = told(error);
        self.failures += 1;
        // A value beyond the cap is always an error, because the application can raise the cap.
        let is_expected =
            self.spoiled.fails || !["get", "get_multi"].contains(&what) || why.contains("max_value_bytes");
        assert!(is_expected, "{:?}: {what} failed: {why}", self.fault);
        assert!(!why.contains(['\x1b', '\0']), "{:?}: {what}: {why:?}", self.fault);
    }

    fn check(&self, key: &Key, found: Option<Stored>) {
        let Some((name, number)) = found else { return };
        let is_right = name == key.name && number <= key.tried.load(SeqCst);
        // The values whose bytes changed are not checked.
        let is_spoiled = self.fault == Fault::CorruptPayload && key.is_victim();
        assert!(is_right || is_spoiled, "{:?}: {} has ({name:?}, {number})", self.fault, key.name);
    }
}
