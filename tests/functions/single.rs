//! The macro `cache_on_arguments`.

use std::sync::Arc;
use std::time::Duration;

use dogpile::function::{Argument, CacheKey, FunctionCall};
use dogpile::sdk::ErrorKind;
use dogpile::{
    CacheRegion, CreateError, Expiration, InMemory, ManualClock, RegionConfig, cache_on_arguments,
};
use dogpile_tests::errors::OutOfStock;
use dogpile_tests::events::Events;
use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::{Subject, on_each, on_each_with, region_of};
use dogpile_tests::scripted::Scripted;
use dogpile_tests::servers::folder;
use dogpile_tests::threads::{bounded, together};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use super::{Calls, Desk};

const SECOND: Duration = Duration::from_secs(1);

/// Creates a region in memory.
fn region() -> CacheRegion {
    region_of("functions", RegionConfig::new("dogpile.cache.memory"))
}

/// Returns the number of evaluations so far, including this one.
#[cache_on_arguments(region = region, ignore(region, calls))]
fn counted(region: &CacheRegion, calls: &Calls, a: i32, b: i32) -> u32 {
    let _ = (a, b);
    calls.next()
}

fn each_pair_is_evaluated_once(region: &CacheRegion) {
    let calls = Calls::default();
    assert_eq!(counted(region, &calls, 3, 4), 1);
    assert_eq!(counted(region, &calls, 5, 6), 2);
    assert_eq!(counted(region, &calls, 4, 3), 3);
    assert_eq!(counted(region, &calls, 3, 4), 1);
    assert_eq!(counted(region, &calls, 4, 3), 3);
    // This key was never cached. Invalidating it succeeds.
    counted::invalidate(region, &calls, 9, 9).unwrap();
    counted::invalidate(region, &calls, 5, 6).unwrap();
    assert_eq!(counted(region, &calls, 5, 6), 4);
    assert_eq!(counted(region, &calls, 3, 4), 1);
}

/// Behavior: `decorated-function-keyed-by-arguments`, `decorated-function-invalidate-absent-ok`,
/// `decorator-distinguishes-argument-order`, `decorator-invalidate`
#[test]
fn function_is_evaluated_once_per_tuple_of_arguments() {
    on_each(|subject| each_pair_is_evaluated_once(&subject.region));
}

/// Runs `test` on a region over a file, and over each kind of server that is installed.
fn on_shared_stores(test: fn(&CacheRegion)) {
    bounded(move || {
        let folder = folder();
        let filename = folder.path().join("cache.db");
        let config = RegionConfig::new("dogpile.cache.dbm").argument("filename", filename);
        test(&region_of("in a file", config));
        let server = RedisServer::start(&[]).unwrap();
        let config = RegionConfig::new("dogpile.cache.redis").argument("port", server.port());
        test(&region_of("on Redis", config));
        let server = MemcachedServer::start(&[]).unwrap();
        let config = RegionConfig::new("dogpile.cache.pymemcache").argument("url", server.url());
        test(&region_of("on memcached", config));
    });
}

/// Behavior: `decorated-function-keyed-by-arguments`, `decorated-function-invalidate-absent-ok`
#[cfg_attr(any(missing_redis, missing_memcached), ignore = "needs redis-server and memcached")]
#[test]
fn shared_stores_evaluate_once_per_tuple_of_arguments() {
    on_shared_stores(each_pair_is_evaluated_once);
}

/// Behavior: `null-decorator-always-evaluates`
#[test]
fn null_backend_evaluates_on_every_call() {
    let (region, calls) = (region_of("null", RegionConfig::new("dogpile.cache.null")), Calls::default());
    assert_eq!([(); 3].map(|()| counted(&region, &calls, 1, 2)), [1, 2, 3]);
}

#[cache_on_arguments(region = subject.region, ignore(subject, calls), namespace = "ns")]
fn in_a_namespace(subject: &Subject, calls: &Calls, a: i32) -> u32 {
    let _ = a;
    calls.next()
}

/// Behavior: `decorator-caches-until-region-expiration`, `decorator-namespace-accepted`
#[test]
fn value_is_served_until_the_regions_expiration_time() {
    on_each_with(
        |config| config.expiration_time(SECOND / 4),
        |subject| {
            let (plain, named) = (Calls::default(), Calls::default());
            let both = |a| (counted(&subject.region, &plain, a, 0), in_a_namespace(subject, &named, a));
            assert_eq!((both(1), both(1), both(2)), ((1, 1), (1, 1), (2, 2)));
            subject.clock.advance(3 * SECOND / 10);
            assert_eq!(both(1), (3, 3));
        },
    );
}

#[cache_on_arguments(region = subject.region, ignore(subject, calls), expiration_time = 0.5)]
fn for_half_a_second(subject: &Subject, calls: &Calls, a: i32) -> u32 {
    let _ = a;
    calls.next()
}

#[cache_on_arguments(region = subject.region, ignore(subject, calls), expiration_time = -1)]
fn for_ever(subject: &Subject, calls: &Calls) -> u32 {
    calls.next()
}

#[cache_on_arguments(region = subject.region, ignore(subject, calls), expiration_time = SECOND / 2)]
fn for_a_duration(subject: &Subject, calls: &Calls) -> u32 {
    calls.next()
}

/// Behavior: `decorator-own-expiration`
#[test]
fn own_expiration_time_overrides_the_regions() {
    on_each_with(
        |config| config.expiration_time(SECOND / 4),
        |subject| {
            let [numbers, durations, never] = [(); 3].map(|()| Calls::default());
            let half = || (for_half_a_second(subject, &numbers, 1), for_a_duration(subject, &durations));
            assert_eq!((half(), for_ever(subject, &never)), ((1, 1), 1));
            subject.clock.advance(3 * SECOND / 10);
            assert_eq!(half(), (1, 1));
            assert_eq!(for_half_a_second::get(subject, &numbers, 1).unwrap(), Some(1));
            subject.clock.advance(3 * SECOND / 10);
            assert_eq!(for_half_a_second::get(subject, &numbers, 1).unwrap(), None);
            assert_eq!((half(), for_ever(subject, &never)), ((2, 2), 1));
        },
    );
}

/// The expiration time in seconds, which the test changes between calls.
static LIMIT: Mutex<u64> = Mutex::new(0);

#[cache_on_arguments(region = subject.region, ignore(subject, calls), expiration_time = || *LIMIT.lock())]
fn for_as_long_as_it_says(subject: &Subject, calls: &Calls) -> u32 {
    calls.next()
}

fn half_a_second() -> Expiration {
    (SECOND / 2).into()
}

#[cache_on_arguments(region = subject.region, ignore(subject, calls), expiration_time = half_a_second)]
fn for_what_a_function_says(subject: &Subject, calls: &Calls) -> u32 {
    calls.next()
}

/// Behavior: `decorator-expiration-callable`, `decorator-expiration-callable-zero`
#[test]
fn expiration_function_is_called_for_every_call() {
    let subject = Subject::new(RegionConfig::new("dogpile.cache.memory").expiration_time(SECOND / 4));
    let (changing, half) = (Calls::default(), Calls::default());
    let ask = || for_as_long_as_it_says(&subject, &changing);
    *LIMIT.lock() = 60;
    assert_eq!((ask(), for_what_a_function_says(&subject, &half)), (1, 1));
    subject.clock.advance(3 * SECOND / 10);
    assert_eq!((ask(), for_what_a_function_says(&subject, &half)), (1, 1));
    subject.clock.advance(3 * SECOND / 10);
    assert_eq!(for_what_a_function_says(&subject, &half), 2);
    *LIMIT.lock() = 0;
    for evaluations in 2..5 {
        assert_eq!(ask(), evaluations);
        subject.clock.advance(SECOND / 1000);
    }
}

/// Behavior: `decorator-set`, `decorator-get`
#[test]
fn set_and_get_do_not_evaluate() {
    on_each(|Subject { region, .. }| {
        let calls = Calls::default();
        assert_eq!(counted::get(region, &calls, 1, 2).unwrap(), None);
        assert_eq!(calls.count(), 0);
        counted::set(0, region, &calls, 1, 2).unwrap();
        assert_eq!(counted(region, &calls, 1, 2), 0);
        counted::invalidate(region, &calls, 1, 2).unwrap();
        assert_eq!(counted(region, &calls, 1, 2), 1);
        assert_eq!(counted::get(region, &calls, 1, 2).unwrap(), Some(1));
        assert_eq!(calls.count(), 1);
    });
}

/// Behavior: `decorator-refresh`, `decorator-original`
#[test]
fn refresh_stores_its_value_and_original_does_not() {
    on_each(|Subject { region, .. }| {
        let calls = Calls::default();
        assert_eq!(counted(region, &calls, 1, 2), 1);
        assert_eq!(counted::refresh(region, &calls, 1, 2).unwrap(), 2);
        assert_eq!(counted::refresh(region, &calls, 1, 2).unwrap(), 3);
        assert_eq!(counted(region, &calls, 1, 2), 3);
        assert_eq!(counted::original(region, &calls, 1, 2), 4);
        assert_eq!(counted(region, &calls, 1, 2), 3);
    });
}

/// A type that serde cannot serialize.
#[derive(Clone, Debug, PartialEq)]
struct Tea(&'static str);

#[cache_on_arguments(region = region, ignore(region, calls), to_str = |tea: &Tea| tea.0.to_owned())]
fn brewed(region: &CacheRegion, calls: &Calls, tea: Tea) -> InMemory<(Tea, u32)> {
    InMemory((tea, calls.next()))
}

// DIFFERENCE: Rust has no keyword arguments, so only the second half of the behavior applies.

/// Behavior: `decorator-accepts-named-positional`
#[test]
fn types_without_serde_can_be_arguments_and_values() {
    let (region, calls) = (region(), Calls::default());
    assert_eq!(brewed(&region, &calls, Tea("green")), InMemory((Tea("green"), 1)));
    assert_eq!(brewed(&region, &calls, Tea("black")), InMemory((Tea("black"), 2)));
    assert_eq!(brewed(&region, &calls, Tea("green")), InMemory((Tea("green"), 1)));
    assert!(brewed::key(&region, &calls, Tea("green")).ends_with(":brewed|green"));
}

fn first_argument_only(call: &FunctionCall<'_>, key: &mut String) {
    let namespace = call.function().namespace().unwrap_or("none");
    let first = call.arguments().first().map(Argument::text).unwrap_or_default();
    key.push_str(&format!("{namespace}_{}_{first}", call.function().name()));
}

#[cache_on_arguments(
    region = region,
    ignore(region, calls),
    namespace = "ns",
    key_name = "one",
    function_key_generator = first_argument_only
)]
fn by_first_argument(region: &CacheRegion, calls: &Calls, a: i32, b: i32) -> u32 {
    let _ = (a, b);
    calls.next()
}

/// Behavior: `decorator-custom-key-generator`
#[test]
fn custom_key_generator_decides_the_key() {
    let (region, calls) = (region(), Calls::default());
    let ask = |a, b| by_first_argument(&region, &calls, a, b);
    assert_eq!((ask(1, 2), ask(1, 3), ask(2, 2)), (1, 1, 2));
    assert_eq!(by_first_argument::key(&region, &calls, 1, 3), "ns_one_1");
    assert_eq!(region.get("ns_one_1").unwrap(), Some(1_u32));
}

/// A function whose attributes, lifetimes, and generic parameters the macro must keep.
#[must_use]
#[expect(clippy::needless_lifetimes, reason = "the macro keeps it")]
#[cache_on_arguments(region = region, ignore(region), should_cache_fn = Option::is_some)]
pub fn documented<'a, T, const N: usize>(
    region: &CacheRegion,
    mut of: &'a [T; N],
    default: Option<T>,
) -> Option<T>
where
    T: CacheKey + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    if let Some(default) = default {
        return Some(default);
    }
    let all: &[T] = of;
    of = of.as_slice().try_into().unwrap_or(of);
    let _ = of;
    all.first().cloned()
}

/// Behavior: `decorator-preserves-signature`
#[test]
fn cached_function_keeps_the_original_signature() {
    let region = region();
    let cached: for<'a> fn(&CacheRegion, &'a [u8; 2], Option<u8>) -> Option<u8> = documented;
    let original: for<'a> fn(&CacheRegion, &'a [u8; 2], Option<u8>) -> Option<u8> = documented::original;
    assert_eq!((cached(&region, &[1, 2], None), original(&region, &[1, 2], None)), (Some(1), Some(1)));
    assert_eq!(documented::<String, 0>(&region, &[], None), None);
    assert_eq!(
        documented::get::<String, 0>(&region, &[], None).unwrap(),
        None,
        "the predicate rejects `None`"
    );
    // Keys differ for different types and constants, even if the arguments have the same text.
    let keys = [
        documented::key::<u8, 1>(&region, &[1], None),
        documented::key::<u16, 1>(&region, &[1], None),
        documented::key::<u8, 2>(&region, &[1, 1], None),
    ];
    let module = module_path!();
    assert_eq!(keys[0], format!("{module}:documented<u8>|1 [1] None"));
    assert_eq!(keys[1], format!("{module}:documented<u16>|1 [1] None"));
    assert_eq!(keys[2], format!("{module}:documented<u8>|2 [1, 1] None"));
}

#[cache_on_arguments(region = region, ignore(region, calls), should_cache_fn = |price: &u32| *price % 2 == 1)]
fn odd_price(region: &CacheRegion, calls: &Calls, item: &str) -> Result<u32, OutOfStock> {
    let price = calls.next();
    if item == "gone" { Err(OutOfStock) } else { Ok(price) }
}

#[cache_on_arguments(region = region, ignore(region))]
fn read(region: &CacheRegion, file: &str) -> std::io::Result<String> {
    if file == "there" { Ok(file.to_owned()) } else { Err(std::io::ErrorKind::NotFound.into()) }
}

#[test]
fn errors_and_rejected_values_are_not_cached() {
    let (region, calls) = (region(), Calls::default());
    let ask = |item| odd_price(&region, &calls, item);
    assert_eq!((ask("gone"), ask("gone")), (Err(OutOfStock), Err(OutOfStock)));
    assert_eq!((ask("tea"), ask("tea")), (Ok(3), Ok(3)));
    assert_eq!((ask("cup"), ask("cup"), ask("cup")), (Ok(4), Ok(5), Ok(5)));
    let refreshed = odd_price::refresh(&region, &calls, "cup");
    assert_eq!((refreshed.unwrap(), ask("cup")), (6, Ok(5)), "a rejected value does not replace the old one");
    let error = odd_price::refresh(&region, &calls, "gone").unwrap_err();
    assert!(matches!(error, CreateError::Creator(OutOfStock)), "{error:?}");
    assert_eq!(odd_price::get(&region, &calls, "gone").unwrap(), None);

    assert_eq!(read(&region, "there").unwrap(), "there");
    assert_eq!(read(&region, "away").unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(read::get(&region, "there").unwrap().as_deref(), Some("there"));
}

#[cache_on_arguments(region = region, ignore(region, calls))]
fn perhaps(region: &CacheRegion, calls: &Calls, number: u32) -> Option<u32> {
    calls.next();
    number.checked_sub(1)
}

#[test]
fn none_is_cached_like_any_value() {
    on_each(|Subject { region, .. }| {
        let calls = Calls::default();
        assert_eq!([(); 2].map(|()| perhaps(region, &calls, 0)), [None, None]);
        assert_eq!(calls.count(), 1);
        assert_eq!(perhaps::get(region, &calls, 0).unwrap(), Some(None));
    });
}

static BEHIND: CacheRegion = CacheRegion::new("behind");
static BEHIND_CALLS: Mutex<Vec<(i32, i32)>> = Mutex::new(Vec::new());

#[cache_on_arguments(region = BEHIND, background)]
fn in_background(a: i32, b: i32) -> usize {
    let mut calls = BEHIND_CALLS.lock();
    calls.push((a, b));
    calls.len()
}

/// Behavior: `async-decorator-soft-invalidation`, `async-decorator-not-used-for-misses`, `decorator-key-text-with-module`
#[test]
fn runner_evaluates_stale_call_with_its_arguments() {
    let (desk, clock) = (Arc::new(Desk::default()), Arc::new(ManualClock::at(100.0)));
    let config = RegionConfig::new("dogpile.cache.memory").expiration_time(5 * SECOND);
    BEHIND.configure(config.async_creation_runner(desk.clone()).clock(clock.clone())).unwrap();
    assert_eq!((in_background(1, 2), in_background(3, 4), in_background(1, 2)), (1, 2, 1));
    assert!(desk.0.lock().is_empty());

    clock.advance(SECOND);
    BEHIND.invalidate_soft().unwrap();
    assert_eq!(in_background(1, 2), 1, "the old value is served");
    assert_eq!(*BEHIND_CALLS.lock(), [(1, 2), (3, 4)]);
    let handed = desk.0.lock().pop().unwrap();
    assert_eq!(handed.keys(), [format!("{}:in_background|1 2", module_path!())]);
    handed.run();
    assert_eq!(*BEHIND_CALLS.lock(), [(1, 2), (3, 4), (1, 2)]);
    assert_eq!(in_background(1, 2), 3);
}

#[test]
fn sixteen_threads_evaluate_a_missing_value_once() {
    bounded(|| {
        let (region, calls) = (region(), Calls::default());
        let values = together(16, |_| counted(&region, &calls, 1, 2));
        assert_eq!((values, calls.count()), (vec![1; 16], 1));
    });
}

#[test]
fn function_is_evaluated_uncached_if_the_region_fails() {
    let (store, calls) = (Scripted::new(), Calls::default());
    let region = region_of("failing function", RegionConfig::from_instance(store.clone()));
    store.fail("get", ErrorKind::Unavailable);
    let events = Events::of_region("failing function");
    assert_eq!((counted(&region, &calls, 1, 2), counted(&region, &calls, 1, 2)), (1, 2));
    let events = events.take();
    let warnings = events.iter().filter(|event| event.level == tracing::Level::WARN);
    // At most one in ten seconds is logged for each region.
    assert_eq!(warnings.count(), 1, "{events:?}");
    assert!(counted::get(&region, &calls, 1, 2).is_err());
    // The function is evaluated once, although its value cannot be stored.
    store.fail("set", ErrorKind::Unavailable);
    assert_eq!(counted(&region, &calls, 1, 2), 3);
    assert!(counted::refresh(&region, &calls, 1, 2).is_err());
    store.heal();
    assert_eq!((counted(&region, &calls, 1, 2), counted(&region, &calls, 1, 2)), (5, 5));

    let unconfigured = CacheRegion::new("unconfigured");
    assert_eq!((counted(&unconfigured, &calls, 1, 2), counted(&unconfigured, &calls, 1, 2)), (6, 7));
}

/// Requests its own key, because `depth` is not part of the key.
#[cache_on_arguments(region = region, ignore(region, depth))]
fn deep(region: &CacheRegion, depth: u32) -> u32 {
    if depth == 0 { 0 } else { deep(region, depth - 1) + 1 }
}

#[test]
fn function_requesting_its_own_key_is_evaluated_uncached() {
    bounded(|| {
        let region = region();
        assert_eq!(deep(&region, 3), 3);
        assert_eq!(deep(&region, 9), 3, "the value is cached");
    });
}
