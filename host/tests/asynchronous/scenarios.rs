//! Scenarios of the engine, played by tasks through the public calls of a region.
//!
//! The stores are one that never blocks, one that blocks, and one with asynchronous calls.
//!
//! The names are those of the engine's own table, which runs many more with a scripted store. A script begins calls,
//! waits until each is at a point, and orders how its creator ends. The tasks are polled by hand, so that each
//! scenario has one order of events.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::backends::{Backend, KINDS, Kind};
use super::play::{Order, Play};

/// A scenario.
struct Row {
    name: &'static str,
    script: fn(&mut Play),
    /// The result of each caller.
    callers: &'static [(&'static str, &'static str)],
    /// The number of calls of a creator.
    created: usize,
    /// The value that is stored in the end.
    stored: Option<u32>,
}

fn lead_and_wait(play: &mut Play) {
    play.creating("a");
    play.waiting("b", 1);
    play.waiting("c", 2);
}

const ROWS: &[Row] = &[
    Row {
        name: "fresh_value_is_returned_without_a_gate",
        script: |play| {
            play.set(1);
            play.call("a");
            play.done("a");
        },
        callers: &[("a", "1")],
        created: 0,
        stored: Some(1),
    },
    Row {
        name: "missing_value_is_created_once_and_handed_over",
        script: |play| {
            lead_and_wait(play);
            play.end("a", Order::Succeed(7));
        },
        callers: &[("a", "7"), ("b", "7"), ("c", "7")],
        created: 1,
        stored: Some(7),
    },
    Row {
        name: "stale_value_is_served_while_one_caller_creates",
        script: |play| {
            play.stale(1);
            play.creating("a");
            play.call("b");
            play.done("b");
            play.end("a", Order::Succeed(7));
        },
        callers: &[("a", "7"), ("b", "1")],
        created: 1,
        stored: Some(7),
    },
    Row {
        name: "value_that_is_not_cacheable_is_handed_over",
        script: |play| {
            lead_and_wait(play);
            play.end("a", Order::SucceedUncached(7));
        },
        callers: &[("a", "7"), ("b", "7"), ("c", "7")],
        created: 1,
        stored: None,
    },
    Row {
        name: "failed_creation_is_followed_by_one_waiter",
        script: |play| {
            lead_and_wait(play);
            play.end("a", Order::Fail);
            play.at_creator("b");
            play.end("b", Order::Succeed(8));
        },
        callers: &[("a", "the creator failed"), ("b", "8"), ("c", "8")],
        created: 2,
        stored: Some(8),
    },
    Row {
        name: "panicked_creation_is_followed_by_one_waiter",
        script: |play| {
            lead_and_wait(play);
            play.end("a", Order::Panic);
            play.at_creator("b");
            play.end("b", Order::Succeed(8));
        },
        callers: &[("a", "panicked"), ("b", "8"), ("c", "8")],
        created: 2,
        stored: Some(8),
    },
    Row {
        name: "canceled_creation_is_followed_by_one_waiter",
        script: |play| {
            lead_and_wait(play);
            play.cancel("a");
            play.at_creator("b");
            play.end("b", Order::Succeed(8));
        },
        callers: &[("a", "canceled"), ("b", "8"), ("c", "8")],
        created: 2,
        stored: Some(8),
    },
    Row {
        name: "canceled_waiter_leaves_no_trace",
        script: |play| {
            lead_and_wait(play);
            play.cancel("b");
            assert_eq!(play.waiters(), 1);
            play.end("a", Order::Succeed(7));
        },
        callers: &[("a", "7"), ("b", "canceled"), ("c", "7")],
        created: 1,
        stored: Some(7),
    },
    Row {
        name: "stale_value_with_failing_creation_stays_stored",
        script: |play| {
            play.stale(1);
            play.creating("a");
            play.call("b");
            play.done("b");
            play.end("a", Order::Fail);
        },
        callers: &[("a", "the creator failed"), ("b", "1")],
        created: 1,
        stored: Some(1),
    },
    Row {
        name: "creation_during_a_set_stores_nothing",
        script: |play| {
            lead_and_wait(play);
            play.set(5);
            play.end("a", Order::Succeed(7));
        },
        callers: &[("a", "7"), ("b", "7"), ("c", "7")],
        created: 1,
        stored: Some(5),
    },
    Row {
        name: "creation_during_a_delete_stores_nothing",
        script: |play| {
            lead_and_wait(play);
            play.delete();
            play.end("a", Order::Succeed(7));
        },
        callers: &[("a", "7"), ("b", "7"), ("c", "7")],
        created: 1,
        stored: None,
    },
    Row {
        name: "latecomer_after_a_set_reads_the_new_value",
        script: |play| {
            play.creating("a");
            play.set(5);
            play.call("b");
            play.done("b");
            play.end("a", Order::Succeed(7));
        },
        callers: &[("a", "7"), ("b", "5")],
        created: 1,
        stored: Some(5),
    },
    Row {
        name: "waiter_past_its_limit_gets_an_error",
        script: |play| {
            play.creating("a");
            play.call_waiting_for("b", Duration::from_millis(10));
            play.done("b");
            play.end("a", Order::Succeed(7));
        },
        callers: &[("a", "7"), ("b", "timed out")],
        created: 1,
        stored: Some(7),
    },
    Row {
        name: "mutex_held_elsewhere_is_waited_for",
        script: |play| {
            play.backend.store.lock_elsewhere();
            play.call("a");
            play.at_gate();
            play.waiting("b", 1);
            play.backend.store.unlock();
            play.at_creator("a");
            play.end("a", Order::Succeed(7));
        },
        callers: &[("a", "7"), ("b", "7")],
        created: 1,
        stored: Some(7),
    },
];

/// Scenarios of a store whose calls take time.
const ROWS_WITH_SLOW_WRITES: &[Row] = &[
    Row {
        name: "set_during_a_store_waits_for_its_end",
        script: |play| {
            play.creating("a");
            play.backend.store.writes.close();
            play.order("a", Order::Succeed(7));
            play.at_write(1);
            play.begin_set(5);
            play.backend.store.writes.open();
            play.done("a");
            play.end_set();
        },
        callers: &[("a", "7")],
        created: 1,
        stored: Some(5),
    },
    Row {
        name: "canceled_store_lets_the_writer_and_a_waiter_go_on",
        script: |play| {
            play.creating("a");
            play.waiting("b", 1);
            play.backend.store.writes.close();
            play.order("a", Order::Succeed(7));
            play.at_write(1);
            play.begin_set(5);
            play.cancel("a");
            play.backend.store.writes.open();
            play.end_set();
        },
        // The waiter reads what the leader stored, or what was set since.
        callers: &[("a", "canceled"), ("b", "5 or 7")],
        created: 1,
        stored: Some(5),
    },
];

fn plays(row: &Row, kind: Kind) {
    let mut play = Play::new(Backend::new(kind).with_mutex());
    (row.script)(&mut play);
    for &(name, expected) in row.callers {
        let outcome = play.outcome(name);
        let is_right = match expected {
            "timed out" => outcome.contains(expected),
            _ => expected.split(" or ").any(|expected| expected == outcome),
        };
        assert!(is_right, "{name}: {outcome}, expected {expected}");
    }
    assert_eq!(play.created(), row.created, "the creations");
    assert_eq!(play.stored(), row.stored, "what is stored");
    play.assert_nothing_is_left();
}

/// Plays all rows, so that a failure does not hide the next one.
fn all_play(rows: &[Row], kinds: &[Kind]) {
    let mut failed = Vec::new();
    for row in rows {
        for &kind in kinds {
            if catch_unwind(AssertUnwindSafe(|| plays(row, kind))).is_err() {
                failed.push(format!("{} with {kind:?}", row.name));
            }
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

#[test]
fn each_scenario_ends_as_listed_through_the_public_calls() {
    all_play(ROWS, &KINDS);
    all_play(ROWS_WITH_SLOW_WRITES, &[Kind::Blocking, Kind::Operations]);
}
