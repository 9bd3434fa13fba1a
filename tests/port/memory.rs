//! The backends that keep values in this process, and the null backend, under a region.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use dogpile::sdk::CachedValue;
use dogpile::{InMemory, RegionConfig};
use dogpile_memory::MemoryBackend;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{Signal, bounded, together};

/// Behavior: `memory-generic-suite`
#[test]
fn memory_shares_the_values_themselves() {
    let region = region_of("in memory", RegionConfig::new("dogpile.cache.memory"));
    let value = Arc::new("a text".to_owned());
    region.set("key", value.clone()).unwrap();
    assert!(Arc::ptr_eq(&region.get::<Arc<String>>("key").unwrap().unwrap(), &value));
    assert!(region.backend().unwrap().get_mutex("key").is_none(), "it has no mutex of its own");
}

/// Behavior: `memory-pickle-generic-suite`
#[test]
fn memory_pickle_keeps_an_independent_copy() {
    let region = region_of("in memory", RegionConfig::new("dogpile.cache.memory_pickle"));
    let value = Arc::new(Mutex::new(vec![1]));
    region.set("key", value.clone()).unwrap();
    value.lock().unwrap().push(2);
    let found = region.get::<Arc<Mutex<Vec<i32>>>>("key").unwrap().unwrap();
    assert_eq!(*found.lock().unwrap(), [1]);
}

/// Behavior: `memory-cache-dict-argument`
#[test]
fn regions_work_on_the_callers_map() {
    let map = Arc::new(Mutex::new(HashMap::<String, CachedValue>::new()));
    let region =
        region_of("in memory", RegionConfig::from_instance(Arc::new(MemoryBackend::with_map(map.clone()))));
    region.set("key", InMemory(1)).unwrap();
    let value = map.lock().unwrap().remove("key").unwrap();
    assert_eq!(region.get::<InMemory<i32>>("key").unwrap(), None);
    map.lock().unwrap().insert("other".to_owned(), value);
    assert_eq!(region.get("other").unwrap(), Some(InMemory(1)));
}

/// In Python, each region has its own locks, and both create.
#[test]
fn regions_over_one_map_wait_for_each_others_creators() {
    bounded(|| {
        let map = Arc::new(Mutex::new(HashMap::<String, CachedValue>::new()));
        let [one, two] = [(); 2].map(|()| {
            region_of(
                "in memory",
                RegionConfig::from_instance(Arc::new(MemoryBackend::with_map(map.clone()))),
            )
        });
        let (created, asked) = (AtomicUsize::new(0), Signal::default());
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                one.get_or_create("key", || {
                    assert!(two.key_is_locked("key").unwrap());
                    asked.give();
                    created.fetch_add(1, SeqCst) + 1
                })
            });
            asked.wait();
            assert_eq!(two.get_or_create("key", || created.fetch_add(1, SeqCst) + 1).unwrap(), 1);
            assert_eq!(first.join().unwrap().unwrap(), 1);
        });
        assert_eq!(created.load(SeqCst), 1);
    });
}

/// In Python, the memory backend never evicts.
#[test]
fn memory_with_a_limit_drops_the_least_used_values() {
    for name in ["dogpile.cache.memory", "dogpile.cache.memory_pickle"] {
        let region = region_of("in memory", RegionConfig::new(name).argument("max_entries", 100));
        for number in 0..1000 {
            region.set(&format!("{number}"), number).unwrap();
            assert_eq!(region.get::<i32>("0").unwrap(), Some(0), "what is read often stays");
        }
        let keys: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let kept = region.get_multi::<i32>(&keys).unwrap().into_iter().flatten().count();
        assert!((50..=100).contains(&kept), "{kept} of at most 100 are kept");
    }
}

/// Behavior: `null-get`
/// Behavior: `null-set-discards`
/// Behavior: `null-delete`
/// Behavior: `null-multi-get`
/// Behavior: `null-multi-set-discards`
/// Behavior: `null-multi-delete`
#[test]
fn null_backend_stores_nothing() {
    let region = region_of("in memory", RegionConfig::new("dogpile.cache.null"));
    assert_eq!(region.get::<i32>("a").unwrap(), None);
    region.set("a", 1).unwrap();
    assert_eq!(region.get::<i32>("a").unwrap(), None);
    region.delete("a").unwrap();
    region.set_multi([("a", 1), ("b", 2), ("c", 3)]).unwrap();
    assert_eq!(region.get_multi::<i32>(&["a", "b", "c"]).unwrap(), [None, None, None]);
    region.delete_multi(&["a", "b", "c"]).unwrap();
    let made: Vec<i32> = (1..=3).map(|number| region.get_or_create("a", || number).unwrap()).collect();
    assert_eq!(made, [1, 2, 3]);
    assert_eq!(region.get_or_create_multi(&["b", "a"], |_| vec![4, 5]).unwrap(), [5, 4]);
}

#[test]
fn creators_on_the_null_backend_run_side_by_side() {
    bounded(|| {
        let region = region_of("in memory", RegionConfig::new("dogpile.cache.null"));
        let all_create = Barrier::new(4);
        let create = |number| {
            region.get_or_create("key", || {
                all_create.wait();
                number
            })
        };
        assert_eq!(together(4, |number| create(number).unwrap()), [0, 1, 2, 3]);
    });
}

#[test]
fn creators_of_many_keys_on_the_null_backend_run_side_by_side() {
    bounded(|| {
        let region = region_of("in memory", RegionConfig::new("dogpile.cache.null"));
        let all_create = Barrier::new(4);
        let create = |number| {
            region.get_or_create_multi(&["a", "b"], |keys| {
                all_create.wait();
                vec![number; keys.len()]
            })
        };
        let made = together(4, |number| create(number).unwrap());
        assert_eq!(made, [[0, 0], [1, 1], [2, 2], [3, 3]]);
    });
}
