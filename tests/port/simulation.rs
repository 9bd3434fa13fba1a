//! Threads that use one value under the dogpile lock for a long time, in a time that only they move.
//!
//! The time stands still while any thread has something to do, and jumps to the next that wakes when all of them
//! sleep or wait. So minutes pass in milliseconds, and no machine is too slow for the bounds.
//!
//! Source: dogpile.cache `tests/test_lock.py`, `ConcurrencyTest`.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread;

use dogpile::lock::{DogpileLock, LockError, Reading};
use dogpile_tests::threads::bounded;
use parking_lot::{Condvar, Mutex};

/// What the threads do; all times in seconds.
#[derive(Clone, Copy, Debug)]
struct Plan {
    threads: usize,
    validity: f64,
    creation: f64,
    uses: usize,
    usage: f64,
    pause: f64,
    /// When the store drops a value by itself.
    store: Store,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Store {
    Keeps,
    DropsEarly,
    DropsLate,
}

/// What happened.
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
    /// How many threads have something to do.
    running: usize,
    /// When those that sleep wake.
    sleepers: Vec<f64>,
    /// How many found no value since the last creation, and wait for the next.
    waiting: usize,
    creating: bool,
    /// When the value was made.
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

    /// Moves the time to when the next thread wakes, if none has anything to do before.
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

    /// One thread's work.
    fn use_the_value(&self, lock: &DogpileLock) {
        for _ in 0..self.plan.uses {
            let began = self.state.lock().now;
            let user = RefCell::new(User { world: self, waits_since: None });
            let made =
                lock.get_or_create("value", || user.borrow_mut().read(), || user.borrow_mut().create());
            // A waiter that was handed its value does not read again.
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
    /// How many creations there had been when it was counted among those that wait.
    waits_since: Option<usize>,
}

impl User<'_> {
    /// Is at work again.
    fn goes_on(&mut self, state: &mut State) {
        // Those that waited when a creation ended were counted as running then.
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
            assert!(!state.creating, "two threads create at once");
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

/// Runs `plan`, and checks the reference's bounds.
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

        assert!(record.oldest < oldest, "a value of {oldest} s was used: {record:?}");
        assert!(record.slow_waits as f64 <= slow_waits, "more than {slow_waits} waited: {record:?}");
        // On the average: threads that wake at the same moment are no less likely to create for having done so.
        let average = record.run_times.iter().sum::<f64>() / plan.threads as f64;
        assert!(average <= run_time, "it took more than {run_time} s: {record:?}");
        let longest = record.run_times.iter().copied().fold(0.0, f64::max);
        assert!(longest <= work + record.creations as f64 * plan.creation, "{record:?}");
        // DIFFERENCE: only the upper bound. Whoever finds a value stale reads again under the lock, so that
        // none is created twice: where the creation outlasts the validity that makes for fewer creations.
        assert!(record.creations as f64 <= creations + 1.0, "more than {creations} creations: {record:?}");
        assert!(record.creations > 1, "{record:?}");
    });
}

const fn plan(validity: f64, creation: f64, usage: f64) -> Plan {
    Plan { threads: 10, validity, creation, uses: 50, usage, pause: 0.1, store: Store::Keeps }
}

/// Behaviour: `lock-10-threads-quick`
/// Behaviour: `lock-staleness-bound`
/// Behaviour: `lock-waits-only-without-value`
#[test]
fn ten_threads_use_a_value_that_is_made_quickly() {
    holds(plan(2.0, 0.5, 0.05));
}

/// Behaviour: `lock-10-threads-slow`
#[test]
fn ten_threads_use_a_value_that_is_made_slowly() {
    holds(plan(5.0, 2.0, 0.1));
}

/// Behaviour: `lock-old-value-while-creating`
#[test]
fn users_go_on_with_the_old_value_while_one_thread_creates() {
    holds(plan(5.0, 2.0, 1.0));
}

/// Behaviour: `lock-creation-longer-than-validity`
#[test]
fn creating_may_take_longer_than_a_value_is_valid() {
    holds(plan(2.0, 2.5, 0.05));
}

/// Behaviour: `lock-store-drops-early`
#[test]
fn a_store_that_drops_values_early_makes_all_threads_wait_for_each_creation() {
    holds(Plan { uses: 100, store: Store::DropsEarly, ..plan(1.0, 0.6, 0.05) });
}

/// Behaviour: `lock-store-keeps-long-quick`
#[test]
fn a_store_that_drops_values_late_never_drops_one_that_is_made_quickly() {
    holds(Plan { store: Store::DropsLate, ..plan(2.0, 0.5, 0.05) });
}

/// Behaviour: `lock-store-keeps-long-slow`
#[test]
fn a_store_that_drops_values_late_never_drops_one_that_is_made_slowly() {
    holds(Plan { store: Store::DropsLate, ..plan(5.0, 2.0, 0.1) });
}
