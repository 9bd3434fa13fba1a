//! The model of lifetimes and failures against regions: each age of a value, each end of its creator, each state of the
//! backend, and each policy, through both front ends, for one key and for many, on memory and on a Redis server.

#[path = "stages/model.rs"]
mod model;

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use dogpile::proxy::{Chaos, ChaosConfig, ChaosControl, ChaosOperation, ChaosScript};
use dogpile::sdk::{Arguments, CacheBackend, CreationTime};
use dogpile::{
    BreakerConfig, CacheRegion, CreateError, ManualClock, OnBackendFailure, RegionConfig, RegionError,
    Registry, answer,
};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{block_on, bounded};
use serde_json::json;

use self::model::{Case, ENDS, Effect, End, Got, LIMIT, POLICIES, Policy, STATES, State, Stored, all_stored};
use super::{say, server};

const OLD: u32 = 1;
const NEW: u32 = 2;

#[derive(Debug)]
enum Failure {
    Outage,
    Answer,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// In which form a call is made.
#[derive(Clone, Copy, Debug)]
enum Form {
    Single,
    Multi,
    Async,
    MultiAsync,
}

const FORMS: [Form; 4] = [Form::Single, Form::Multi, Form::Async, Form::MultiAsync];

/// Makes the call for `key`. Returns what the caller got, and how often the creator was called.
fn call(region: &CacheRegion, form: Form, key: &str, end: End) -> (Got, usize) {
    let calls = Cell::new(0);
    let create = || {
        calls.set(calls.get() + 1);
        match end {
            End::Value => Ok(NEW),
            End::Outage => Err(Failure::Outage),
            End::Answer => Err(answer(Failure::Answer)),
            End::Panic => panic_any("a scripted panic"),
        }
    };
    let called = || match form {
        Form::Single => region.try_get_or_create(key, create),
        Form::Multi => region
            .try_get_or_create_multi(&[key], |_| create().map(|value| vec![value]))
            .map(|values| values[0]),
        Form::Async => block_on(region.try_get_or_create_async(key, async || create())),
        Form::MultiAsync => {
            let creator = |_: Vec<String>| async { create().map(|value| vec![value]) };
            block_on(region.try_get_or_create_multi_async(&[key], creator)).map(|values| values[0])
        }
    };
    let got = match catch_unwind(AssertUnwindSafe(called)) {
        Ok(Ok(OLD)) => Got::Old,
        Ok(Ok(_)) => Got::New,
        Ok(Err(CreateError::Creator(Failure::Outage))) => Got::Outage,
        Ok(Err(CreateError::Creator(Failure::Answer))) => Got::Answer,
        Ok(Err(CreateError::Region(RegionError::Backend { .. }))) => Got::BackendError,
        Ok(Err(CreateError::Region(RegionError::Lock { .. }))) => Got::LockError,
        Ok(Err(other)) => panic!("{other:#}"),
        Err(_) => Got::Panic,
    };
    (got, calls.get())
}

/// A backend, the proxy that fails for it, and a number for each key.
struct Subject {
    name: &'static str,
    backend: Arc<dyn CacheBackend>,
    chaos: ChaosControl,
    keys: AtomicUsize,
}

impl Subject {
    fn new(name: &'static str, backend: &str, arguments: Arguments) -> Self {
        let backend = Registry::global().build_backend(backend, arguments).unwrap();
        let chaos = ChaosControl::new(ChaosConfig::default()).unwrap();
        Subject { name, backend, chaos, keys: AtomicUsize::new(0) }
    }

    fn on_redis(server: &RedisServer, more: &serde_json::Value) -> Self {
        let mut arguments = json!({ "host": "127.0.0.1", "port": server.port(), "socket_timeout": 20 });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Subject::new("redis", "dogpile.cache.redis", Arguments::from_serialize(arguments).unwrap())
    }

    /// Returns a region whose backend fails on demand, and its clock.
    fn region(&self, policy: &Policy, degrades: bool) -> (CacheRegion, Arc<ManualClock>) {
        let (clock, chaos) = (Arc::new(ManualClock::at(10_000.0)), self.chaos.clone());
        let config = RegionConfig::from_instance(Arc::clone(&self.backend)).clock(clock.clone());
        let config = config.wrap_in(move |proxied| Chaos::controlled(&chaos, proxied));
        let config = (policy.configure)(config.expiration_time(LIMIT)).breaker(never_open());
        let on_failure = if degrades { OnBackendFailure::Degrade } else { OnBackendFailure::Error };
        (region_of("stages", config.on_backend_failure(on_failure)), clock)
    }

    fn set(&self, state: State) {
        use ChaosOperation::{Acquire, Set, SetMulti};
        let script = match state {
            State::Works => ChaosScript::new(),
            State::RefusesWrites => ChaosScript::new().errors(1.0).operations([Set, SetMulti]),
            State::RefusesLocks => ChaosScript::new().errors(1.0).operations([Acquire]),
            State::Down => ChaosScript::new().errors(1.0),
        };
        self.chaos.set_script(script).unwrap();
    }

    /// When the stored value was made.
    fn made(&self, key: &str) -> Option<CreationTime> {
        self.backend.get(key).unwrap().map(|stored| stored.metadata.creation_time)
    }

    /// Stores an old value under a key that no other case has, and returns the key.
    fn prepare(&self, region: &CacheRegion, clock: &ManualClock, stored: Stored) -> String {
        let key = format!("key {}", self.keys.fetch_add(1, SeqCst));
        if !matches!(stored, Stored::Nothing) {
            region.set(&key, OLD).unwrap();
        }
        match stored {
            Stored::Nothing => {}
            Stored::Aged(age) => clock.advance(Duration::from_secs(age)),
            Stored::SoftlyInvalidated | Stored::HardInvalidated => {
                clock.advance(Duration::from_secs(1));
                let is_soft = matches!(stored, Stored::SoftlyInvalidated);
                if is_soft {
                    region.invalidate_soft().unwrap();
                } else {
                    region.invalidate().unwrap();
                }
                clock.advance(Duration::from_secs(1));
            }
        }
        key
    }

    /// Compares one case with the model.
    fn check(&self, case: &Case, form: Form) {
        let (region, clock) = self.region(&case.policy, case.degrades);
        let key = self.prepare(&region, &clock, case.stored);
        let before = self.made(&key);
        self.set(case.state);
        let (got, calls) = call(&region, form, &key, case.end);
        self.set(State::Works);
        let effect = Effect { got, calls_creator: calls > 0, stores: self.made(&key) != before };
        assert_eq!(effect, case.expected(), "{}, {form:?}: {case:?}", self.name);
        assert!(calls <= 1, "{}, {form:?}: {calls} calls: {case:?}", self.name);
        assert_eq!(region.creations().unwrap(), [], "{}, {form:?}: {case:?}", self.name);
    }

    /// Compares each case with the model.
    fn check_all(&self) {
        let has_mutexes = self.backend.get_mutex("key").is_some();
        for (policy, degrades) in POLICIES.iter().flat_map(|policy| [(*policy, false), (*policy, true)]) {
            for stored in all_stored() {
                for (end, state) in ENDS.iter().flat_map(|end| STATES.iter().map(|state| (*end, *state))) {
                    let case = Case { stored, end, state, policy, degrades, has_mutexes };
                    FORMS.iter().for_each(|form| self.check(&case, *form));
                }
            }
        }
    }
}

/// The table has states of the backend, and not of its breaker.
fn never_open() -> BreakerConfig {
    BreakerConfig::default().failures(u32::MAX)
}

#[test]
fn model_holds_on_memory() {
    bounded(|| Subject::new("memory", "dogpile.cache.memory", Arguments::default()).check_all());
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn model_holds_on_redis() {
    bounded(|| {
        let server = server(&[]);
        Subject::on_redis(&server, &json!({})).check_all();
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn model_holds_on_redis_with_locks() {
    bounded(|| {
        let server = server(&[]);
        Subject::on_redis(&server, &json!({ "distributed_lock": true })).check_all();
        assert_eq!(say(server.port(), "KEYS _lock*"), "*0\r\n", "no lock is left");
    });
}

/// The server itself is down, and not a proxy: killed, or frozen.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn model_holds_while_a_redis_server_is_killed_or_frozen() {
    bounded(|| {
        let mut server = server(&[]);
        let subject = Subject::on_redis(&server, &json!({ "distributed_lock": true, "socket_timeout": 0.1 }));
        for is_killed in [true, false] {
            if is_killed {
                server.kill();
            } else {
                server.process().stop();
            }
            for (policy, degrades) in POLICIES.iter().flat_map(|policy| [(*policy, false), (*policy, true)]) {
                for (end, form) in ENDS.into_iter().zip(FORMS) {
                    let (stored, state, has_mutexes) = (Stored::Nothing, State::Down, true);
                    let case = Case { stored, end, state, policy, degrades, has_mutexes };
                    let (region, clock) = subject.region(&policy, degrades);
                    let key = subject.prepare(&region, &clock, Stored::Nothing);
                    let (got, calls) = call(&region, form, &key, end);
                    let effect = Effect { got, calls_creator: calls == 1, stores: false };
                    assert_eq!(effect, case.expected(), "killed: {is_killed}, {form:?}: {case:?}");
                    assert_eq!(region.creations().unwrap(), [], "{case:?}");
                }
            }
            if is_killed {
                server.start_again();
            } else {
                server.process().go_on();
            }
        }
    });
}
