//! The settings of the macros: versions, predicates, and expiration times.

use std::time::Duration;

use dogpile::sdk::seconds;
use dogpile::{CacheRegion, Expiration, RegionConfig, cache_multi_on_arguments, cache_on_arguments};
use dogpile_tests::regions::{Subject, region_of};

use super::Calls;

/// Creates a region in memory.
fn region() -> CacheRegion {
    region_of("settings", RegionConfig::new("dogpile.cache.memory"))
}

mod old {
    use super::*;

    #[cache_on_arguments(region = region, ignore(region), key_name = "shop:price")]
    pub(super) fn price(region: &CacheRegion, item: &str) -> u32 {
        item.len() as u32
    }
}

mod new {
    use super::*;

    #[cache_on_arguments(region = region, ignore(region), key_name = "shop:price", version = 2)]
    pub(super) fn price(region: &CacheRegion, item: &str) -> String {
        format!("{} euros", item.len())
    }

    #[cache_on_arguments(region = region, ignore(region), key_name = "shop:price", namespace = "v2")]
    pub(super) fn in_a_namespace(region: &CacheRegion, item: &str) -> u32 {
        item.len() as u32
    }

    #[cache_on_arguments(region = region, ignore(region), key_name = name(), namespace = "ns", version = 3)]
    pub(super) fn with_names(region: &CacheRegion, item: &str) -> u32 {
        item.len() as u32
    }

    #[cache_on_arguments(region = region, ignore(region), version = 4)]
    pub(super) fn generic<T: dogpile::function::CacheKey>(region: &CacheRegion, item: T) -> u32 {
        let _ = item;
        4
    }

    #[cache_multi_on_arguments(region = region, ignore(region), version = 5)]
    pub(super) fn many(region: &CacheRegion, items: &[u32]) -> Vec<u32> {
        items.to_vec()
    }

    fn name() -> String {
        "shop:dynamic".to_owned()
    }
}

/// Values of another type, which another version of the program stored, are neither read nor overwritten.
#[test]
fn versions_of_a_function_have_entries_of_their_own() {
    let region = region();
    assert_eq!((old::price(&region, "tea"), new::price(&region, "tea").as_str()), (3, "3 euros"));
    assert_eq!(
        (old::price::get(&region, "tea").unwrap(), new::price::get(&region, "tea").unwrap().as_deref()),
        (Some(3), Some("3 euros"))
    );
    let keys = [
        old::price::key(&region, "tea"),
        new::price::key(&region, "tea"),
        new::in_a_namespace::key(&region, "tea"),
    ];
    assert_eq!(keys, ["shop:price|tea", "shop:price@v2|tea", "shop:price|v2|tea"]);
    assert_eq!(new::with_names::key(&region, "tea"), "shop:dynamic@v3|ns|tea");
    let module = module_path!();
    assert_eq!(new::generic::key(&region, 1_u8), format!("{module}::new:generic<u8>@v4|1"));
    assert_eq!(new::many::key(&region, &[1]), [format!("{module}::new:many@v5|1")]);
}

#[cache_on_arguments(region = region, ignore(region, calls), key_name = "odd", should_cache_fn = |key, value| key.ends_with("1") && *value > 0)]
fn by_closure(region: &CacheRegion, calls: &Calls, item: u32) -> u32 {
    let _ = item;
    calls.next()
}

fn is_for_tea(key: &str, value: &Option<u32>) -> bool {
    key == "named|tea" && value.is_some()
}

#[cache_on_arguments(region = region, ignore(region, calls), key_name = "named", should_cache_fn = is_for_tea)]
fn by_function(region: &CacheRegion, calls: &Calls, item: &str) -> Option<u32> {
    (item != "none").then(|| calls.next())
}

#[cache_multi_on_arguments(region = region, ignore(region, calls), key_name = "many", should_cache_fn = |key, value: &u32| key != "many|2" && *value > 0)]
fn by_key_of_many(region: &CacheRegion, calls: &Calls, items: &[u32]) -> Vec<u32> {
    let call = calls.next();
    items.iter().map(|_| call).collect()
}

#[cache_multi_on_arguments(region = region, ignore(region), key_name = "map", asdict, should_cache_fn = is_for_one)]
fn by_key_of_a_map(region: &CacheRegion, items: &[u32]) -> std::collections::HashMap<u32, u32> {
    items.iter().map(|item| (*item, 10 * item)).collect()
}

fn is_for_one(key: &str, _value: &u32) -> bool {
    key == "map|1"
}

#[test]
fn predicate_may_take_the_key() {
    let (region, calls) = (region(), Calls::default());
    let ask = |item| by_closure(&region, &calls, item);
    assert_eq!((ask(1), ask(1), ask(2), ask(2)), (1, 1, 2, 3));
    assert_eq!(by_closure::refresh(&region, &calls, 2).unwrap(), 4);
    assert_eq!(by_closure::get(&region, &calls, 2).unwrap(), None);
    let named = Calls::default();
    let ask = |item| by_function(&region, &named, item);
    assert_eq!(
        (ask("tea"), ask("tea"), ask("jam"), ask("jam"), ask("none")),
        (Some(1), Some(1), Some(2), Some(3), None)
    );
}

#[test]
fn predicate_of_a_multi_function_takes_the_key_of_each_value() {
    let (region, calls) = (region(), Calls::default());
    assert_eq!(by_key_of_many(&region, &calls, &[1, 2, 3]), [1, 1, 1]);
    assert_eq!(by_key_of_many::get(&region, &calls, &[1, 2, 3]).unwrap(), [Some(1), None, Some(1)]);
    assert_eq!(by_key_of_many::refresh(&region, &calls, &[2, 3]).unwrap(), [2, 2]);
    assert_eq!(by_key_of_many::get(&region, &calls, &[1, 2, 3]).unwrap(), [Some(1), None, Some(2)]);
    by_key_of_a_map(&region, &[2, 1]);
    assert_eq!(by_key_of_a_map::get(&region, &[1, 2]).unwrap(), std::collections::HashMap::from([(1, 10)]));
}

#[test]
fn predicate_of_a_closure_may_take_the_key() {
    let region = region();
    let cached =
        region.cache_on_arguments("c").should_cache_with_key(|key, value: &u32| key != "c|2" && *value < 9);
    let cached = cached.wrap(|number: u32| number);
    assert_eq!((cached.call((1,)), cached.call((2,)), cached.call((9,))), (1, 2, 9));
    assert_eq!([1, 2, 9].map(|number| cached.get(&(number,)).unwrap()), [Some(1), None, None]);
}

/// Declares one function per literal, and lists the durations after which their values are stale.
macro_rules! expiring {
    ($($name:ident = $time:literal)*) => {
        $(
            #[cache_on_arguments(region = subject.region, ignore(subject), expiration_time = $time)]
            fn $name(subject: &Subject) -> u32 {
                let _ = subject;
                1
            }
        )*

        fn limits() -> Vec<(&'static str, Duration)> {
            vec![$(($time, limit(|subject| { $name(subject); }, |subject| $name::get(subject).unwrap()))),*]
        }
    };
}

/// Returns the largest whole number of milliseconds, in powers of two, for which a value is fresh.
fn limit(create: fn(&Subject), get: fn(&Subject) -> Option<u32>) -> Duration {
    let mut limit = 0;
    for bit in (0..38).rev() {
        let subject = Subject::new(RegionConfig::new("dogpile.cache.memory"));
        create(&subject);
        subject.clock.advance(Duration::from_millis(limit + (1 << bit)));
        limit += if get(&subject).is_some() { 1 << bit } else { 0 };
    }
    Duration::from_millis(limit)
}

expiring! {
    milliseconds = "250ms"
    seconds_ = "3s"
    a_number = "90"
    a_fraction = "0.5"
    minutes = " 5m "
    hours = "1h30m"
    mixed = "1day 8h"
    weeks = "1 week"
    months = "2M"
    years = "1y"
}

/// The macro parses durations by itself, in the form of configurations.
#[test]
fn expiration_text_means_the_same_as_in_a_configuration() {
    for (text, limit) in limits() {
        let difference = seconds::parse(text).unwrap().abs_diff(limit);
        assert!(difference <= Duration::from_millis(1), "{text}: {limit:?}");
    }
}

#[cache_on_arguments(region = subject.region, ignore(subject), expiration_time = "-1")]
fn never(subject: &Subject) -> u32 {
    let _ = subject;
    1
}

#[cache_on_arguments(region = subject.region, ignore(subject), expiration_time = 90)]
fn whole_seconds(subject: &Subject) -> u32 {
    let _ = subject;
    1
}

#[test]
fn seconds_are_an_expiration_time_everywhere() {
    let subject = Subject::new(RegionConfig::new("dogpile.cache.memory").expiration_time(60));
    let closure = subject.region.cache_on_arguments("c").expiration_time(90).wrap(|| 1_u32);
    subject.region.set("key", 1_u32).unwrap();
    assert_eq!((never(&subject), whole_seconds(&subject), closure.call(())), (1, 1, 1));
    subject.clock.advance(Duration::from_secs(75));
    let by_call = subject.region.options().expiration_time(90).get::<u32>("key").unwrap();
    assert_eq!((subject.region.get::<u32>("key").unwrap(), by_call), (None, Some(1)));
    assert_eq!((closure.get(&()).unwrap(), whole_seconds::get(&subject).unwrap()), (Some(1), Some(1)));
    subject.clock.advance(Duration::from_secs(25));
    assert_eq!((closure.get(&()).unwrap(), whole_seconds::get(&subject).unwrap()), (None, None));
    assert_eq!((never::get(&subject).unwrap(), Expiration::from(5)), (Some(1), "5s".parse().unwrap()));
}
