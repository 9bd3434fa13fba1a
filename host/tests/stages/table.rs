//! Each age, each end of a creator, and each policy, through both front ends.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

use dogpile::{CacheRegion, CreateError, FailSafe, OnStale, Preset, RegionConfig, answer};

use super::setup::{Failure, NEW, OLD, plain, region, region_with_old, seconds, staged};

/// How a creator ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Value,
    Outage,
    Answer,
    Panic,
}

const ENDS: [End; 4] = [End::Value, End::Outage, End::Answer, End::Panic];

/// What a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Old,
    New,
    Outage,
    Answer,
    Panic,
}

use Got::{Answer, New, Old, Outage, Panic};

fn end(end: End, calls: &Cell<usize>) -> Result<u32, Failure> {
    calls.set(calls.get() + 1);
    match end {
        End::Value => Ok(NEW),
        End::Outage => Err(Failure::Outage),
        End::Answer => Err(answer(Failure::Answer)),
        End::Panic => panic_any("a scripted panic"),
    }
}

fn call(region: &CacheRegion, how: End, is_task: bool, calls: &Cell<usize>) -> Got {
    let call = || match is_task {
        false => region.try_get_or_create("key", || end(how, calls)),
        true => smol::block_on(region.try_get_or_create_async("key", async || end(how, calls))),
    };
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(OLD)) => Old,
        Ok(Ok(_)) => New,
        Ok(Err(CreateError::Creator(Failure::Outage))) => Outage,
        Ok(Err(CreateError::Creator(Failure::Answer))) => Answer,
        Ok(Err(other)) => panic!("{other:#}"),
        Err(_) => Panic,
    }
}

/// The results if the creator is called, and only its end counts.
const CREATED: [Got; 4] = [New, Outage, Answer, Panic];
/// The results if the creator is not called.
const SERVED: [Got; 4] = [Old; 4];
/// The results if an outage is bridged.
const BRIDGED: [Got; 4] = [New, Old, Answer, Panic];
/// The results if the creator makes an early refresh.
const REFRESHED: [Got; 4] = [New, Old, Old, Panic];

type Row = (Option<u64>, [Got; 4]);

fn check(name: &str, config: impl Fn() -> RegionConfig, rows: &[Row]) {
    for (age, expected) in rows {
        let row_calls = *expected != SERVED;
        for (how, expected) in ENDS.into_iter().zip(expected) {
            for is_task in [false, true] {
                let case = format!("{name}, age {age:?}, {how:?}, task: {is_task}");
                let (region, _clock) = match age {
                    Some(age) => region_with_old(config(), *age),
                    None => region(config()),
                };
                let aged = || region.options().ignore_expiration().get_value_metadata::<u32>("key").unwrap();
                let (before, calls) = (aged(), Cell::new(0));
                assert_eq!(call(&region, how, is_task, &calls), *expected, "{case}");
                assert_eq!(calls.get(), usize::from(row_calls), "{case}");
                if *expected != New {
                    assert_eq!(aged(), before, "an old value is not stored again: {case}");
                }
                assert_eq!(region.creations().unwrap(), [], "{case}");
            }
        }
    }
}

#[test]
fn dogpile_serves_fresh_values_and_creates_all_others() {
    let rows = [
        (Some(0), SERVED),
        (Some(90), SERVED),
        (Some(100), SERVED),
        (Some(101), CREATED),
        (Some(500), CREATED),
        (Some(5000), CREATED),
        (None, CREATED),
    ];
    check("dogpile", plain, &rows);
    check("dogpile, waiting", || plain().stale(OnStale::Wait), &rows);
}

#[test]
fn staged_region_refreshes_early_and_bridges_outages() {
    let rows = [
        (Some(0), SERVED),
        (Some(80), SERVED),
        (Some(81), REFRESHED),
        (Some(100), REFRESHED),
        (Some(101), BRIDGED),
        (Some(150), BRIDGED),
        (Some(151), BRIDGED),
        (Some(1000), BRIDGED),
        (Some(1001), CREATED),
        (None, CREATED),
    ];
    for stale in [OnStale::Serve, OnStale::ServeAll, OnStale::Wait] {
        check(&format!("staged, {stale:?}"), || staged().stale(stale), &rows);
    }
}

#[test]
fn strict_region_serves_no_value_past_its_expiration() {
    let rows = [(Some(100), SERVED), (Some(101), CREATED), (None, CREATED)];
    check("strict", || plain().preset(Preset::Strict), &rows);
}

#[test]
fn resilient_region_bridges_a_day() {
    let config = || plain().preset(Preset::Resilient);
    let rows = [(Some(70), SERVED), (Some(101), BRIDGED), (Some(86_400), BRIDGED), (Some(86_401), CREATED)];
    check("resilient", config, &rows);
}

/// A call's settings override those of its region.
#[test]
fn settings_of_a_call_override_those_of_the_region() {
    let (region, _clock) = region_with_old(staged(), 120);
    let fail = || Err::<u32, _>(Failure::Outage);
    let exposed = region.options().fail_safe(FailSafe::OFF).try_get_or_create("key", fail);
    assert_eq!(exposed.unwrap_err().into_creator().unwrap(), Failure::Outage);
    assert_eq!(region.try_get_or_create("key", fail).unwrap(), OLD);
    let (region, _clock) = region_with_old(plain(), 120);
    let saved = region.options().fail_safe(FailSafe::new(seconds(1000)));
    assert_eq!(saved.try_get_or_create("key", fail).unwrap(), OLD);
}

/// For a second after a failure, the creator is not called.
#[test]
fn failing_creator_is_throttled() {
    let throttle = FailSafe::new(seconds(1000)).throttle(seconds(3600));
    for is_task in [false, true] {
        let (region, _clock) = region_with_old(staged().fail_safe(throttle), 500);
        let calls = Cell::new(0);
        let got: Vec<Got> = (0..5).map(|_| call(&region, End::Outage, is_task, &calls)).collect();
        assert_eq!((got, calls.get()), (vec![Old; 5], 1));
        // Without an old value, there is nothing to serve.
        region.delete("key").unwrap();
        assert_eq!(call(&region, End::Value, is_task, &calls), New);
    }
}
