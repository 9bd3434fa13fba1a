//! The workload while the backend goes down and comes back at random moments, and the region goes on without it.
//!
//! No call may fail, and the rules of the checker hold: nothing is read that was superseded, although deletions and stores
//! fail meanwhile. Values may be missing. When the backend works for good, all queued deletions are made: each round ends
//! with the deletion of its keys, so that the store is empty then.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::proxy::{Chaos, ChaosConfig, ChaosControl, ChaosScript};
use dogpile::sdk::CacheBackend;
use dogpile::{BackendState, BreakerConfig, CacheRegion, OnBackendFailure, RegionConfig};
use dogpile_tests::redis::{REDIS, RedisServer};
use dogpile_tests::scripted::Scripted;
use dogpile_tests::servers::installed;
use dogpile_tests::threads::LIMIT;
use libtest_mimic::{Completion, Failed, Trial};
use parking_lot::Mutex;

use super::pauses::Paused;
use super::random::Random;
use super::regions::{keep_promises, seed};
use super::subjects::REDIS_BACKEND;
use super::tasks;

/// The longest time in microseconds for which a backend is down, or works.
const SPELL: u64 = 3_000;

/// A region whose backend goes down.
struct Subject {
    region: Arc<CacheRegion>,
    /// Takes the backend down, or brings it back. The number decides how.
    switch: Box<dyn FnMut(bool, u64) + Send>,
    /// The keys that the store has, if it knows them.
    stored: Box<dyn Fn() -> Option<usize>>,
    /// How much longer than [`SPELL`] the spells are.
    factor: u64,
}

/// A way to build a subject, and the program that it needs.
type Build = (&'static str, Option<&'static str>, fn() -> Subject);

const SUBJECTS: [Build; 4] = [
    ("memory", None, || {
        let (control, config) = with_chaos(RegionConfig::new("dogpile.cache.memory"));
        Subject { region: region(config), switch: by_chaos(control), stored: Box::new(|| None), factor: 1 }
    }),
    ("scripted", None, || {
        let store = Scripted::new();
        let (control, config) = with_chaos(RegionConfig::from_instance(store.clone()));
        let stored = Box::new(move || Some(store.stored_keys().len()));
        Subject { region: region(config), switch: by_chaos(control), stored, factor: 1 }
    }),
    ("redis", Some(REDIS), || {
        let server = Arc::new(RedisServer::start(&[]).expect("it is installed"));
        let (control, config) = with_chaos(on(&server));
        let stored = Box::new(move || server.say(&["DBSIZE"]).parse().ok());
        Subject { region: region(config), switch: by_chaos(control), stored, factor: 4 }
    }),
    ("redis_killed", Some(REDIS), || {
        let server = Arc::new(Mutex::new(RedisServer::start(&[]).expect("it is installed")));
        let region = region(on(&server.lock()).wrap_in(Paused::new));
        let switched = Arc::clone(&server);
        let switch = Box::new(
            move |is_down, _| {
                if is_down { switched.lock().kill() } else { switched.lock().start_again() }
            },
        );
        let stored = Box::new(move || server.lock().say(&["DBSIZE"]).parse().ok());
        Subject { region, switch, stored, factor: 20 }
    }),
];

fn on(server: &RedisServer) -> RegionConfig {
    RegionConfig::new(REDIS_BACKEND)
        .argument("host", "127.0.0.1")
        .argument("port", server.port())
        .argument("socket_timeout", 20)
}

/// Calls fail in the outermost proxy, so that no call is in the store that has failed for its caller.
fn with_chaos(config: RegionConfig) -> (ChaosControl, RegionConfig) {
    let control = ChaosControl::new(ChaosConfig::default()).expect("the arguments are valid");
    let chaos = control.clone();
    let config = config
        .wrap_in(Paused::new)
        .wrap_in(move |proxied: Arc<dyn CacheBackend>| Chaos::controlled(&chaos, proxied));
    (control, config)
}

/// Some outages fail all calls, and some only a part. Half of the writes that time out reach the store.
fn by_chaos(control: ChaosControl) -> Box<dyn FnMut(bool, u64) + Send> {
    Box::new(move |is_down, how| {
        let script = match (is_down, how % 4) {
            (false, _) => ChaosScript::new(),
            (true, 0) => ChaosScript::new().errors(0.5),
            (true, 1) => ChaosScript::new().timeouts(0.5),
            (true, 2) => ChaosScript::new().timeouts(1.0),
            (true, _) => ChaosScript::new().errors(1.0),
        };
        control.set_script(script).expect("the script is valid");
    })
}

fn region(config: RegionConfig) -> Arc<CacheRegion> {
    let breaker = BreakerConfig::default().failures(3).open_for(Duration::from_millis(1));
    let region = CacheRegion::new("outages");
    region
        .configure(config.on_backend_failure(OnBackendFailure::Degrade).breaker(breaker))
        .expect("it is valid");
    Arc::new(region)
}

/// One trial for each subject and each front end.
pub(crate) fn trials() -> Vec<Trial> {
    // A write of a task that was dropped may reach the store at any later time, so that it need not be empty.
    let fronts: [(&str, Promises, bool); 2] = [
        ("threads", |region| keep_promises(region, true), true),
        ("tasks", |region| tasks::keep_promises(region, true), false),
    ];
    let mut trials = Vec::new();
    for (name, program, build) in SUBJECTS {
        for (front, promises, empties) in fronts {
            let missing = program.and_then(|program| installed(program).err());
            trials.push(Trial::ignorable_test(
                format!("outage_breaks_no_promise::{name}::{front}"),
                move || match missing {
                    Some(why) => Ok(Completion::ignored_with(why)),
                    None => bears_outages(build(), promises, empties).map(|()| Completion::Completed),
                },
            ));
        }
    }
    trials
}

/// Performs rounds on a region, and returns how it broke a promise.
type Promises = fn(Arc<CacheRegion>) -> ControlFlow<String>;

/// `empties`: whether nothing is stored after the last round.
fn bears_outages(mut subject: Subject, promises: Promises, empties: bool) -> Result<(), Failed> {
    let (region, is_over) = (Arc::clone(&subject.region), AtomicBool::new(false));
    let broken = thread::scope(|scope| {
        let weather = scope.spawn(|| {
            change(&mut subject.switch, subject.factor, &is_over);
        });
        let broken = promises(Arc::clone(&region));
        is_over.store(true, SeqCst);
        weather.join().map_err(|_| "the backend could not be switched")?;
        Ok::<_, Failed>(broken)
    })?;
    if let ControlFlow::Break(wrong) = broken {
        return Err(wrong.into());
    }
    let state = settled(&region)?;
    if state.dropped_writes == 0 || state.replayed_deletions == 0 {
        return Err(format!("nothing was put to the test: {state:?}").into());
    }
    match (subject.stored)() {
        Some(left) if empties && left > 0 => {
            Err(format!("{left} keys are left that were deleted: {state:?}").into())
        }
        _ => Ok(()),
    }
}

/// Takes the backend down and brings it back, until all rounds are over.
fn change(switch: &mut (dyn FnMut(bool, u64) + Send), factor: u64, is_over: &AtomicBool) {
    let mut random = Random::new(seed(), 0);
    while !is_over.load(SeqCst) {
        for is_down in [true, false] {
            switch(is_down, random.next());
            thread::sleep(Duration::from_micros(random.below(factor * SPELL)));
        }
    }
}

/// Returns the state of the backend once it works, and all deletions are made.
fn settled(region: &CacheRegion) -> Result<BackendState, Failed> {
    let begun = Instant::now();
    loop {
        let state = region.backend_state()?;
        if state.queued_deletions == 0 {
            return Ok(state);
        }
        if begun.elapsed() > LIMIT {
            return Err(format!("deletions still wait: {state:?}").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
}
