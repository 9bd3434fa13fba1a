//! Asynchronous functions whose region fails.

use std::collections::BTreeMap;
use std::fmt;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use dogpile::{
    CacheRegion, CreatorTimeout, RegionConfig, ThreadRunner, cache_multi_on_arguments, cache_on_arguments,
};
use parking_lot::{Condvar, Mutex};

/// An error that only has a text.
#[derive(Clone, Debug, PartialEq)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

static LATE: CacheRegion = CacheRegion::new("late");

#[cache_on_arguments(region = LATE)]
async fn early(item: u32) -> Result<u32, Refused> {
    if item == 0 { Err(Refused("zero".to_owned())) } else { Ok(item) }
}

#[cache_on_arguments(region = LATE, detach)]
async fn early_detached(item: u32) -> Result<u32, Refused> {
    if item == 0 { Err(Refused("zero".to_owned())) } else { Ok(item) }
}

#[cache_multi_on_arguments(region = LATE)]
async fn many_early(items: &[u32]) -> Vec<u32> {
    items.to_vec()
}

#[cache_multi_on_arguments(region = LATE, detach, asdict)]
async fn many_early_detached(items: &[u32]) -> BTreeMap<u32, u32> {
    items.iter().map(|item| (*item, *item)).collect()
}

#[test]
fn function_is_evaluated_uncached_without_a_region() {
    let all = async || {
        (
            early(1).await,
            early(0).await,
            early_detached(1).await,
            early_detached(0).await,
            many_early(&[2]).await,
        )
    };
    let zero = || Err(Refused("zero".to_owned()));
    assert_eq!(smol::block_on(all()), (Ok(1), zero(), Ok(1), zero(), vec![2]));
    assert_eq!(smol::block_on(many_early_detached(&[3])), BTreeMap::from([(3, 3)]));
    assert!(smol::block_on(early::get(1)).is_err());
    assert!(smol::block_on(early::refresh(1)).is_err());
    LATE.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    assert_eq!(smol::block_on(all()), (Ok(1), zero(), Ok(1), zero(), vec![2]));
    assert_eq!(smol::block_on(many_early_detached(&[3])), BTreeMap::from([(3, 3)]));
    assert_eq!(smol::block_on(early::get(1)).unwrap(), Some(1));
    assert_eq!(smol::block_on(early_detached::get(0)).unwrap(), None);
}

/// A limit that every evaluation below exceeds.
const HARD: CreatorTimeout = CreatorTimeout::OFF.hard(Duration::from_millis(10));

static LIMITED: CacheRegion = CacheRegion::new("limited");
static EVALUATED: AtomicU32 = AtomicU32::new(0);

#[cache_on_arguments(region = LIMITED)]
async fn slow(item: u32) -> Result<u32, Refused> {
    EVALUATED.fetch_add(1, Ordering::SeqCst);
    smol::Timer::after(Duration::from_millis(100)).await;
    if item == 0 { Err(Refused("zero".to_owned())) } else { Ok(item) }
}

/// A function cannot return the error of the hard limit. It goes on, and is not called again.
#[test]
fn function_beyond_the_hard_limit_runs_to_its_end_once() {
    LIMITED.configure(RegionConfig::new("dogpile.cache.memory").creator_timeout(HARD)).unwrap();
    assert_eq!(smol::block_on(slow(1)), Ok(1));
    assert_eq!(smol::block_on(slow(0)), Err(Refused("zero".to_owned())));
    assert_eq!(EVALUATED.load(Ordering::SeqCst), 2);
    assert_eq!(smol::block_on(slow::get(1)).unwrap(), None, "the region dropped the creation");
}

static LEFT: CacheRegion = CacheRegion::new("left to a runner");
static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

#[cache_on_arguments(region = LEFT, background, expiration_time = 0)]
fn left_to_a_runner(item: u32) -> u32 {
    let mut is_open = GATE.0.lock();
    while !*is_open {
        GATE.1.wait(&mut is_open);
    }
    item
}

/// The caller waits, because the arguments have gone to the runner.
#[test]
fn function_in_the_background_has_no_hard_limit() {
    let config = RegionConfig::new("dogpile.cache.memory").async_creation_runner(Arc::new(ThreadRunner));
    LEFT.configure(config.creator_timeout(HARD)).unwrap();
    let caller = thread::spawn(|| left_to_a_runner(7));
    thread::sleep(Duration::from_millis(50));
    *GATE.0.lock() = true;
    GATE.1.notify_all();
    assert_eq!(caller.join().unwrap(), 7);
}

static PLAIN_LIMITED: CacheRegion = CacheRegion::new("left to a runner, without an expiration time");

#[cache_on_arguments(region = PLAIN_LIMITED, background)]
fn left_without_options(item: u32) -> u32 {
    thread::sleep(Duration::from_millis(200));
    item
}

/// The same, for a function without options, whose hits use the region's policy as it is.
#[test]
fn function_in_the_background_without_options_has_no_hard_limit() {
    let config = RegionConfig::new("dogpile.cache.memory").async_creation_runner(Arc::new(ThreadRunner));
    PLAIN_LIMITED.configure(config.creator_timeout(HARD)).unwrap();
    assert_eq!(left_without_options(7), 7);
}
