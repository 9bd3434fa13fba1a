//! The proxy `dogpile.proxy.chaos`.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::proxy::{Chaos, ChaosConfig, ChaosControl, ChaosOperation, ChaosScript};
use dogpile::sdk::{
    Arguments, BackendError, Bytes, CacheBackend, CacheMutex, CachedValue, CreationTime, Entry, ErrorKind,
    Metadata, Payload, StoreOptions, proxy,
};
use dogpile::{Configuration, ManualClock, RegionConfig};
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::{LIMIT, block_on, bounded, until};
use serde_json::{Value, json};

/// A delay that no test waits for. The test ends it.
const LONG: Duration = Duration::from_secs(60);

/// Returns a control, and a backend around `store` that it switches.
fn around(store: &Arc<Scripted>, config: ChaosConfig) -> (ChaosControl, Arc<dyn CacheBackend>) {
    let chaos = Chaos::new(config, store.clone()).unwrap();
    (chaos.control(), proxy(chaos))
}

fn config(name: &str) -> ChaosConfig {
    let mut config = ChaosConfig::default();
    config.name = Some(name.to_owned());
    config.seed = Some(1);
    config
}

fn value() -> CachedValue {
    CachedValue {
        payload: Payload::Bytes(Bytes::from(b"value".to_vec())),
        metadata: Metadata::new(CreationTime::from_seconds(1.0)),
    }
}

fn entry(key: &str) -> Entry {
    Entry::new(key, value())
}

/// Makes a call of `operation` for the key `k` to `backend`, which wraps `store`.
fn call(backend: &dyn CacheBackend, store: &Scripted, operation: ChaosOperation) -> Result<(), BackendError> {
    let mutex = backend.get_mutex("k").unwrap();
    match operation {
        ChaosOperation::Get => backend.get("k").map(drop),
        ChaosOperation::Set => backend.set("k", value(), &StoreOptions::new()),
        ChaosOperation::Delete => backend.delete("k"),
        ChaosOperation::GetMulti => backend.get_multi(&["k"]).map(drop),
        ChaosOperation::SetMulti => backend.set_multi(vec![entry("k")]),
        ChaosOperation::DeleteMulti => backend.delete_multi(&["k"]),
        ChaosOperation::Acquire => mutex.try_acquire().and(mutex.acquire_until(Instant::now())).map(drop),
        ChaosOperation::Release => {
            // In either case, the mutex is held afterwards.
            store.mutex("k").try_acquire().unwrap();
            mutex.release()
        }
        ChaosOperation::Locked => mutex.locked().map(drop),
        ChaosOperation::Health => backend.health(),
        other => panic!("the operation {other} is new; add it here"),
    }
}

#[test]
fn each_operation_fails_alone_in_every_form() {
    let store = Scripted::with_mutexes();
    let (control, backend) = around(&store, config("each operation"));
    for failing in ChaosOperation::ALL {
        control.set_script(ChaosScript::new().errors(1.0).operations([failing])).unwrap();
        for operation in ChaosOperation::ALL {
            let result = call(&*backend, &store, operation);
            if operation != failing {
                result.unwrap();
                continue;
            }
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some(failing.name())));
            let is_of_one_key = !matches!(
                failing,
                ChaosOperation::GetMulti
                    | ChaosOperation::SetMulti
                    | ChaosOperation::DeleteMulti
                    | ChaosOperation::Health
            );
            assert_eq!(error.key(), is_of_one_key.then_some("k"), "{failing}");
            let expected =
                "simulated failure: a share of 1 of the calls fails (dogpile.proxy.chaos \"each operation\")";
            assert_eq!(error.to_string(), expected);
        }
        control.disable();
        ChaosOperation::ALL.into_iter().for_each(|operation| call(&*backend, &store, operation).unwrap());
        control.enable();
    }
}

#[test]
fn failed_calls_do_not_reach_the_backend_except_releases() {
    let store = Scripted::with_mutexes();
    let (control, backend) = around(&store, config("reaching"));
    control.set_script(ChaosScript::new().errors(1.0)).unwrap();
    let operations = ["get", "set", "delete", "get_multi", "set_multi", "delete_multi"];
    ChaosOperation::ALL.into_iter().for_each(|operation| drop(call(&*backend, &store, operation)));
    assert_eq!(operations.map(|operation| store.calls(operation)), [0; 6]);
    let (mutex, held) = (backend.get_mutex("k").unwrap(), store.mutex("k"));
    assert!(!held.locked().unwrap(), "a release reaches it: its lease would be renewed forever");
    assert_eq!(mutex.try_acquire().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(mutex.acquire_until(Instant::now()).is_err() && !held.locked().unwrap());
}

/// Of a thousand writes that time out, about half are in the store.
#[test]
fn writes_that_time_out_may_reach_the_backend() {
    let store = Scripted::new();
    let mut config = config("unknown outcomes");
    config.timeouts = 1.0;
    let (control, backend) = around(&store, config);
    for number in 0..1000 {
        let error = backend.set(&number.to_string(), value(), &StoreOptions::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    assert!((400..600).contains(&store.stored_keys().len()), "{}", store.stored_keys().len());
    assert_eq!(control.counts().timeouts, 1000);
    assert!(backend.get("1").is_err());
    assert_eq!(store.calls("get"), 0);
}

#[test]
fn same_seed_repeats_the_failures_of_a_run() {
    let run = |seed| {
        let mut config = ChaosConfig::default();
        (config.seed, config.errors, config.timeouts) = (seed, 0.3, 0.2);
        let (control, backend) = around(&Scripted::new(), config);
        let outcomes = (0..100).map(|_| backend.get("k").err().map(|error| error.kind())).collect::<Vec<_>>();
        (control.seed(), outcomes)
    };
    let (seed, outcomes) = run(None);
    assert_eq!(run(Some(seed)).1, outcomes, "a random seed can be repeated");
    assert_ne!(run(Some(seed + 1)).1, outcomes);
    let wanted = [None, Some(ErrorKind::Unavailable), Some(ErrorKind::Timeout)];
    assert!(wanted.iter().all(|kind| outcomes.contains(kind)), "{outcomes:?}");
}

#[test]
fn backend_is_down_in_its_windows() {
    let clock = Arc::new(ManualClock::at(1000.0));
    let mut config = ChaosConfig::default();
    let seconds = Duration::from_secs;
    config.down = vec![(seconds(5)..seconds(10)).into()];
    config.clock = Some(clock.clone());
    let store = Scripted::with_mutexes();
    let (control, backend) = around(&store, config);
    let region = region_of("windows", RegionConfig::from_instance(backend));
    region.set("key", 1).unwrap();
    clock.set(1005.0);
    let error = region.get::<i32>("key").unwrap_err();
    assert_eq!(error.backend_error().unwrap().kind(), ErrorKind::Unavailable);
    let text = "simulated outage: the backend is down from 5s to 10s (dogpile.proxy.chaos)";
    assert_eq!(error.backend_error().unwrap().to_string(), text);
    assert!(region.get_or_create("other", || 1).is_err());
    clock.set(1010.0);
    assert_eq!(region.get("key").unwrap(), Some(1));
    // The windows of a new script, and those of a new clock, count from now.
    control.set_script(ChaosScript::new().down(seconds(1)..)).unwrap();
    region.get::<i32>("key").unwrap();
    clock.advance(seconds(2));
    assert!(region.get::<i32>("key").is_err());
    clock.set(0.0);
    region.get::<i32>("key").unwrap();
    control.set_clock(Arc::new(ManualClock::at(7.0)));
    region.get::<i32>("key").unwrap();
    assert_eq!(control.counts().outages, 3);
}

#[test]
fn configured_proxy_is_switched_by_its_name() {
    assert!(ChaosControl::named("switched").is_none());
    let document = r#"
        [regions.switched]
        backend = "dogpile.cache.memory"
        wrap = [{ name = "dogpile.proxy.chaos", arguments = { name = "switched", errors = 1, enabled = false } }]
    "#;
    let configuration = Configuration::from_toml(document).unwrap();
    let regions = configuration.regions().unwrap();
    let region = &regions["switched"];
    region.set("key", 1).unwrap();
    let control = ChaosControl::named("switched").unwrap();
    assert!(!control.is_enabled());
    control.enable();
    assert!(region.set("key", 2).is_err() && region.get_multi::<i32>(&["key"]).is_err());
    control.set_script(ChaosScript::new().errors(1.0).operations([ChaosOperation::Set])).unwrap();
    assert!(control.is_enabled() && region.set("key", 2).is_err());
    assert_eq!(region.get("key").unwrap(), Some(1));
    // Another region with the same arguments shares the control.
    let others = configuration.regions().unwrap();
    assert!(others["switched"].set("key", 2).is_err());
    let different = RegionConfig::new("dogpile.cache.memory")
        .wrap_with("dogpile.proxy.chaos", json!({ "name": "switched", "errors": 0.5 }));
    let error = dogpile::CacheRegion::new("different").configure(different).map(drop).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("a chaos proxy named \"switched\" is in use with other arguments"), "{text}");
    drop((regions, others, control));
    assert!(ChaosControl::named("switched").is_none(), "the name is free again");
}

#[test]
fn delay_ends_when_the_control_changes() {
    bounded(|| {
        let (control, backend) = around(&Scripted::new(), config("delayed"));
        for end in [ChaosControl::disable, |control: &ChaosControl| {
            control.set_script(ChaosScript::new()).unwrap();
        }] {
            control.set_script(ChaosScript::new().delay(LONG)).unwrap();
            control.enable();
            let delays = control.counts().delays;
            let backend = Arc::clone(&backend);
            let call = thread::spawn(move || backend.get("k"));
            until("the call is delayed", || control.counts().delays > delays);
            assert!(!call.is_finished());
            end(&control);
            assert!(call.join().unwrap().unwrap().is_none());
        }
    });
}

#[test]
fn delay_of_a_mutex_ends_at_the_callers_deadline() {
    let store = Scripted::with_mutexes();
    let (control, backend) = around(&store, config("deadline"));
    control.set_script(ChaosScript::new().delay(LONG)).unwrap();
    let mutex = backend.get_mutex("k").unwrap();
    let began = Instant::now();
    assert!(mutex.acquire_until(began + Duration::from_millis(20)).unwrap());
    assert!(began.elapsed() >= Duration::from_millis(20) && began.elapsed() < LIMIT);
    assert!(store.mutex("k").locked().unwrap());
}

/// The first poll returns although the call is delayed, so that the delay is on another thread.
#[test]
fn delayed_call_of_a_task_does_not_block_its_thread() {
    bounded(|| {
        let (control, backend) = around(&Scripted::new(), config("tasks"));
        let region = region_of("delayed tasks", RegionConfig::from_instance(backend));
        block_on(region.set_async("key", 1)).unwrap();
        control.set_script(ChaosScript::new().delay(LONG)).unwrap();
        let mut read = pin!(region.get_async::<i32>("key"));
        assert!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        until("the call is delayed", || control.counts().delays == 1);
        control.disable();
        assert_eq!(block_on(read).unwrap(), Some(1));
    });
}

/// Without a name and a delay, calls are never delayed, so that tasks make them themselves.
#[test]
fn proxy_that_never_delays_stays_immediate() {
    let memory = || {
        let arguments = Arguments::default();
        dogpile::Registry::global().build_backend("dogpile.cache.memory", arguments).unwrap()
    };
    let is_immediate = |config| proxy(Chaos::new(config, memory()).unwrap()).capabilities().immediate;
    let mut delaying = ChaosConfig::default();
    delaying.delay = Duration::from_millis(1).into();
    assert!(is_immediate(ChaosConfig::default()));
    assert!(!is_immediate(delaying) && !is_immediate(config("may be scripted")));

    let mut failing = ChaosConfig::default();
    failing.errors = 1.0;
    let chaos = Chaos::new(failing, memory()).unwrap();
    let control = chaos.control();
    let region = region_of("immediate", RegionConfig::from_instance(proxy(chaos)));
    let mut read = pin!(region.get_async::<i32>("key"));
    let polled = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
    let error = control.set_script(ChaosScript::new().delay(LONG)).unwrap_err();
    assert_eq!(error.argument(), Some("delay"));
    assert!(error.to_string().contains("has promised never to block"), "{error}");
    assert_eq!(control.script(), ChaosScript::new().errors(1.0), "the script in force stays");
}

#[test]
fn invalid_argument_is_refused_with_its_name() {
    let refused = |arguments: Value| {
        let arguments = Arguments::from_serialize(arguments).unwrap();
        let error = arguments.parse().and_then(ChaosControl::new).unwrap_err();
        (error.to_string(), error.argument().map(str::to_owned))
    };
    for (argument, value, expected) in [
        ("errors", json!(1.5), "invalid argument \"errors\": 1.5 is too high; use at most 1"),
        ("timeouts", json!(-1), "invalid argument \"timeouts\": -1 is too low; use at least 0"),
        ("delay", json!("2m"), "invalid argument \"delay\": 2m is too long; use at most 1m"),
        ("delay", json!("soon"), "invalid duration \"soon\""),
        ("delay", json!({ "min": 2, "max": 1 }), "\"min\" is 2s, but \"max\" is only 1s; swap them"),
        ("down", json!([{ "from": "9s", "to": "5s" }]), "the window from 9s to 5s is empty"),
        ("down", json!([{ "until": 1 }]), "unknown field `until`"),
        ("operations", json!(["sett"]), "unknown operation \"sett\" (known: get, set, "),
        ("operations", json!([]), "the list is empty"),
        ("name", json!(""), "invalid argument \"name\": it is empty"),
        ("seed", json!(-1), "-1"),
        ("error", json!(0.5), "unknown argument \"error\""),
    ] {
        let (text, named) = refused(json!({ argument: value }));
        assert!(text.contains(expected), "{text}");
        assert_eq!(named.as_deref(), Some(argument), "{text}");
    }
}
