//! The lock under loom, which tries every order in which threads can meet:
//! `RUSTFLAGS="--cfg dogpile_loom" cargo test --release -p dogpile --lib lock::model`.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{DogpileLock, Gates, Leadership, LockError, Reading, Regeneration};

/// A store of one value, and a count of its creators.
#[derive(Default)]
struct Store {
    value: Mutex<Option<usize>>,
    creators_at_work: AtomicUsize,
    created: AtomicUsize,
}

impl Store {
    fn holding(value: usize) -> Self {
        Store { value: Mutex::new(Some(value)), ..Store::default() }
    }
}

/// A call: values below `fresh_from` are stale.
struct Call<'a> {
    store: &'a Store,
    fresh_from: usize,
    fails: bool,
}

#[derive(Debug, PartialEq)]
enum Failure {
    Creator,
    Reentry,
    Other,
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        if matches!(error, LockError::Reentry) { Failure::Reentry } else { Failure::Other }
    }
}

impl Regeneration for Call<'_> {
    type Value = usize;
    type Error = Failure;

    fn read(&mut self) -> Result<Reading<usize>, Failure> {
        Ok(match *self.store.value.lock().unwrap() {
            Some(value) if value >= self.fresh_from => Reading::Fresh(value),
            Some(value) => Reading::Stale(value),
            None => Reading::Missing,
        })
    }

    fn create(&mut self, _: &Leadership) -> Result<usize, Failure> {
        assert_eq!(self.store.creators_at_work.fetch_add(1, Ordering::SeqCst), 0, "two creators at once");
        let made = 10 + self.store.created.fetch_add(1, Ordering::SeqCst);
        if !self.fails {
            *self.store.value.lock().unwrap() = Some(made);
        }
        self.store.creators_at_work.fetch_sub(1, Ordering::SeqCst);
        if self.fails { Err(Failure::Creator) } else { Ok(made) }
    }
}

fn call(gates: &Arc<Gates>, store: &Store, fails: bool) -> Result<usize, Failure> {
    DogpileLock::new(gates, "key").get_or_create(&mut Call { store, fresh_from: 10, fails })
}

/// Runs `first` and `second` on threads of their own, in every order.
fn both<A: Send + 'static, B: Send + 'static>(
    first: impl FnOnce() -> A + Send + 'static,
    second: impl FnOnce() -> B + Send + 'static,
) -> (A, B) {
    let (first, second) = (thread::spawn(first), thread::spawn(second));
    (first.join().unwrap(), second.join().unwrap())
}

fn with_gates(work: impl Fn(Arc<Gates>, Arc<Store>) + Send + Sync + 'static, store: fn() -> Store) {
    loom::model(move || {
        let gates = Arc::new(Gates::new());
        work(Arc::clone(&gates), Arc::new(store()));
        assert!(gates.is_empty(), "a gate was left behind");
    });
}

#[test]
fn a_missing_value_is_created_once() {
    let work = |gates: Arc<Gates>, store: Arc<Store>| {
        let (gates2, store2) = (Arc::clone(&gates), Arc::clone(&store));
        let (one, two) =
            both(move || call(&gates, &store, false), move || (call(&gates2, &store2, false), store2));
        assert_eq!((one, two.0), (Ok(10), Ok(10)));
        assert_eq!(two.1.created.load(Ordering::SeqCst), 1);
    };
    with_gates(work, Store::default);
}

#[test]
fn a_stale_value_is_created_once_and_served_meanwhile() {
    let work = |gates: Arc<Gates>, store: Arc<Store>| {
        let (gates2, store2) = (Arc::clone(&gates), Arc::clone(&store));
        let (one, two) =
            both(move || call(&gates, &store, false), move || (call(&gates2, &store2, false), store2));
        for answer in [one, two.0] {
            assert!(matches!(answer, Ok(1 | 10)), "{answer:?}");
        }
        assert_eq!(two.1.created.load(Ordering::SeqCst), 1);
    };
    with_gates(work, || Store::holding(1));
}

#[test]
fn whoever_waited_for_a_failing_creator_creates() {
    let work = |gates: Arc<Gates>, store: Arc<Store>| {
        let (gates2, store2) = (Arc::clone(&gates), Arc::clone(&store));
        let (one, two) = both(move || call(&gates, &store, true), move || call(&gates2, &store2, false));
        assert!(two.is_ok(), "{two:?}");
        assert!(one == Err(Failure::Creator) || one == two, "{one:?}");
    };
    with_gates(work, Store::default);
}

#[test]
fn creators_that_wait_for_each_other_are_told() {
    loom::model(|| {
        let gates = Arc::new(Gates::new());
        let nested = |first: &'static str, second: &'static str| {
            let gates = Arc::clone(&gates);
            move || {
                let lock = DogpileLock::new(&gates, first);
                let super::Turn::Leads(_leading) = lock.try_lead().unwrap() else { return true };
                DogpileLock::new(&gates, second).lead_or_wait().is_ok()
            }
        };
        // Whether they met or not, both came back.
        both(nested("a", "b"), nested("b", "a"));
        assert!(gates.is_empty(), "a gate was left behind");
    });
}
