//! An old value that a caller had before it waited is judged again when the caller takes it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use dogpile::sdk::CacheMutex;
use dogpile::{
    CacheRegion, CreateError, CreatorTimeout, FailSafe, ManualClock, OnStale, RegionConfig, RegionError,
    ThreadRunner,
};
use dogpile_tests::desk::Desk;
use dogpile_tests::regions::{START, region_of};
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{block_on, until};

const OLD: u32 = 1;
const NEW: u32 = 2;

/// How long callers with a stale value wait for a new one.
const LIMIT: Duration = Duration::from_secs(1);

/// Returns a region with an expired value of `key`.
fn region_with_old(
    store: Arc<Scripted>,
    config: fn(RegionConfig) -> RegionConfig,
) -> (CacheRegion, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    let base = RegionConfig::from_instance(store).clock(clock.clone()).expiration_time(10);
    let region = region_of("judged again", config(base.async_creation_runner(Arc::new(ThreadRunner))));
    region.set("key", OLD).unwrap();
    clock.advance(Duration::from_secs(20));
    (region, clock)
}

fn waiting_with_fail_safe(config: RegionConfig) -> RegionConfig {
    config.stale(OnStale::Wait).fail_safe(FailSafe::new(Duration::from_secs(1000)))
}

/// What happens while callers wait.
type Meanwhile = fn(&CacheRegion, &ManualClock);

fn nothing(_: &CacheRegion, _: &ManualClock) {}

fn hard_invalidation(region: &CacheRegion, _: &ManualClock) {
    region.invalidate().unwrap();
}

fn end_of_grace(_: &CacheRegion, clock: &ManualClock) {
    clock.advance(Duration::from_secs(2000));
}

/// Two callers wait for a mutex that another process has, one of them at the gate of the other, until it fails.
fn results_after_the_mutex_failed(meanwhile: Meanwhile) -> [Result<u32, RegionError>; 2] {
    let store = Scripted::with_mutexes();
    let (region, clock) = region_with_old(Arc::clone(&store), waiting_with_fail_safe);
    let mutex = store.mutex("key");
    assert!(mutex.try_acquire().unwrap());
    thread::scope(|scope| {
        let leader = scope.spawn(|| region.get_or_create("key", || NEW));
        until("the leader waits for the mutex", || mutex.waits.load(SeqCst) == 1);
        let waiter = scope.spawn(|| block_on(region.get_or_create_async("key", async || NEW)));
        until("a caller waits", || {
            region.creations().unwrap().first().is_some_and(|creation| creation.waiters == 1)
        });
        meanwhile(&region, &clock);
        mutex.break_down();
        [leader, waiter].map(|caller| caller.join().unwrap())
    })
}

#[test]
fn old_value_is_judged_again_when_the_mutex_fails() {
    let kept = results_after_the_mutex_failed(nothing);
    assert!(kept.iter().all(|value| matches!(value, Ok(OLD))), "{kept:?}");
    for meanwhile in [hard_invalidation, end_of_grace] as [Meanwhile; 2] {
        let refused = results_after_the_mutex_failed(meanwhile);
        assert!(refused.iter().all(|value| matches!(value, Err(RegionError::Lock { .. }))), "{refused:?}");
    }
}

/// A form of calls whose caller takes a stale value after a limit.
type Form = (&'static str, fn(&CacheRegion, Receiver<u32>) -> u32);

fn soft_limit(config: RegionConfig) -> RegionConfig {
    config.stale(OnStale::Wait).creator_timeout(CreatorTimeout::OFF.soft(LIMIT))
}

const FORMS: [Form; 5] = [
    ("waiter", |region, made| {
        thread::scope(|scope| {
            let leader = scope.spawn(move || region.get_or_create("key", || made.recv().unwrap()));
            until("the creator runs", || !region.creations().unwrap().is_empty());
            let waited = region.get_or_create("key", || unreachable!("the leader creates"));
            assert_eq!(leader.join().unwrap().unwrap(), NEW);
            waited.unwrap()
        })
    }),
    ("background", |region, made| {
        region.options().background().get_or_create("key", move || made.recv().unwrap()).unwrap()
    }),
    ("background multi", |region, made| {
        let made = Arc::new(parking_lot::Mutex::new(made));
        let creator = move |keys: &[&str]| vec![made.lock().recv().unwrap(); keys.len()];
        region.options().background().get_or_create_multi(&["key"], creator).unwrap()[0]
    }),
    ("detached", |region, made| {
        let creator = async move || made.recv().unwrap();
        block_on(region.options().detach().get_or_create_async("key", creator)).unwrap()
    }),
    ("detached multi", |region, made| {
        let made = Arc::new(parking_lot::Mutex::new(made));
        let creator = move |keys: Vec<String>| {
            let made = Arc::clone(&made);
            async move { vec![made.lock().recv().unwrap(); keys.len()] }
        };
        block_on(region.options().detach().get_or_create_multi_async(&["key"], creator)).unwrap()[0]
    }),
];

/// A caller that waits for the soft limit does not take a value that was invalidated meanwhile, but goes on waiting.
#[test]
fn stale_value_is_judged_again_at_the_limit() {
    for (name, call) in FORMS {
        let (region, _clock) = region_with_old(Scripted::new(), soft_limit);
        let (sender, made) = channel();
        let got = thread::scope(|scope| {
            let caller = scope.spawn(|| call(&region, made));
            until("a caller waits", || {
                region
                    .creations()
                    .unwrap()
                    .first()
                    .is_some_and(|creation| name != "waiter" || creation.waiters == 1)
            });
            region.invalidate().unwrap();
            thread::sleep(LIMIT + LIMIT / 2);
            sender.send(NEW).unwrap();
            caller.join().unwrap()
        });
        assert_eq!(got, NEW, "{name}");
    }
}

/// A caller takes its creation back from a runner that has not begun, if the old value was invalidated meanwhile.
#[test]
fn creation_that_no_runner_begins_is_taken_back() {
    type Call = fn(&CacheRegion) -> u32;
    let forms: [(&str, Call); 2] = [
        ("one key", |region| region.options().background().get_or_create("key", || NEW).unwrap()),
        ("several keys", |region| {
            let creator = |keys: &[&str]| vec![NEW; keys.len()];
            region.options().background().get_or_create_multi(&["key"], creator).unwrap()[0]
        }),
    ];
    for (name, call) in forms {
        let desk = Arc::new(Desk::default());
        let base = RegionConfig::from_instance(Scripted::new()).async_creation_runner(desk.clone());
        let region = region_of("taken back", soft_limit(base.expiration_time(1000)));
        region.set("key", OLD).unwrap();
        region.invalidate_soft().unwrap();
        let (sender, got) = channel();
        thread::scope(|scope| {
            scope.spawn(|| sender.send(call(&region)));
            let kept = parking_lot::Mutex::new(Vec::new());
            until("the runner has the creation", || {
                kept.lock().append(&mut desk.take());
                !kept.lock().is_empty()
            });
            region.invalidate().unwrap();
            let created = got.recv_timeout(10 * LIMIT);
            // Without the creation, a caller that still waits would never return.
            kept.lock().clear();
            assert_eq!(created, Ok(NEW), "{name}");
        });
    }
}

/// At the hard limit, a task gets an old value only if it may still be served.
#[test]
fn old_value_is_judged_again_at_the_hard_limit() {
    let limits = |config: RegionConfig| {
        waiting_with_fail_safe(config).creator_timeout(CreatorTimeout::OFF.hard(LIMIT))
    };
    for meanwhile in [nothing, hard_invalidation, end_of_grace] as [Meanwhile; 3] {
        let (region, clock) = region_with_old(Scripted::new(), limits);
        let got = thread::scope(|scope| {
            let creator = || std::future::pending::<Result<u32, String>>();
            let call = region.options().detach();
            let caller = scope.spawn(move || block_on(call.try_get_or_create_async("key", creator)));
            until("the creator runs", || !region.creations().unwrap().is_empty());
            meanwhile(&region, &clock);
            caller.join().unwrap()
        });
        if std::ptr::fn_addr_eq(meanwhile, nothing as Meanwhile) {
            assert_eq!(got.unwrap(), OLD);
        } else {
            assert!(matches!(got, Err(CreateError::Region(RegionError::CreatorTimedOut { .. }))), "{got:?}");
        }
    }
}
