//! A caller that must wait takes over a creation that is queued for a runner.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use dogpile::{CacheRegion, CreationStage, PoolRunner, RegionConfig};
use dogpile_tests::desk::Desk;
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{Signal, bounded, until};

fn with_queued_creations(name: &'static str) -> (CacheRegion, Arc<Desk>, Arc<Scripted>) {
    let (desk, store) = (Arc::new(Desk::default()), Scripted::with_mutexes());
    let config = RegionConfig::from_instance(store.clone()).async_creation_runner(desk.clone());
    let region = region_of(name, config);
    region.set_multi([("a", 1), ("b", 1)]).unwrap();
    region.invalidate_soft().unwrap();
    let background = region.options().background();
    let create = |keys: &[&str]| vec![2; keys.len()];
    assert_eq!(background.get_or_create_multi(&["a", "b"], create).unwrap(), [1, 1]);
    let stages: Vec<_> = region.creations().unwrap().iter().map(|creation| creation.stage).collect();
    assert_eq!(stages, [CreationStage::Queued, CreationStage::Queued]);
    (region, desk, store)
}

#[test]
fn caller_that_needs_the_value_takes_over_a_queued_creation() {
    bounded(|| {
        let (region, desk, store) = with_queued_creations("taken");
        region.delete("a").unwrap();
        assert_eq!(region.get_or_create("a", || 3).unwrap(), 3);
        assert!(!region.key_is_locked("a").unwrap() && region.key_is_locked("b").unwrap());
        // The runner creates what is left.
        desk.take().into_iter().for_each(dogpile::Creation::run);
        assert_eq!(region.get_multi(&["a", "b"]).unwrap(), [Some(3), Some(2)]);
        assert_eq!(region.creations().unwrap(), []);
        assert!(!dogpile::sdk::CacheMutex::locked(&*store.mutex("b")).unwrap());
    });
}

#[test]
fn runner_that_comes_too_late_creates_nothing() {
    bounded(|| {
        let (region, desk, _) = with_queued_creations("late");
        region.delete_multi(&["a", "b"]).unwrap();
        assert_eq!(region.get_or_create_multi(&["b", "a"], |keys| vec![3; keys.len()]).unwrap(), [3, 3]);
        desk.take().into_iter().for_each(dogpile::Creation::run);
        assert_eq!(region.get_multi(&["a", "b"]).unwrap(), [Some(3), Some(3)]);
        assert_eq!(region.creations().unwrap(), []);
    });
}

#[test]
fn caller_with_a_stale_value_leaves_a_queued_creation_alone() {
    let (region, desk, _) = with_queued_creations("patient");
    assert_eq!(region.get_or_create("a", || 3).unwrap(), 1);
    desk.take().into_iter().for_each(dogpile::Creation::run);
    assert_eq!(region.get("a").unwrap(), Some(2));
}

/// The only thread of the pool runs a creator that needs a key whose creation is queued behind it.
#[test]
fn creator_on_a_pool_takes_over_what_is_queued_behind_it() {
    bounded(|| {
        let pool = Arc::new(PoolRunner::new(NonZeroUsize::MIN, 10).unwrap());
        let config = RegionConfig::new("dogpile.cache.memory").async_creation_runner(pool);
        let region: &'static CacheRegion = Box::leak(Box::new(region_of("pool", config)));
        region.set_multi([("page", 1), ("part", 1)]).unwrap();
        region.invalidate_soft().unwrap();
        let go_on = Signal::default();
        let wait = go_on.clone();
        let page = move || {
            wait.wait();
            region.get_or_create("part", || 2).unwrap() + 100
        };
        assert_eq!(region.options().background().get_or_create("page", page).unwrap(), 1);
        assert_eq!(region.options().background().get_or_create("part", || 3).unwrap(), 1);
        region.delete("part").unwrap();
        go_on.give();
        let part = thread::spawn(|| region.get_or_create("part", || 4).unwrap()).join().unwrap();
        assert!([2, 4].contains(&part), "{part}");
        until("the page is created", || region.get("page").unwrap() == Some(part + 100));
    });
}
