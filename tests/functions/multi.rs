//! The macro `cache_multi_on_arguments`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use dogpile::function::FunctionCall;
use dogpile::sdk::ErrorKind;
use dogpile::{CacheRegion, CreateError, ManualClock, RegionConfig, RegionError, cache_multi_on_arguments};
use dogpile_tests::errors::OutOfStock;
use dogpile_tests::regions::{Subject, on_each, region_of};
use dogpile_tests::scripted::Scripted;
use parking_lot::Mutex;

use super::{Calls, Desk};

/// The arguments of each evaluation of a function.
type Asked = Mutex<Vec<Vec<i32>>>;

#[cache_multi_on_arguments(region = region, ignore(region, asked))]
fn numbered(region: &CacheRegion, asked: &Asked, keys: &[i32]) -> Vec<String> {
    let mut asked = asked.lock();
    asked.push(keys.to_vec());
    keys.iter().map(|key| format!("{key} in evaluation {}", asked.len())).collect()
}

/// Behavior: `multi-decorator-evaluates-missing-only`, `multi-decorator-invalidate`, `multi-decorator-get`
#[test]
fn missing_keys_are_evaluated_in_one_call() {
    on_each(|Subject { region, .. }| {
        let asked = Asked::default();
        let ask = |keys: &[i32]| numbered(region, &asked, keys);
        assert_eq!(ask(&[2, 8]), ["2 in evaluation 1", "8 in evaluation 1"]);
        assert_eq!(
            ask(&[8, 12, 2, 10]),
            ["8 in evaluation 1", "12 in evaluation 2", "2 in evaluation 1", "10 in evaluation 2"]
        );
        assert_eq!(*asked.lock(), [vec![2, 8], vec![10, 12]], "sorted by key");
        assert_eq!(ask(&[10, 10]), ["10 in evaluation 2", "10 in evaluation 2"]);
        assert_eq!(ask(&[]), [""; 0]);

        numbered::invalidate(region, &asked, &[2, 99]).unwrap();
        let found = numbered::get(region, &asked, &[2, 8]).unwrap();
        assert_eq!(found, [None, Some("8 in evaluation 1".to_owned())]);
        assert_eq!(ask(&[2, 8]), ["2 in evaluation 3", "8 in evaluation 1"]);
        assert_eq!(asked.lock().len(), 3);
    });
}

/// Behavior: `multi-decorator-evaluates-missing-only`
#[test]
fn missing_arguments_are_sorted_by_key() {
    let (region, asked) = (region_of("sorted", RegionConfig::new("dogpile.cache.memory")), Asked::default());
    numbered(&region, &asked, &[8, 2, 10]);
    assert_eq!(*asked.lock(), [[10, 2, 8]]);
}

/// Behavior: `multi-decorator-set`, `multi-decorator-set-mapping`, `multi-decorator-refresh`
#[test]
fn values_are_set_from_a_map_and_refreshed_in_one_call() {
    on_each(|Subject { region, .. }| {
        let asked = Asked::default();
        numbered(region, &asked, &[1, 2, 3]);
        numbered::set(HashMap::from([(2, "two".to_owned()), (3, "three".to_owned())]), region, &asked)
            .unwrap();
        assert_eq!(numbered(region, &asked, &[1, 2, 3]), ["1 in evaluation 1", "two", "three"]);
        assert_eq!(
            numbered::refresh(region, &asked, &[3, 1]).unwrap(),
            ["3 in evaluation 2", "1 in evaluation 2"]
        );
        assert_eq!(numbered(region, &asked, &[1, 2, 3]), ["1 in evaluation 2", "two", "3 in evaluation 2"]);
        assert_eq!(*asked.lock(), [vec![1, 2, 3], vec![3, 1]]);
        assert_eq!(numbered::original(region, &asked, &[2]), ["2 in evaluation 3"]);
    });
}

struct Users<'a> {
    region: &'a CacheRegion,
    calls: Calls,
}

impl Users<'_> {
    #[cache_multi_on_arguments(region = self.region, ignore(self), namespace = "foo", key_name = "users:names")]
    fn names(&self, ids: &[&str]) -> Vec<String> {
        self.calls.next();
        ids.iter().map(|id| id.to_uppercase()).collect()
    }
}

/// Behavior: `multi-decorator-namespace-keys`, `multi-decorator-namespace-works`
#[test]
fn multi_method_in_a_namespace_uses_it_in_every_key() {
    let store = Scripted::new();
    let region = region_of("users", RegionConfig::from_instance(store.clone()));
    let users = Users { region: &region, calls: Calls::default() };
    assert_eq!(users.names(&["d", "a", "c", "b"]), ["D", "A", "C", "B"]);
    let keys = ["users:names|foo|a", "users:names|foo|b", "users:names|foo|c", "users:names|foo|d"];
    assert_eq!(store.stored_keys(), keys);
    assert_eq!(users.names_key(&["b", "a"]), [keys[1], keys[0]]);
    users.names_set([("a", "Ada".to_owned())]).unwrap();
    users.names_invalidate(&["b"]).unwrap();
    assert_eq!(users.names_get(&["a", "b"]).unwrap(), [Some("Ada".to_owned()), None]);
    assert_eq!((users.names(&["a", "b"]), users.calls.count()), (vec!["Ada".to_owned(), "B".to_owned()], 2));
}

fn reversed(call: &FunctionCall<'_>) -> Vec<String> {
    call.arguments().iter().rev().map(|argument| format!("key of {}", argument.text())).collect()
}

#[cache_multi_on_arguments(region = region, ignore(region), function_multi_key_generator = reversed)]
fn backwards(region: &CacheRegion, keys: &[i32]) -> Vec<i32> {
    keys.to_vec()
}

/// Behavior: `multi-decorator-custom-key-generator`
#[test]
fn generated_keys_belong_to_arguments_by_position() {
    let region = region_of("backwards", RegionConfig::new("dogpile.cache.memory"));
    assert_eq!(backwards::key(&region, &[1, 2]), ["key of 2", "key of 1"]);
    // The first key, which was made from 2, belongs to the first argument, which is 1.
    assert_eq!(backwards(&region, &[1, 2]), [1, 2]);
    assert_eq!((region.get("key of 2").unwrap(), region.get("key of 1").unwrap()), (Some(1), Some(2)));
    assert_eq!(backwards(&region, &[2, 1]), [2, 1]);
}

fn too_few(call: &FunctionCall<'_>) -> Vec<String> {
    call.arguments().iter().skip(1).map(|argument| argument.text()).collect()
}

#[cache_multi_on_arguments(region = region, ignore(region), function_multi_key_generator = too_few)]
fn short_of_keys(region: &CacheRegion, keys: &[i32]) -> Vec<i32> {
    keys.to_vec()
}

#[test]
fn key_generator_with_too_few_keys_bypasses_the_cache() {
    let region = region_of("short", RegionConfig::new("dogpile.cache.memory"));
    assert_eq!(short_of_keys(&region, &[1, 2]), [1, 2]);
    assert_eq!(region.get::<i32>("2").unwrap(), None);
}

/// Leaves out negative arguments.
#[cache_multi_on_arguments(region = region, ignore(region, calls), asdict, should_cache_fn = |(square, _): &(i32, u32)| *square != 64)]
fn squares(region: &CacheRegion, calls: &Calls, of: &[i32]) -> HashMap<i32, (i32, u32)> {
    let call = calls.next();
    of.iter().filter(|number| **number >= 0).map(|number| (*number, (number * number, call))).collect()
}

/// Behavior: `multi-decorator-asdict`, `multi-decorator-asdict-omitted-keys`, `multi-decorator-asdict-predicate`,
/// `multi-decorator-asdict-set-refresh`
#[test]
fn keys_left_out_of_a_map_are_not_cached() {
    on_each(|Subject { region, .. }| {
        let calls = Calls::default();
        let ask = |of: &[i32]| BTreeMap::from_iter(squares(region, &calls, of));
        assert_eq!(ask(&[1, -1, 2]), BTreeMap::from([(1, (1, 1)), (2, (4, 1))]));
        assert_eq!(ask(&[1, 2, 3]), BTreeMap::from([(1, (1, 1)), (2, (4, 1)), (3, (9, 2))]));
        assert_eq!(squares::get(region, &calls, &[-1, 3]).unwrap(), HashMap::from([(3, (9, 2))]));
        // The predicate rejects this value, so each call evaluates it.
        assert_eq!(ask(&[8, 3]), BTreeMap::from([(8, (64, 3)), (3, (9, 2))]));
        assert_eq!(ask(&[8, 3, 8]), BTreeMap::from([(8, (64, 4)), (3, (9, 2))]));
        assert_eq!(calls.count(), 4);

        squares::set([(-1, (0, 0))], region, &calls).unwrap();
        assert_eq!((ask(&[-1]), calls.count()), (BTreeMap::from([(-1, (0, 0))]), 4));
        let refreshed = squares::refresh(region, &calls, &[1, -1]).unwrap();
        assert_eq!(refreshed, HashMap::from([(1, (1, 5))]));
        squares::invalidate(region, &calls, &[2]).unwrap();
        assert_eq!(ask(&[1, 2, -1]), BTreeMap::from([(1, (1, 5)), (2, (4, 6)), (-1, (0, 0))]));
    });
}

/// A value of a map is stored in its own form, so that the region can read it, too.
#[test]
fn values_of_a_map_are_shared_with_the_region() {
    on_each(|Subject { region, .. }| {
        let calls = Calls::default();
        squares(region, &calls, &[5]);
        let key = squares::key(region, &calls, &[5]).remove(0);
        assert_eq!(region.get::<(i32, u32)>(&key).unwrap(), Some((25, 1)));
        region.set(&key, (0_i32, 0_u32)).unwrap();
        assert_eq!(squares(region, &calls, &[5]), HashMap::from([(5, (0, 0))]));
    });
}

#[cache_multi_on_arguments(region = region, ignore(region, calls))]
fn prices(region: &CacheRegion, calls: &Calls, items: &[&str]) -> Result<Vec<u32>, OutOfStock> {
    let call = calls.next();
    if items.contains(&"gone") { Err(OutOfStock) } else { Ok(items.iter().map(|_| call).collect()) }
}

#[cache_multi_on_arguments(region = region, ignore(region), asdict)]
fn tree<T>(region: &CacheRegion, keys: &[T]) -> Result<BTreeMap<T, String>, OutOfStock>
where
    T: dogpile::function::CacheKey + Ord + Clone + std::hash::Hash + ToString,
{
    if keys.len() > 3 {
        Err(OutOfStock)
    } else {
        Ok(keys.iter().map(|key| (key.clone(), key.to_string())).collect())
    }
}

#[test]
fn multi_function_errors_are_not_cached() {
    let (region, calls) = (region_of("prices", RegionConfig::new("dogpile.cache.memory")), Calls::default());
    assert_eq!(prices(&region, &calls, &["tea", "gone"]), Err(OutOfStock));
    assert_eq!(prices::get(&region, &calls, &["tea"]).unwrap(), [None]);
    assert_eq!(prices(&region, &calls, &["tea"]), Ok(vec![2]));
    let error = prices::refresh(&region, &calls, &["gone"]).unwrap_err();
    assert!(matches!(error, CreateError::Creator(OutOfStock)), "{error:?}");
    assert_eq!(tree(&region, &[2, 1]), Ok(BTreeMap::from([(1, "1".to_owned()), (2, "2".to_owned())])));
    assert_eq!(tree(&region, &["a", "b", "c", "d"]), Err(OutOfStock));
}

#[cache_multi_on_arguments(region = region, ignore(region, calls))]
fn one_too_many(region: &CacheRegion, calls: &Calls, keys: &[i32]) -> Vec<i32> {
    calls.next();
    keys.iter().copied().chain([0]).collect()
}

/// Behavior: `multi-decorator-preserves-signature`
#[test]
fn multi_function_is_evaluated_uncached_on_failure() {
    let cached: fn(&CacheRegion, &Calls, &[i32]) -> Vec<i32> = one_too_many;
    let (store, calls, asked) = (Scripted::new(), Calls::default(), Asked::default());
    let region = region_of("failing", RegionConfig::from_instance(store.clone()));
    assert_eq!(cached(&region, &calls, &[1]), [1, 0], "the result is that of the uncached function");
    let error = one_too_many::refresh(&region, &calls, &[1]).unwrap_err();
    assert!(matches!(error, RegionError::CreatorCount { expected: 1, made: 2, .. }), "{error:?}");
    assert!(store.stored_keys().is_empty());

    store.fail("get_multi", ErrorKind::Unavailable);
    assert_eq!(numbered(&region, &asked, &[1, 2]), ["1 in evaluation 1", "2 in evaluation 1"]);
    assert_eq!(squares(&region, &calls, &[3, -3]).len(), 1);
    assert!(numbered::get(&region, &asked, &[1]).is_err());
}

static BEHIND: CacheRegion = CacheRegion::new("many behind");
static BEHIND_ASKED: Asked = Mutex::new(Vec::new());

#[cache_multi_on_arguments(region = BEHIND, background)]
fn in_background(keys: &[i32]) -> Vec<(i32, usize)> {
    let mut asked = BEHIND_ASKED.lock();
    asked.push(keys.to_vec());
    keys.iter().map(|key| (*key, asked.len())).collect()
}

#[cache_multi_on_arguments(region = BEHIND, background, asdict)]
fn in_background_as_a_map(keys: &[i32]) -> Result<HashMap<i32, i32>, String> {
    if keys.is_empty() {
        Err("no keys".to_owned())
    } else {
        Ok(keys.iter().map(|key| (*key, 2 * key)).collect())
    }
}

#[test]
fn runner_evaluates_stale_keys_of_a_multi_call() {
    let desk = Arc::new(Desk::default());
    let config = RegionConfig::new("dogpile.cache.memory").async_creation_runner(desk.clone());
    let uncached = in_background_as_a_map(&[7]);
    assert_eq!(uncached, Ok(HashMap::from([(7, 14)])), "without a region");
    let clock = Arc::new(ManualClock::at(100.0));
    BEHIND.configure(config.clock(clock.clone())).unwrap();
    assert_eq!(in_background(&[1, 2]), [(1, 1), (2, 1)]);
    clock.advance(Duration::from_secs(1));
    BEHIND.invalidate_soft().unwrap();
    assert_eq!(
        in_background(&[2, 3, 1]),
        [(2, 1), (3, 2), (1, 1)],
        "old values, and a new one for the missing key"
    );
    assert_eq!(*BEHIND_ASKED.lock(), [vec![1, 2], vec![3]]);
    let handed = desk.0.lock().pop().unwrap();
    assert_eq!(handed.keys(), in_background::key(&[1, 2]));
    handed.run();
    assert_eq!(in_background(&[1, 2, 3]), [(1, 3), (2, 3), (3, 2)]);
    assert_eq!(in_background_as_a_map(&[7]), Ok(HashMap::from([(7, 14)])));
}
