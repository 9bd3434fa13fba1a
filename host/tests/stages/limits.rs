//! Callers that do not wait for their creators.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::Duration;

use dogpile::{
    CacheRegion, CreateError, Creation, CreatorTimeout, OnStale, RegionConfig, RegionError, Runner,
    ThreadRunner,
};

use super::setup::{Failure, NEW, OLD, plain, region, region_with_old, staged, until};

const SHORT: Duration = Duration::from_millis(50);

fn hard(config: RegionConfig) -> RegionConfig {
    config.creator_timeout(CreatorTimeout::OFF.hard(SHORT))
}

fn soft(config: RegionConfig) -> RegionConfig {
    config.creator_timeout(CreatorTimeout::OFF.soft(SHORT))
}

fn with_runner(config: RegionConfig) -> RegionConfig {
    config.async_creation_runner(Arc::new(ThreadRunner))
}

fn is_new(region: &CacheRegion) -> bool {
    region.get::<u32>("key").unwrap() == Some(NEW) && region.creations().unwrap().is_empty()
}

fn assert_timed_out<E: std::fmt::Debug>(failed: Result<u32, CreateError<E>>) {
    let Err(CreateError::Region(error @ RegionError::CreatorTimedOut { .. })) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(
        error.to_string(),
        "region \"stages\" timed out creating \"key\": there was no value after 50ms, the \"hard\" limit of \
         \"creator_timeout\"; retry later, or raise the limit"
    );
    assert!(error.is_transient());
}

#[test]
fn background_caller_leaves_after_its_hard_limit() {
    let (region, _clock) = region(with_runner(hard(plain())));
    let (sender, receiver) = channel::<u32>();
    let create = move || receiver.recv().map_err(|_| Failure::Outage);
    assert_timed_out(region.options().background().try_get_or_create("key", create));
    // The creation keeps its lock.
    assert!(region.key_is_locked("key").unwrap());
    sender.send(NEW).unwrap();
    until(|| is_new(&region));
}

#[test]
fn background_caller_takes_the_old_value_after_its_limit() {
    for config in [soft(plain()).stale(OnStale::Wait), hard(staged()).stale(OnStale::Wait)] {
        let (region, _clock) = region_with_old(with_runner(config), 120);
        let (sender, receiver) = channel::<u32>();
        let create = move || receiver.recv().map_err(|_| Failure::Outage);
        assert_eq!(region.options().background().try_get_or_create("key", create).unwrap(), OLD);
        sender.send(NEW).unwrap();
        until(|| is_new(&region));
    }
}

#[test]
fn background_caller_in_time_gets_value_error_and_panic() {
    let config = || with_runner(plain().creator_timeout(CreatorTimeout::OFF.hard(Duration::from_secs(3600))));
    let (region, _clock) = region(config());
    let call = || region.options().background();
    let failed = call().try_get_or_create("key", || Err::<u32, _>(Failure::Outage));
    assert_eq!(failed.unwrap_err().into_creator().unwrap(), Failure::Outage);
    let panicking = || call().get_or_create("key", || -> u32 { std::panic::panic_any("a scripted panic") });
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
    assert_eq!(
        call().get_or_create_multi(&["key", "other"], |keys| vec![NEW; keys.len()]).unwrap(),
        [NEW, NEW]
    );
    assert!(is_new(&region));
}

/// A creator on the runner's thread that requests the key of the creator that waits for it gets an error.
#[test]
fn background_creator_requesting_its_callers_key_fails() {
    let (region, _clock) =
        region(with_runner(plain().creator_timeout(CreatorTimeout::OFF.hard(Duration::from_secs(3600)))));
    let (inner, outer) = (Arc::clone(&region), Arc::clone(&region));
    let circle = move || inner.get_or_create("key", || OLD);
    let create = move || {
        outer.options().background().try_get_or_create("other", circle).map_err(|error| error.to_string())
    };
    let failed = region.options().background().try_get_or_create("key", create);
    assert!(failed.unwrap_err().to_string().contains("could not lock"));
}

#[derive(Debug)]
struct Dropping;

impl Runner for Dropping {
    fn run(&self, creation: Creation) {
        drop(creation);
    }
}

#[test]
fn caller_creates_what_the_runner_drops() {
    let (region, _clock) = region(hard(plain()).async_creation_runner(Arc::new(Dropping)));
    assert_eq!(region.options().background().get_or_create("key", || NEW).unwrap(), NEW);
    assert!(is_new(&region));
}

#[test]
fn borrowing_thread_is_not_interrupted() {
    let (region, _clock) = region(hard(plain()));
    let slow = || {
        std::thread::sleep(2 * SHORT);
        NEW
    };
    assert_eq!(region.get_or_create("key", slow).unwrap(), NEW);
}

struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn hard_limit_ends_the_creator_of_a_task() {
    let is_dropped = Arc::new(AtomicBool::new(false));
    let hangs = async || {
        let _dropped = Dropped(Arc::clone(&is_dropped));
        pending::<Result<u32, Failure>>().await
    };
    let (empty, _clock) = region(hard(plain()));
    assert_timed_out(smol::block_on(empty.try_get_or_create_async("key", hangs)));
    assert!(is_dropped.load(SeqCst));
    assert_eq!(empty.creations().unwrap(), []);
    let (saved, _clock) = region_with_old(hard(staged()), 500);
    assert_eq!(smol::block_on(saved.try_get_or_create_async("key", hangs)).unwrap(), OLD);
}

#[test]
fn detached_creation_goes_on_after_its_caller_left() {
    let stale = || OnStale::Wait;
    let cases = [
        (hard(plain()), None, None),
        (soft(plain()), Some(120), Some(OLD)),
        (plain().stale(OnStale::WaitAtMost(SHORT)), Some(120), Some(OLD)),
        (hard(staged()).stale(stale()), Some(500), Some(OLD)),
        (plain().stale(OnStale::ServeAll), Some(120), Some(OLD)),
        (staged(), Some(90), Some(OLD)),
    ];
    for (number, (config, age, expected)) in cases.into_iter().enumerate() {
        let (region, _clock) = match age {
            Some(age) => region_with_old(config, age),
            None => region(config),
        };
        let (sender, receiver) = smol::channel::bounded::<u32>(1);
        let create = async move || receiver.recv().await.map_err(|_| Failure::Outage);
        let got = smol::block_on(region.options().detach().try_get_or_create_async("key", create));
        match expected {
            Some(expected) => assert_eq!(got.unwrap(), expected, "case {number}"),
            None => assert_timed_out(got),
        }
        sender.send_blocking(NEW).unwrap();
        until(|| is_new(&region));
    }
}

#[test]
fn detached_calls_of_many_keys_serve_what_they_have() {
    let (region, _clock) = region_with_old(plain().stale(OnStale::ServeAll), 120);
    let created = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&created);
    let create = move |keys: Vec<String>| {
        counting.fetch_add(keys.len(), SeqCst);
        async move { vec![NEW; keys.len()] }
    };
    let call = region.options().detach().get_or_create_multi_async(&["key"], create);
    assert_eq!(smol::block_on(call).unwrap(), [OLD]);
    until(|| is_new(&region));
    assert_eq!(created.load(SeqCst), 1);
}

#[test]
fn stale_values_are_served_to_all_while_a_runner_creates() {
    let (region, _clock) = region_with_old(with_runner(staged()).stale(OnStale::ServeAll), 120);
    assert_eq!(region.options().background().get_or_create("key", || NEW).unwrap(), OLD);
    until(|| is_new(&region));
    let (region, _clock) = region_with_old(with_runner(staged()), 90);
    assert_eq!(region.options().background().get_or_create("key", || NEW).unwrap(), OLD);
    until(|| is_new(&region));
}
