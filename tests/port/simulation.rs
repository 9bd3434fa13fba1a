//! Threads that use one value under the dogpile lock for a long, simulated time.
//!
//! The clock does not move while any thread runs. When all threads sleep or wait, it jumps to the time at which the
//! next one wakes. Minutes therefore pass in milliseconds, and the bounds hold on slow machines too.

// Source: dogpile.cache `tests/test_lock.py`, `ConcurrencyTest`.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread;

use dogpile::lock::{DogpileLock, LockError, Reading};
use dogpile_tests::threads::bounded;
use parking_lot::{Condvar, Mutex};

/// The settings of a simulation. All times are in seconds.
#[derive(Clone, Copy, Debug)]
struct Plan {
    threads: usize,
    validity: f64,
    creation: f64,
    uses: usize,
    usage: f64,
    pause: f64,
    /// When the store drops a value on its own.
    store: Store,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Store {
    Keeps,
    DropsEarly,
    DropsLate,
}

/// The results of a simulation.
#[derive(Clone, Debug, Default)]
struct Record {
    run_times: Vec<f64>,
    creations: usize,
    slow_waits: usize,
    oldest: f64,
}

#[derive(Debug, Default)]
struct State {
    now: f64,
    /// The number of threads that run.
    running: usize,
    /// The times at which the sleeping threads wake.
    sleepers: Vec<f64>,
    /// The number of threads that found no value and wait for the next creation.
    waiting: usize,
    creating: bool,
    /// The time at which the value was created.
    value: Option<f64>,
    record: Record,
}

struct World {
    plan: Plan,
    state: Mutex<State>,
    moved: Condvar,
}

impl World {
    fn sleep(&self, seconds: f64) {
        let mut state = self.state.lock();
        let wakes = state.now + seconds;
        state.sleepers.push(wakes);
        state.running -= 1;
        self.advance(&mut state);
        while state.now < wakes {
            self.moved.wait(&mut state);
        }
    }

    /// Moves the clock to the next wake-up, if no thread can run before it.
    fn advance(&self, state: &mut State) {
        let creator_to_come = state.waiting > 0 && !state.creating;
        if state.running > 0 || creator_to_come || state.sleepers.is_empty() {
            return;
        }
        let next = state.sleepers.iter().copied().fold(f64::INFINITY, f64::min);
        state.now = next;
        let before = state.sleepers.len();
        state.sleepers.retain(|wakes| *wakes > next);
        state.running += before - state.sleepers.len();
        self.moved.notify_all();
    }

    fn lifetime(&self) -> f64 {
        match self.plan.store {
            Store::Keeps => f64::INFINITY,
            Store::DropsEarly => self.plan.validity * 0.8,
            Store::DropsLate => (self.plan.validity + self.plan.creation) * 1.1,
        }
    }

    /// Does the work of one thread.
    fn use_the_value(&self, lock: &DogpileLock) {
        for _ in 0..self.plan.uses {
            let began = self.state.lock().now;
            let user = RefCell::new(User { world: self, waits_since: None });
            let made =
                lock.get_or_create("value", || user.borrow_mut().read(), || user.borrow_mut().create());
            // A waiter that gets its value from the leader does not call `read` again, so count it as running here.
            user.borrow_mut().goes_on(&mut self.state.lock());
            let made = made.unwrap();
            self.note(began, made);
            self.sleep(self.plan.usage);
            self.sleep(self.plan.pause);
        }
        let mut state = self.state.lock();
        state.running -= 1;
        let now = state.now;
        state.record.run_times.push(now);
        self.advance(&mut state);
    }

    fn note(&self, began: f64, made: f64) {
        let mut state = self.state.lock();
        let (now, waited) = (state.now, state.now - began);
        state.record.slow_waits += usize::from(waited > 0.01);
        state.record.oldest = state.record.oldest.max(now - made);
    }
}

/// One use of the value.
struct User<'a> {
    world: &'a World,
    /// The number of finished creations when this user began to wait, if it waits.
    waits_since: Option<usize>,
}

impl User<'_> {
    /// Counts this user as running again.
    fn goes_on(&mut self, state: &mut State) {
        // A finished creation already counted all its waiters as running.
        if self.waits_since.take() == Some(state.record.creations) {
            state.waiting -= 1;
            state.running += 1;
        }
    }
}

impl User<'_> {
    fn read(&mut self) -> Result<Reading<f64>, LockError> {
        let mut state = self.world.state.lock();
        self.goes_on(&mut state);
        let made = state.value.filter(|made| state.now - made <= self.world.lifetime());
        let Some(made) = made else {
            state.waiting += 1;
            state.running -= 1;
            self.waits_since = Some(state.record.creations);
            self.world.advance(&mut state);
            return Ok(Reading::Missing);
        };
        let stale = state.now - made > self.world.plan.validity;
        Ok(if stale { Reading::Stale(made) } else { Reading::Fresh(made) })
    }

    fn create(&mut self) -> Result<f64, LockError> {
        {
            let mut state = self.world.state.lock();
            self.goes_on(&mut state);
            assert!(!state.creating, "two threads create at the same time");
            state.creating = true;
        }
        self.world.sleep(self.world.plan.creation);
        let mut state = self.world.state.lock();
        state.creating = false;
        state.record.creations += 1;
        state.value = Some(state.now);
        state.running += std::mem::take(&mut state.waiting);
        Ok(state.now)
    }
}

fn run(plan: Plan) -> Record {
    let state = State { running: plan.threads, ..State::default() };
    let world = World { plan, state: Mutex::new(state), moved: Condvar::new() };
    let lock = Arc::new(DogpileLock::new());
    thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(|| world.use_the_value(&lock));
        }
    });
    assert!(lock.is_empty());
    world.state.into_inner().record
}

/// Runs `plan` and checks the bounds of the Python test.
fn holds(plan: Plan) {
    bounded(move || {
        let record = run(plan);
        let early = plan.store == Store::DropsEarly;
        let validity = if early { plan.validity * 0.8 } else { plan.validity };
        let work = plan.uses as f64 * (plan.usage + plan.pause) * 1.1;
        let creations = (work / validity).ceil();
        let slow_waits =
            if early { creations * plan.threads as f64 } else { creations + plan.threads as f64 - 1.0 };
        let run_time = (work + plan.creation + slow_waits * plan.creation / plan.threads as f64) * 1.1;
        let oldest = (validity + plan.creation + plan.usage + plan.pause) * 1.1;

        assert!(record.oldest < oldest, "a thread used a value older than {oldest} s: {record:?}");
        assert!(record.slow_waits as f64 <= slow_waits, "more than {slow_waits} uses waited: {record:?}");
        // Check the average. One thread may run longer: when several wake at the same moment, the one that created
        // last is as likely to create as any other.
        let average = record.run_times.iter().sum::<f64>() / plan.threads as f64;
        assert!(average <= run_time, "the threads took more than {run_time} s on average: {record:?}");
        let longest = record.run_times.iter().copied().fold(0.0, f64::max);
        assert!(longest <= work + record.creations as f64 * plan.creation, "{record:?}");
        // DIFFERENCE: only the upper bound. A thread that finds a stale value reads again under the lock, so that no
        // value is created twice. If a creation takes longer than a value is valid, there are fewer creations.
        assert!(record.creations as f64 <= creations + 1.0, "more than {creations} creations: {record:?}");
        assert!(record.creations > 1, "{record:?}");
    });
}

const fn plan(validity: f64, creation: f64, usage: f64) -> Plan {
    Plan { threads: 10, validity, creation, uses: 50, usage, pause: 0.1, store: Store::Keeps }
}

/// Behavior: `lock-10-threads-quick`
/// Behavior: `lock-staleness-bound`
/// Behavior: `lock-waits-only-without-value`
#[test]
fn ten_threads_with_a_fast_creator_stay_in_bounds() {
    holds(plan(2.0, 0.5, 0.05));
}

/// Behavior: `lock-10-threads-slow`
#[test]
fn ten_threads_with_a_slow_creator_stay_in_bounds() {
    holds(plan(5.0, 2.0, 0.1));
}

/// Behavior: `lock-old-value-while-creating`
#[test]
fn threads_use_the_old_value_while_one_creates() {
    holds(plan(5.0, 2.0, 1.0));
}

/// Behavior: `lock-creation-longer-than-validity`
#[test]
fn creation_longer_than_validity_stays_in_bounds() {
    holds(plan(2.0, 2.5, 0.05));
}

/// Behavior: `lock-store-drops-early`
#[test]
fn all_threads_wait_if_the_store_drops_values_early() {
    holds(Plan { uses: 100, store: Store::DropsEarly, ..plan(1.0, 0.6, 0.05) });
}

/// Behavior: `lock-store-keeps-long-quick`
#[test]
fn late_dropping_store_with_a_fast_creator_stays_in_bounds() {
    holds(Plan { store: Store::DropsLate, ..plan(2.0, 0.5, 0.05) });
}

/// Behavior: `lock-store-keeps-long-slow`
#[test]
fn late_dropping_store_with_a_slow_creator_stays_in_bounds() {
    holds(Plan { store: Store::DropsLate, ..plan(5.0, 2.0, 0.1) });
}
