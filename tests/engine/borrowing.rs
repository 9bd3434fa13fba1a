//! The warning of a region that configures more than a borrowing creator can honor.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use dogpile::{CacheRegion, CreatorTimeout, OnStale, PoolRunner, RegionConfig, Share};
use dogpile_tests::events::{Events, Told};
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{block_on, together};

const MINUTE: Duration = Duration::from_secs(60);

type Change = fn(RegionConfig) -> RegionConfig;

/// The settings that need a creator which owns what it uses, and how the warning calls them.
const SETTINGS: [(&str, Change); 4] = [
    ("stale = \"serve_all\"", |config| config.stale(OnStale::ServeAll)),
    ("early_refresh", |config| config.early_refresh(Share::percent(80))),
    ("creator_timeout.soft", |config| config.creator_timeout(CreatorTimeout::OFF.soft(MINUTE))),
    ("creator_timeout.hard", |config| config.creator_timeout(CreatorTimeout::OFF.hard(MINUTE))),
];

fn memory() -> RegionConfig {
    RegionConfig::new("dogpile.cache.memory").expiration_time(100)
}

/// Returns the warnings of a region of its own, configured with `config`, during `calls`.
fn warnings(name: &'static str, config: RegionConfig, calls: impl FnOnce(&CacheRegion)) -> Vec<Told> {
    let events = Events::of_region(name);
    let region = region_of(name, config);
    calls(&region);
    events.take().into_iter().filter(|told| told.level == tracing::Level::WARN).collect()
}

fn create(region: &CacheRegion, key: &str) {
    assert_eq!(region.get_or_create(key, || 1).unwrap(), 1);
}

fn create_async(region: &CacheRegion, key: &str) {
    assert_eq!(block_on(region.get_or_create_async(key, async || 1)).unwrap(), 1);
}

#[test]
fn first_borrowing_call_logs_the_setting_once() {
    for (setting, set) in SETTINGS {
        let warned = warnings("borrowing", set(memory()), |region| {
            together(8, |number| (0..10).for_each(|key| create(region, &format!("{number} {key}"))));
            assert_eq!(region.get_or_create_multi(&["a", "b"], |keys| vec![1; keys.len()]).unwrap(), [1, 1]);
        });
        assert_eq!(warned.len(), 1, "{warned:?}");
        let expected = format!(
            "{setting} has less effect on a creator that borrows: the call waits for it; use options().background(), \
             and set async_creation_runner"
        );
        assert_eq!((&*warned[0].message, &*warned[0].fields["setting"]), (&*expected, setting));
    }
}

/// A task can end its creator, so that `hard` has its effect.
#[test]
fn first_borrowing_task_logs_the_settings_that_it_cannot_honor() {
    for (setting, set) in SETTINGS {
        let warned = warnings("borrowing task", set(memory()), |region| {
            ["a", "b", "c"].iter().for_each(|key| create_async(region, key));
        });
        if setting == "creator_timeout.hard" {
            assert_eq!(warned, []);
            continue;
        }
        assert_eq!(warned.len(), 1, "{warned:?}");
        let advice = "the call waits for it; use options().detach()";
        assert!(warned[0].message.starts_with(setting) && warned[0].message.ends_with(advice), "{warned:?}");
    }
}

#[test]
fn region_without_such_settings_logs_no_warning() {
    let config = memory().stale(OnStale::Wait).max_stale(50).jitter(Share::percent(10));
    let warned = warnings("plain", config, |region| {
        create(region, "thread");
        create_async(region, "task");
    });
    assert_eq!(warned, []);
}

#[test]
fn creators_that_own_what_they_use_log_no_warning() {
    for (_, set) in SETTINGS {
        let runner = Arc::new(PoolRunner::new(NonZeroUsize::MIN, 10).unwrap());
        let warned = warnings("owning", set(memory()).async_creation_runner(runner), |region| {
            assert_eq!(region.options().background().get_or_create("thread", || 1).unwrap(), 1);
            let detached = region.options().detach().get_or_create_async("task", async || 1);
            assert_eq!(block_on(detached).unwrap(), 1);
        });
        assert_eq!(warned, []);
    }
}

/// Without a runner, `background()` borrows as well.
#[test]
fn background_call_without_a_runner_logs_the_warning() {
    let warned = warnings("no runner", memory().stale(OnStale::ServeAll), |region| {
        assert_eq!(region.options().background().get_or_create("key", || 1).unwrap(), 1);
    });
    assert_eq!(warned.len(), 1, "{warned:?}");
}

/// A hit needs no creator, and a setting of one call counts like one of the region.
#[test]
fn warning_comes_with_the_first_call_that_creates() {
    let warned = warnings("hits", memory(), |region| {
        region.set("key", 1).unwrap();
        let call = || region.options().stale(OnStale::ServeAll);
        assert_eq!(call().get_or_create("key", || 2).unwrap(), 1);
        assert_eq!(call().get_or_create("other", || 2).unwrap(), 2);
        assert_eq!(call().get_or_create("third", || 3).unwrap(), 3);
    });
    assert_eq!(warned.len(), 1, "{warned:?}");
}
