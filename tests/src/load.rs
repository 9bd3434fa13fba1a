//! Threads that use a region while its server is disturbed, and the calls' results.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use dogpile::{CacheRegion, RegionError};
use parking_lot::Mutex;

use crate::errors::told;
use crate::threads::until;

/// The number of threads.
pub const THREADS: usize = 4;

/// The least number of rounds of calls that each thread makes while the server is healthy.
const ROUNDS: usize = 20;

/// The state of the server, as far as the test knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The server has not been disturbed yet.
    Well,
    /// The server is being disturbed.
    Ill,
    /// The disturbance is over.
    WellAgain,
}

/// A call that failed.
#[derive(Debug)]
pub struct Failure {
    /// The state of the server when the call began.
    pub began: Health,
    /// The state of the server when the call ended.
    pub ended: Health,
    /// The text of the error and its causes.
    pub error: String,
}

/// The shared state of the threads and the test.
#[derive(Debug)]
pub struct Load {
    health: Mutex<Health>,
    over: AtomicBool,
    /// The rounds that each thread began since the server's state last changed.
    rounds: [AtomicUsize; THREADS],
    /// The failed calls that each thread began since the server's state last changed.
    failed: [AtomicUsize; THREADS],
    failures: Mutex<Vec<Failure>>,
}

/// Lets threads use `region` while `scene` disturbs its server, and returns the calls that failed.
///
/// Returns once each thread has used the region for a while after the scene.
///
/// # Panics
/// Panics if a thread gets a value that was not stored under the requested key.
pub fn under_load(region: &CacheRegion, scene: impl FnOnce(&Load)) -> Vec<Failure> {
    let load = Load {
        health: Mutex::new(Health::Well),
        over: AtomicBool::new(false),
        rounds: Default::default(),
        failed: Default::default(),
        failures: Mutex::default(),
    };
    thread::scope(|scope| {
        for number in 0..THREADS {
            let load = &load;
            scope.spawn(move || User::new(region, load, number).work());
        }
        let _end = EndsWork(&load);
        load.wait_for_rounds();
        load.becomes(Health::Ill);
        scene(&load);
        load.becomes(Health::WellAgain);
        load.wait_for_rounds();
    });
    load.failures.into_inner()
}

/// Ends the work of the threads when it is dropped, even if the test fails.
struct EndsWork<'l>(&'l Load);

impl Drop for EndsWork<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

impl Load {
    /// Blocks until each thread has a failed call that began after the disturbance did.
    ///
    /// # Panics
    /// Panics if that does not happen in time.
    pub fn wait_until_calls_fail(&self) {
        until("calls of every thread fail", || {
            self.failed.iter().all(|failed| failed.load(Ordering::SeqCst) > 0)
        });
    }

    /// Blocks until each thread has made some rounds of calls in the present state.
    ///
    /// # Panics
    /// Panics if that does not happen in time.
    pub fn wait_for_rounds(&self) {
        until("every thread makes its calls", || {
            self.rounds.iter().all(|rounds| rounds.load(Ordering::SeqCst) >= ROUNDS)
        });
    }

    fn health(&self) -> Health {
        *self.health.lock()
    }

    fn becomes(&self, health: Health) {
        let mut now = self.health.lock();
        *now = health;
        self.rounds.iter().chain(&self.failed).for_each(|count| count.store(0, Ordering::SeqCst));
    }

    fn add(&self, count: &AtomicUsize, began: Health) {
        let now = self.health.lock();
        if *now == began {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A stored value: its key, and a number.
type Stored = (String, u64);

/// One of the threads.
struct User<'l> {
    region: &'l CacheRegion,
    load: &'l Load,
    number: usize,
    next: u64,
    /// The numbers that may be stored under each key of this thread.
    own: BTreeMap<String, Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    last: Option<u64>,
    /// The numbers whose `set` failed. Each may have been stored, or may still be stored later.
    doubtful: Vec<u64>,
}

impl<'l> User<'l> {
    fn new(region: &'l CacheRegion, load: &'l Load, number: usize) -> Self {
        let own = (0..3).map(|key| (format!("{key} of thread {number}"), Numbers::default())).collect();
        User { region, load, number, next: 0, own }
    }

    fn work(mut self) {
        while !self.load.over.load(Ordering::SeqCst) {
            let began = self.load.health();
            self.round();
            self.load.add(&self.load.rounds[self.number], began);
        }
    }

    fn round(&mut self) {
        self.next += 1;
        let (region, next) = (self.region, self.next);
        let keys: Vec<String> = self.own.keys().cloned().collect();
        if let Some(stored) = self.call(|| region.get_multi::<Stored>(&keys)) {
            keys.iter().zip(stored).for_each(|(key, stored)| self.check(key, stored));
        }
        let done = self.call(|| region.set(&keys[0], (keys[0].clone(), next))).is_some();
        self.stored(&keys[..1], done);
        if let Some(stored) = self.call(|| region.get::<Stored>(&keys[0])) {
            self.check(&keys[0], stored);
        }
        let done =
            self.call(|| region.set_multi(keys[1..].iter().map(|key| (key, (key.clone(), next))))).is_some();
        self.stored(&keys[1..], done);
        self.create(&format!("shared {}", next % 8));
    }

    /// Creates a key that all threads share, and deletes it from time to time.
    fn create(&mut self, key: &str) {
        let region = self.region;
        let made = self.call(|| region.get_or_create(key, || (key.to_owned(), 0)));
        if let Some(made) = made {
            assert_eq!(made, (key.to_owned(), 0));
        }
        if self.next % 5 == self.number as u64 {
            self.call(|| region.delete(key));
        }
    }

    fn stored(&mut self, keys: &[String], done: bool) {
        for key in keys {
            let numbers = self.own.entry(key.clone()).or_default();
            if done { numbers.last = Some(self.next) } else { numbers.doubtful.push(self.next) }
        }
    }

    fn check(&self, key: &str, stored: Option<Stored>) {
        let Some((stored_under, number)) = stored else { return };
        assert_eq!(stored_under, key);
        let Numbers { last, doubtful } = &self.own[key];
        assert!(
            *last == Some(number) || doubtful.contains(&number),
            "{number} is stored under {key:?}, neither {last:?} nor one of {doubtful:?}"
        );
    }

    /// Returns the result of `call`, or records its failure.
    fn call<T>(&self, call: impl FnOnce() -> Result<T, RegionError>) -> Option<T> {
        let began = self.load.health();
        let error = match call() {
            Ok(result) => return Some(result),
            Err(error) => told(&error),
        };
        self.load.add(&self.load.failed[self.number], began);
        self.load.failures.lock().push(Failure { began, ended: self.load.health(), error });
        None
    }
}
