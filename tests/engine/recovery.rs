//! Values that were created shortly before or during an outage: no key is created twice within a second because of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::sdk::{CacheBackend, CachedValue, CreationTime, ErrorKind, Metadata, Payload};
use dogpile::{
    BreakerConfig, BreakerState, CacheRegion, CacheValue, ManualClock, OnBackendFailure, RegionConfig,
};
use dogpile_tests::front::Front;
use dogpile_tests::regions::{START, region_of};
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{block_on, bounded, until};
use parking_lot::Mutex;

/// How long a created value is kept.
const SECOND: Duration = Duration::from_secs(1);

const FRONTS: [Front; 2] = [Front::Blocking, Front::Asynchronous];

/// A region that goes on without its store, whose values expire after ten seconds of its clock.
struct Subject {
    store: Arc<Scripted>,
    clock: Arc<ManualClock>,
    region: CacheRegion,
    front: Front,
    created: AtomicUsize,
}

impl Subject {
    fn new(front: Front) -> Self {
        let (store, clock) = (Scripted::new(), Arc::new(ManualClock::at(START)));
        let config = RegionConfig::from_instance(store.clone()).clock(clock.clone()).expiration_time(10);
        let breaker = BreakerConfig::default().failures(3).open_for(Duration::from_millis(5));
        let config = config.on_backend_failure(OnBackendFailure::Degrade).breaker(breaker);
        Subject { store, clock, region: region_of("recovery", config), front, created: AtomicUsize::new(0) }
    }

    /// Returns the value of "key", and creates `value` if needed.
    fn create(&self, value: u32) -> u32 {
        let create = || {
            self.created.fetch_add(1, SeqCst);
            value
        };
        match self.front {
            Front::Blocking => self.region.get_or_create("key", create).unwrap(),
            Front::Asynchronous => {
                block_on(self.region.get_or_create_async("key", async || create())).unwrap()
            }
        }
    }

    /// Does the same, as one of two keys.
    fn create_with_another(&self, value: u32) -> u32 {
        let region = &self.region;
        let count = |key: &str| {
            self.created.fetch_add(usize::from(key == "key"), SeqCst);
        };
        let made = match self.front {
            Front::Blocking => region.get_or_create_multi(&["key", "other"], |keys| {
                keys.iter().for_each(|key| count(key));
                vec![value; keys.len()]
            }),
            Front::Asynchronous => {
                block_on(region.get_or_create_multi_async(&["key", "other"], |keys: Vec<String>| {
                    keys.iter().for_each(|key| count(key));
                    async move { vec![value; keys.len()] }
                }))
            }
        };
        made.unwrap()[0]
    }

    fn created(&self) -> usize {
        self.created.load(SeqCst)
    }

    fn get(&self) -> Option<u32> {
        self.front.get(&self.region, "key").unwrap()
    }

    fn fails(&self) {
        self.store.fail_all(ErrorKind::Unavailable);
    }

    /// The store works again, and the region knows it.
    fn recovers(&self) {
        self.store.heal();
        until("the breaker closes and all deletions are made", || {
            self.front.get::<u32>(&self.region, "probe").unwrap();
            let state = self.region.backend_state().unwrap();
            state.breaker == BreakerState::Closed && state.queued_deletions == 0
        });
    }
}

/// Makes `attempt` until it took less than the second for which values are kept: the machine may be busy.
fn within_a_second(attempt: impl Fn(&Subject) + Send + 'static) {
    bounded(move || {
        for front in FRONTS {
            loop {
                let (subject, begun) = (Subject::new(front), Instant::now());
                let attempted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attempt(&subject)));
                if begun.elapsed() < SECOND {
                    attempted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    break;
                }
            }
        }
    });
}

/// Another process stored `value` under "key", `seconds` after the start.
fn stored_elsewhere(store: &Scripted, value: u32, seconds: f64) {
    let metadata = Metadata::new(CreationTime::from_seconds(START + seconds));
    store.put("key", CachedValue { payload: Payload::Object(value.into_object()), metadata });
}

/// Creates a value during an outage, and expects that it serves after it.
fn creates_once_around_an_outage(subject: &Subject) {
    subject.fails();
    assert_eq!(subject.create(7), 7);
    subject.recovers();
    assert_eq!((subject.create(8), subject.create_with_another(9), subject.get()), (7, 7, Some(7)));
    assert_eq!(subject.created(), 1);
}

#[test]
fn value_created_during_an_outage_serves_after_it() {
    within_a_second(creates_once_around_an_outage);
}

/// A store that was frozen, or not reachable, still has the value from before.
#[test]
fn value_created_during_an_outage_replaces_an_older_one() {
    within_a_second(|subject| {
        subject.region.set("key", 1_u32).unwrap();
        subject.clock.advance(Duration::from_secs(11));
        creates_once_around_an_outage(subject);
    });
}

#[test]
fn newer_value_of_another_process_is_preferred_after_an_outage() {
    within_a_second(|subject| {
        subject.fails();
        assert_eq!(subject.create(7), 7);
        stored_elsewhere(&subject.store, 9, 1.0);
        subject.clock.advance(Duration::from_secs(2));
        subject.recovers();
        assert_eq!((subject.get(), subject.create(8), subject.create_with_another(8)), (Some(9), 9, 9));
        assert!(!subject.store.keys_of("set").contains(&"key".to_owned()), "nothing is stored over it");
    });
}

#[test]
fn deletion_or_invalidation_during_an_outage_counts_after_it() {
    let ways: [fn(&CacheRegion); 4] = [
        |region| region.delete("key").unwrap(),
        |region| region.delete_multi(&["other", "key"]).unwrap(),
        |region| region.invalidate().unwrap(),
        |region| block_on(region.delete_async("key")).unwrap(),
    ];
    for rule_out in ways {
        within_a_second(move |subject| {
            subject.region.set("key", 1_u32).unwrap();
            subject.fails();
            subject.clock.advance(Duration::from_secs(11));
            assert_eq!(subject.create(7), 7);
            subject.clock.advance(SECOND);
            rule_out(&subject.region);
            subject.clock.advance(SECOND);
            assert_eq!(subject.get(), None);
            subject.recovers();
            assert_eq!((subject.get(), subject.create(8)), (None, 8));
        });
    }
}

/// A region that returns errors of the store shares it with one that does not. A deleted value stays deleted, however long the
/// steps take on a busy machine.
#[test]
fn deletion_by_a_strict_region_rules_out_kept_values() {
    bounded(|| {
        for subject in FRONTS.map(Subject::new) {
            let strict = region_of("strict", RegionConfig::from_instance(subject.store.clone()));
            assert_eq!(subject.create(7), 7);
            subject.front.delete(&strict, "key").unwrap();
            subject.fails();
            assert_eq!(subject.get(), None);
            assert_eq!(subject.create(8), 8);
        }
    });
}

#[test]
fn value_created_before_an_outage_serves_during_it() {
    within_a_second(|subject| {
        assert_eq!(subject.create(7), 7);
        subject.fails();
        assert_eq!((subject.create(8), subject.create_with_another(9), subject.get()), (7, 7, Some(7)));
        assert_eq!(subject.created(), 1);
        subject.region.set("key", 2_u32).unwrap();
        assert_eq!(subject.get(), None, "a set that was dropped still replaces it");
    });
}

/// While the store works, it decides: another process may have deleted the value.
#[test]
fn stored_value_that_the_store_lost_is_missing() {
    within_a_second(|subject| {
        assert_eq!(subject.create(7), 7);
        subject.fails();
        assert_eq!(subject.region.get_or_create("unstored", || 1_u32).unwrap(), 1);
        subject.store.heal();
        subject.store.delete("key").unwrap();
        assert_eq!(subject.get(), None);
        assert_eq!(subject.create(8), 8);
    });
}

/// A second after its creation, the value is created again and stored.
#[test]
fn value_created_during_an_outage_is_replaced_after_a_second() {
    bounded(|| {
        for front in FRONTS {
            let subject = Subject::new(front);
            subject.fails();
            assert_eq!(subject.create(7), 7);
            let begun = Instant::now();
            subject.recovers();
            until("it is created again", || subject.create(8) == 8);
            assert!(subject.created() == 2 && begun.elapsed() >= SECOND - Duration::from_millis(50));
            assert!(subject.store.stored_keys().contains(&"key".to_owned()));
        }
    });
}

/// The store fails and recovers again and again. However that falls, a key is created at most once in a second.
#[test]
fn flapping_store_causes_one_creation_per_key_and_second() {
    const KEYS: usize = 3;
    bounded(|| {
        let subject = Subject::new(Front::Blocking);
        let begins: [Mutex<Vec<Instant>>; KEYS] = Default::default();
        let ended = AtomicBool::new(false);
        let create = |key: usize| {
            begins[key].lock().push(Instant::now());
            key
        };
        let call = |number: usize, key: usize| match number % 2 {
            0 => subject.region.get_or_create(&key.to_string(), || create(key)),
            _ => block_on(subject.region.get_or_create_async(&key.to_string(), async || create(key))),
        };
        thread::scope(|scope| {
            for number in 0..6 {
                let (call, ended) = (&call, &ended);
                scope.spawn(move || {
                    for key in (number..).map(|step| step % KEYS).take_while(|_| !ended.load(SeqCst)) {
                        assert_eq!(call(number, key).unwrap(), key);
                        thread::yield_now();
                    }
                });
            }
            for step in 0..24_u64 {
                if step % 2 == 0 {
                    subject.fails();
                } else {
                    subject.store.heal();
                }
                thread::sleep(Duration::from_millis(60 + 37 * (step % 5)));
            }
            ended.store(true, SeqCst);
        });
        for begins in begins {
            let begins = begins.into_inner();
            assert!(begins.len() > 1, "{begins:?}");
            let closest = begins.windows(2).map(|pair| pair[1] - pair[0]).min();
            assert!(closest >= Some(SECOND), "{closest:?}");
        }
    });
}
