//! No call is lost or counted twice, however many threads and tasks call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use dogpile::{CacheRegion, Event, FailSafe, Observer, OnStale, RegionConfig, Share};

use super::setup::{Failing, counted, memory, runner, until};

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

/// Makes all kinds of calls, and returns how many keys they requested.
fn call(region: &CacheRegion, thread: u64) -> u64 {
    let mut requested = 0;
    let mut state = thread * 7_919 + 1;
    for _ in 0..CALLS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (key, choice) = (format!("key {}", (state >> 33) % KEYS), (state >> 40) % 12);
        let creator = move || if choice == 0 { Err("planned") } else { Ok(state) };
        requested += match choice {
            0..=3 => region.try_get_or_create(&key, creator).map_or(1, |_| 1),
            4 => region.get::<u64>(&key).map_or(1, |_| 1),
            5 => region.get_multi::<u64>(&[&*key, "key 0", "never"]).map_or(3, |_| 3),
            6 => {
                region.get_or_create_multi(&[&*key, "key x"], |keys| vec![1_u64; keys.len()]).map_or(2, |_| 2)
            }
            7 => region.options().background().try_get_or_create(&key, creator).map_or(1, |_| 1),
            8 => smol::block_on(region.get_or_create_async(&key, async || {
                smol::future::yield_now().await;
                state
            }))
            .map_or(1, |_| 1),
            9 => smol::block_on(region.options().detach().get_or_create_async(&key, async move || state))
                .map_or(1, |_| 1),
            10 => {
                // Dropped after its first poll, unless it ends there.
                let creator = async || std::future::pending::<u64>().await;
                let call = region.get_or_create_async(&key, creator);
                let _ = smol::block_on(smol::future::poll_once(call));
                1
            }
            _ => {
                let _ = region.delete(&key);
                0
            }
        };
    }
    requested
}

fn check(config: RegionConfig, disturb: impl Fn() + Sync) -> (u64, BTreeMap<&'static str, u64>) {
    let endings = Arc::new(Endings::default());
    let config = config.observer(endings.clone()).async_creation_runner(runner());
    let config = config.expiration_time(Duration::from_millis(5)).early_refresh(Share::percent(50));
    let region = CacheRegion::new("load");
    region.configure(config.stale(OnStale::Serve).fail_safe(FailSafe::new(Duration::from_secs(60)))).unwrap();
    let (requested, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
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
                let (region, requested) = (&region, &requested);
                scope.spawn(move || requested.fetch_add(call(region, thread), SeqCst))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        is_over.store(true, SeqCst);
    });
    until(|| region.creations().unwrap().is_empty());
    let requested = requested.load(SeqCst);
    let counted = counted(&region);
    assert_eq!(counted.requests(), requested, "{counted:?}");
    let outcomes: BTreeMap<_, _> = counted.outcomes().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(outcomes, *endings.0.lock().unwrap());
    (requested, outcomes)
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
