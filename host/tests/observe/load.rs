//! No call is lost or counted twice, however many threads and tasks call.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dogpile::{
    CacheRegion, Created, Event, FailSafe, Observer, OnBackendFailure, OnCreatorFailure, OnStale,
    RegionConfig, Share,
};
use smol::block_on;

use super::setup::{Failing, counted, memory, runner};

const THREADS: u64 = 8;
const CALLS: u64 = 1_500;
const KEYS: u64 = 7;

/// Counts the keys of endings by name.
#[derive(Debug, Default)]
struct Endings(Mutex<BTreeMap<&'static str, u64>>);

impl Observer for Endings {
    fn wants_hits(&self) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        if event.kind.is_ending() {
            *self.0.lock().unwrap().entry(event.kind.name()).or_default() += event.keys.len() as u64;
        }
    }
}

/// What the calls of a thread returned, by requested key.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Returned {
    values: u64,
    nothing: u64,
    errors: u64,
    /// Calls that were dropped, and those that panicked.
    canceled: u64,
}

impl Returned {
    fn value<T, E>(&mut self, result: Result<T, E>) {
        self.values_of(1, result.map(|value| vec![value]));
    }

    fn values_of<T, E>(&mut self, keys: u64, result: Result<Vec<T>, E>) {
        self.read(keys, result.map(|values| values.into_iter().map(Some).collect()));
    }

    fn read<T, E>(&mut self, keys: u64, result: Result<Vec<Option<T>>, E>) {
        match result {
            Err(_) => self.errors += keys,
            Ok(found) => {
                let values = found.iter().flatten().count() as u64;
                self.values += values;
                self.nothing += keys - values;
            }
        }
    }

    fn read_one<T, E>(&mut self, result: Result<Option<T>, E>) {
        self.read(1, result.map(|found| vec![found]));
    }

    fn all(&self) -> u64 {
        self.values + self.nothing + self.errors + self.canceled
    }

    fn add(&mut self, other: Returned) {
        self.values += other.values;
        self.nothing += other.nothing;
        self.errors += other.errors;
        self.canceled += other.canceled;
    }
}

/// The number of kinds of calls.
const KINDS: u64 = 26;

/// Makes all kinds of calls, and returns what they returned.
fn call(region: &CacheRegion, thread: u64) -> Returned {
    let mut returned = Returned::default();
    let mut state = thread * 7_919 + 1;
    for _ in 0..CALLS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (key, kind) = (format!("key {}", (state >> 33) % KEYS), (state >> 40) % KINDS);
        call_one(region, &key, kind, state, &mut returned);
    }
    returned
}

/// Requests `key`, and for some kinds other keys.
fn call_one(region: &CacheRegion, key: &str, kind: u64, state: u64, returned: &mut Returned) {
    let creator = move || if state.is_multiple_of(5) { Err("planned") } else { Ok(state) };
    let (two, three) = ([key, "key x"], [key, "key 0", "never"]);
    let many = move |keys: &[&str]| {
        if state.is_multiple_of(5) { Err("planned") } else { Ok(vec![state; keys.len()]) }
    };
    let many_async = move |keys: Vec<String>| async move {
        smol::future::yield_now().await;
        if state.is_multiple_of(5) { Err("planned") } else { Ok(vec![state; keys.len()]) }
    };
    let one_async = async move || {
        smol::future::yield_now().await;
        creator()
    };
    let call = || region.options();
    match kind {
        0..=2 => returned.value(region.try_get_or_create(key, creator)),
        3 => returned.value(call().with_outcome().try_get_or_create(key, creator)),
        4 => returned.value(call().background().try_get_or_create(key, creator)),
        5 => returned.value(block_on(region.try_get_or_create_async(key, one_async))),
        6 => returned.value(block_on(call().with_outcome().try_get_or_create_async(key, one_async))),
        7 => returned.value(block_on(call().detach().try_get_or_create_async(key, one_async))),
        8 => returned.value(block_on(call().detach().with_outcome().try_get_or_create_async(key, one_async))),
        9 => returned.value(call().get_or_create_with(key, |_| creator().map(Created::uncached))),
        10 => returned.values_of(2, region.try_get_or_create_multi(&two, many)),
        11 => returned.values_of(2, call().with_outcome().try_get_or_create_multi(&two, many)),
        12 => returned.values_of(2, call().background().try_get_or_create_multi(&two, many)),
        13 => returned.values_of(2, block_on(region.try_get_or_create_multi_async(&two, many_async))),
        14 => returned
            .values_of(2, block_on(call().with_outcome().try_get_or_create_multi_async(&two, many_async))),
        15 => {
            returned.values_of(2, block_on(call().detach().try_get_or_create_multi_async(&two, many_async)));
        }
        16 => returned.read_one(region.get::<u64>(key)),
        17 => returned.read(3, region.get_multi::<u64>(&three)),
        18 => returned.read_one(region.get_value_metadata::<u64>(key)),
        19 => returned.read_one(block_on(region.get_async::<u64>(key))),
        20 => returned.read(3, block_on(region.get_multi_async::<u64>(&three))),
        // These are dropped after their first poll, unless they end there.
        21 => {
            let call = region.get_or_create_async(key, async || std::future::pending::<u64>().await);
            match block_on(smol::future::poll_once(call)) {
                Some(ended) => returned.value(ended),
                None => returned.canceled += 1,
            }
        }
        22 => {
            let call = call().detach().try_get_or_create_multi_async(&two, many_async);
            match block_on(smol::future::poll_once(call)) {
                Some(ended) => returned.values_of(2, ended),
                None => returned.canceled += 2,
            }
        }
        23 => {
            let panicking = || region.get_or_create(key, || -> u64 { std::panic::panic_any("planned") });
            match std::panic::catch_unwind(AssertUnwindSafe(panicking)) {
                Ok(ended) => returned.value(ended),
                Err(_) => returned.canceled += 1,
            }
        }
        // A failure that its waiters share.
        24 => {
            let call = call().on_creator_failure(OnCreatorFailure::Share);
            returned.value(call.try_get_or_create(key, creator));
        }
        _ => _ = region.delete(key),
    }
}

fn check(config: RegionConfig, disturb: impl Fn() + Sync) -> (u64, BTreeMap<&'static str, u64>) {
    silence_planned_panics();
    let endings = Arc::new(Endings::default());
    let config = config.observer(endings.clone()).async_creation_runner(runner());
    let config = config.expiration_time(Duration::from_millis(5)).early_refresh(Share::percent(50));
    let region = CacheRegion::new("load");
    region.configure(config.stale(OnStale::Serve).fail_safe(FailSafe::new(Duration::from_secs(60)))).unwrap();
    let (returned, is_over) = (Mutex::new(Returned::default()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                disturb();
                std::thread::sleep(Duration::from_millis(1));
                // Reading while threads count must neither stop nor confuse them.
                let _ = counted(&region);
            }
        });
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (region, returned) = (&region, &returned);
                scope.spawn(move || {
                    let of_thread = call(region, thread);
                    returned.lock().unwrap().add(of_thread);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        is_over.store(true, SeqCst);
    });
    assert!(region.wait_until_idle(Duration::from_secs(60)).unwrap());
    let returned = *returned.lock().unwrap();
    let counted = counted(&region);
    let requested = counted.requests();
    assert_eq!(requested, returned.all(), "{counted:?}");
    // What was counted is what the callers got.
    let (errors, nothing) = (counted.failed + counted.timed_out, counted.not_found);
    let values = requested - errors - nothing - counted.canceled;
    assert_eq!(Returned { values, nothing, errors, canceled: counted.canceled }, returned, "{counted:?}");
    let outcomes: BTreeMap<_, _> = counted.outcomes().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(outcomes, *endings.0.lock().unwrap());
    (requested, outcomes)
}

/// Panics of creators are part of the load, and their messages would hide others.
fn silence_planned_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<&str>() != Some(&"planned") {
                others(panic);
            }
        }));
    });
}

#[test]
fn every_request_is_counted_once_under_load() {
    let (requested, outcomes) = check(memory(), || {});
    assert!(requested > THREADS * CALLS);
    for expected in ["hit", "created", "miss", "canceled", "failed"] {
        assert!(outcomes.contains_key(expected), "{expected} is missing: {outcomes:?}");
    }
}

#[test]
fn requests_are_counted_once_while_the_backend_fails_at_times() {
    let store = Arc::new(Failing::default());
    let config = RegionConfig::from_instance(store.clone()).statistics(true);
    let (_, outcomes) = check(config, || _ = store.fails.fetch_xor(true, SeqCst));
    for expected in ["hit", "created", "miss", "failed"] {
        assert!(outcomes.contains_key(expected), "{expected} is missing: {outcomes:?}");
    }
}

#[test]
fn requests_without_a_backend_are_counted_once() {
    let store = Arc::new(Failing::default());
    let config = RegionConfig::from_instance(store.clone()).statistics(true);
    let config = config.on_backend_failure(OnBackendFailure::Degrade);
    let (_, outcomes) = check(config, || _ = store.fails.fetch_xor(true, SeqCst));
    for expected in ["hit", "created", "miss", "degraded"] {
        assert!(outcomes.contains_key(expected), "{expected} is missing: {outcomes:?}");
    }
}
