//! Cached asynchronous functions of many keys.

use std::collections::HashMap;
use std::sync::Arc;

use dogpile::{CacheRegion, CreateError, RegionError, cache_multi_on_arguments};
use parking_lot::Mutex;

use super::backends::{Backend, KINDS, Kind};
use super::functions::{Desk, ShutDown, finish_all, until};
use super::polling::{Task, at_once};

/// The keys of each evaluation.
type Asked = Mutex<Vec<Vec<u32>>>;

#[cache_multi_on_arguments(region = region, ignore(region, asked))]
async fn doubled(region: &CacheRegion, asked: &Asked, numbers: &[u32]) -> Vec<u32> {
    asked.lock().push(numbers.to_vec());
    smol::future::yield_now().await;
    numbers.iter().map(|number| 2 * number).collect()
}

#[test]
fn only_missing_keys_are_evaluated() {
    for kind in KINDS {
        let (region, asked) = (Backend::new(kind).region(), Asked::default());
        smol::block_on(async {
            doubled::set([(2, 5)], &region, &asked).await.unwrap();
            assert_eq!(doubled(&region, &asked, &[3, 2, 1, 3]).await, [6, 5, 2, 6], "{kind:?}");
            assert_eq!(*asked.lock(), [vec![1, 3]]);
            assert_eq!(doubled(&region, &asked, &[3, 2, 1]).await, [6, 5, 2]);
            assert_eq!(doubled::get(&region, &asked, &[1, 4]).await.unwrap(), [Some(2), None]);
            assert_eq!(doubled::refresh(&region, &asked, &[2]).await.unwrap(), [4]);
            doubled::invalidate(&region, &asked, &[1, 2]).await.unwrap();
            assert_eq!(doubled::get(&region, &asked, &[1, 2, 3]).await.unwrap(), [None, None, Some(6)]);
            assert_eq!(doubled::original(&region, &asked, &[3]).await, [6]);
        });
        assert_eq!(*asked.lock(), [vec![1, 3], vec![2], vec![3]], "{kind:?}");
        assert_eq!(
            doubled::key(&region, &asked, &[1]),
            [format!("{}:doubled|1", module_path!())],
            "the key is that of a blocking function"
        );
    }
}

#[cache_multi_on_arguments(region = region, ignore(region, desk), asdict)]
async fn ordered(region: &CacheRegion, desk: &Desk, keys: &[u32]) -> Result<HashMap<u32, u32>, String> {
    let value = desk.evaluate().await;
    if value == 0 {
        return Err("nothing".to_owned());
    }
    Ok(keys.iter().filter(|key| **key < 10).map(|key| (*key, value)).collect())
}

#[test]
fn many_tasks_share_one_evaluation_of_many_keys() {
    for kind in KINDS {
        let (region, desk) = (Backend::new(kind).region(), Desk::new());
        let mut calls: Vec<_> = (0..20).map(|_| Task::new(ordered(&region, &desk, &[1, 2, 10]))).collect();
        until(|| {
            assert!(calls.iter_mut().all(|call| call.poll().is_none()));
            let creations = region.creations().unwrap();
            desk.begun() == 1 && creations.iter().map(|creation| creation.waiters).sum::<usize>() >= 19
        });
        desk.order(7);
        // The key that is left out is not cached: each caller may evaluate it.
        (0..20).for_each(|_| desk.order(8));
        for found in finish_all(calls) {
            assert_eq!(found, Ok(HashMap::from([(1, 7), (2, 7)])), "{kind:?}");
        }
    }
}

#[test]
fn errors_and_keys_that_are_left_out_are_not_cached() {
    let (region, desk) = (Backend::new(Kind::Immediate).region(), Desk::new());
    let ask = |order| {
        desk.order(order);
        at_once(ordered(&region, &desk, &[1, 10]))
    };
    assert_eq!(ask(0), Err("nothing".to_owned()));
    assert_eq!((ask(7), ask(8)), (Ok(HashMap::from([(1, 7)])), Ok(HashMap::from([(1, 7)]))));
    assert_eq!(at_once(ordered::get(&region, &desk, &[1, 10])).unwrap(), HashMap::from([(1, 7)]));
    desk.order(0);
    let error = at_once(ordered::refresh(&region, &desk, &[1])).unwrap_err();
    assert!(matches!(&error, CreateError::Creator(text) if text == "nothing"), "{error:?}");
    assert_eq!(desk.begun(), 4);
}

#[cache_multi_on_arguments(region = region, ignore(region))]
async fn one_too_many(region: &CacheRegion, keys: &[u32]) -> Vec<u32> {
    keys.iter().copied().chain([0]).collect()
}

#[cache_multi_on_arguments(region = region, ignore(region), detach)]
async fn one_too_many_detached(region: Arc<CacheRegion>, keys: &[u32]) -> Vec<u32> {
    keys.iter().copied().chain([0]).collect()
}

#[test]
fn function_of_many_keys_is_evaluated_uncached_on_failure() {
    for kind in KINDS {
        let region = Arc::new(Backend::new(kind).region());
        assert_eq!(smol::block_on(one_too_many(&region, &[1])), [1, 0]);
        assert_eq!(smol::block_on(one_too_many_detached(Arc::clone(&region), &[1])), [1, 0]);
        let error = smol::block_on(one_too_many::refresh(&region, &[1])).unwrap_err();
        assert!(matches!(error, RegionError::CreatorCount { expected: 1, made: 2, .. }), "{error:?}");
        assert_eq!(smol::block_on(one_too_many::get(&region, &[1])).unwrap(), [None], "{kind:?}");
    }
}

#[cache_multi_on_arguments(
    region = region,
    ignore(region, desk),
    should_cache_fn = |key, value| !key.ends_with("|rejected") && *value > 1,
    detach
)]
async fn detached(region: Arc<CacheRegion>, desk: Arc<Desk>, keys: &[&'static str]) -> Vec<u32> {
    let value = desk.evaluate().await;
    keys.iter().map(|_| value).collect()
}

#[test]
fn detached_evaluation_of_many_keys_outlives_its_caller() {
    for kind in KINDS {
        let (region, desk) = (Arc::new(Backend::new(kind).region()), Desk::new());
        let keys = ["a", "b", "rejected"];
        let mut caller = Task::new(detached(Arc::clone(&region), Arc::clone(&desk), &keys));
        until(|| caller.poll().is_none() && desk.begun() == 1);
        drop(caller);
        desk.order(7);
        let get = || smol::block_on(detached::get(Arc::clone(&region), Arc::clone(&desk), &keys)).unwrap();
        until(|| get() == [Some(7), Some(7), None]);
        // The evaluation hands over the rejected value as well, until it has ended.
        until(|| region.creations().unwrap().is_empty());
        desk.order(8);
        let found = smol::block_on(detached(Arc::clone(&region), Arc::clone(&desk), &keys));
        assert_eq!((found.as_slice(), desk.begun()), ([7, 7, 8].as_slice(), 2), "{kind:?}");
    }
}

#[test]
fn caller_evaluates_many_keys_if_the_runtime_drops_its_task() {
    let region = Backend::new(Kind::Immediate).configured(|config| config.runtime(Arc::new(ShutDown)));
    let (region, desk) = (Arc::new(region), Desk::new());
    desk.order(7);
    assert_eq!(at_once(detached(Arc::clone(&region), Arc::clone(&desk), &["a", "b"])), [7, 7]);
    assert_eq!(desk.begun(), 1);
}
