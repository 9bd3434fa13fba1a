//! A creation never overwrites a `set` or `delete`.

use std::sync::Arc;
use std::thread;

use dogpile::sdk::CacheMutex;
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{Signal, bounded, until};

use crate::pausing::{NextStop, Pausing, Stop};

type Write = fn(&CacheRegion);
type Create = fn(&CacheRegion, &(dyn Fn() + Sync));

/// Each way to write, and the value that it leaves.
const WRITES: [(&str, Write, Option<u32>); 4] = [
    ("set", |region| region.set("key", 2_u32).unwrap(), Some(2)),
    ("set_multi", |region| region.set_multi([("key", 2_u32)]).unwrap(), Some(2)),
    ("delete", |region| region.delete("key").unwrap(), None),
    ("delete_multi", |region| region.delete_multi(&["key"]).unwrap(), None),
];

/// Each way to create.
const CREATIONS: [(&str, Create); 2] = [
    ("single", |region, within| {
        let create = || {
            within();
            1_u32
        };
        assert_eq!(region.get_or_create("key", create).unwrap(), 1);
    }),
    ("multi", |region, within| {
        let create = |keys: &[&str]| {
            within();
            vec![1_u32; keys.len()]
        };
        assert_eq!(region.get_or_create_multi(&["key", "other"], create).unwrap(), [1, 1]);
    }),
];

fn pausing_region() -> (CacheRegion, NextStop) {
    let next = NextStop::default();
    let wrapped = Arc::clone(&next);
    let wrap = move |proxied| Pausing { next: Arc::clone(&wrapped), proxied };
    (region_of("written", RegionConfig::from_instance(Scripted::new()).wrap_in(wrap)), next)
}

fn on_all(test: fn(&str, Create, Write, Option<u32>)) {
    for (how, create) in CREATIONS {
        for (what, write, left) in WRITES {
            test(&format!("{what} during a {how} creation"), create, write, left);
        }
    }
}

#[test]
fn write_during_a_creation_supersedes_it() {
    bounded(|| {
        on_all(|case, create, write, left| {
            let (region, _) = pausing_region();
            create(&region, &|| write(&region));
            assert_eq!(region.get("key").unwrap(), left, "{case}");
        });
    });
}

/// The write comes when the created value is on its way to the store. It waits, and wins.
#[test]
fn write_during_the_store_of_a_creation_waits_for_it() {
    bounded(|| {
        on_all(|case, create, write, left| {
            let (region, next) = pausing_region();
            let stop = Stop::default();
            *next.lock() = Some(stop.clone());
            thread::scope(|scope| {
                let creating = scope.spawn(|| create(&region, &|| {}));
                stop.reached.wait();
                let (writing, written) = (Signal::default(), Signal::default());
                let (begun, ended) = (writing.clone(), written.clone());
                let region = &region;
                let writer = scope.spawn(move || {
                    begun.give();
                    write(region);
                    ended.give();
                });
                writing.wait();
                // Another key is not affected.
                region.set("unrelated", 1).unwrap();
                stop.go_on.give();
                creating.join().unwrap();
                writer.join().unwrap();
                written.wait();
            });
            assert_eq!(region.get("key").unwrap(), left, "{case}");
        });
    });
}

/// The write began before the creator was called, and ends after the created value would have been stored.
#[test]
fn write_in_progress_when_a_creator_is_called_supersedes_it() {
    bounded(|| {
        on_all(|case, create, write, left| {
            let (region, next) = pausing_region();
            let stop = Stop::default();
            *next.lock() = Some(stop.clone());
            thread::scope(|scope| {
                let writing = scope.spawn(|| write(&region));
                stop.reached.wait();
                create(&region, &|| {});
                assert_eq!(region.get::<u32>("key").unwrap(), None, "{case}: the created value was stored");
                stop.go_on.give();
                writing.join().unwrap();
            });
            assert_eq!(region.get("key").unwrap(), left, "{case}");
        });
    });
}

/// A write supersedes only creations that began before it ended.
#[test]
fn write_while_the_leader_waits_for_the_mutex_discards_nothing() {
    bounded(|| {
        on_all(|case, create, write, _| {
            let store = Scripted::with_mutexes();
            let region = region_of("locked", RegionConfig::from_instance(store.clone()));
            let elsewhere = store.mutex("key");
            assert!(elsewhere.try_acquire().unwrap());
            thread::scope(|scope| {
                let creating = scope.spawn(|| create(&region, &|| {}));
                until("the leader waits for the mutex", || {
                    elsewhere.waits.load(std::sync::atomic::Ordering::SeqCst) == 1
                });
                write(&region);
                region.delete("key").unwrap();
                elsewhere.release().unwrap();
                creating.join().unwrap();
            });
            assert_eq!(region.get("key").unwrap(), Some(1_u32), "{case}");
        });
    });
}
