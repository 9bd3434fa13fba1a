//! `set`, `delete`, and invalidations during a creation.

use super::coverage::Tag::*;
use super::play::{Play, STORE_WAIT, Write};
use super::port::Call;
use super::world::{Order, Point};
use super::{End, Row};

fn lead_and_wait(play: &mut Play) {
    play.creating(Call::of("a", &["k"]));
    play.waiting(Call::of("b", &["k"]));
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "creation_during_a_set_stores_nothing",
        covers: &[Leader, Waiter, Set],
        script: |play| {
            lead_and_wait(play);
            play.set("k", 5);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 5)],
            reports: &["superseded: k"],
        },
    },
    Row {
        name: "creation_during_a_delete_stores_nothing",
        covers: &[Leader, Waiter, Delete],
        script: |play| {
            lead_and_wait(play);
            play.delete("k");
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1)],
            created: &["k"],
            stores: 0,
            stored: &[],
            reports: &["superseded: k"],
        },
    },
    Row {
        name: "creation_begun_during_a_set_stores_nothing",
        covers: &[Leader, Set],
        script: |play| {
            play.write("w", "k", Write::Set(5), &[Point::Writing]);
            play.at("w", Point::Writing);
            play.creating(Call::of("a", &["k"]));
            play.go("w");
            play.at("w", Point::Done);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 5)],
            reports: &["superseded: k"],
        },
    },
    Row {
        name: "creation_that_ends_within_a_set_stores_nothing",
        covers: &[Leader, Waiter],
        script: |play| {
            lead_and_wait(play);
            play.write("w", "k", Write::Set(5), &[Point::Writing]);
            play.at("w", Point::Writing);
            play.succeed("a", 7);
            play.go("w");
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 5)],
            reports: &["superseded: k"],
        },
    },
    Row {
        name: "set_during_a_store_waits_for_its_end",
        covers: &[Leader, Waiter],
        script: |play| {
            play.creating(Call::of("a", &["k"]).held_at(Point::Storing));
            play.waiting(Call::of("b", &["k"]));
            play.order("a", Order::Succeed(7));
            play.at("a", Point::Storing);
            play.write("w", "k", Write::Set(5), &[]);
            play.at("w", Point::Waiting);
            play.go("a");
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 5)],
            reports: &[],
        },
    },
    Row {
        name: "delete_during_a_store_waits_for_its_end",
        covers: &[Leader],
        script: |play| {
            play.creating(Call::of("a", &["k"]).held_at(Point::Storing));
            play.order("a", Order::Succeed(7));
            play.at("a", Point::Storing);
            play.write("w", "k", Write::Delete, &[]);
            play.at("w", Point::Waiting);
            play.go("a");
        },
        ends: End { callers: &[("a", "7", 2)], created: &["k"], stores: 1, stored: &[], reports: &[] },
    },
    Row {
        name: "delete_during_a_store_without_end_waits_no_longer",
        covers: &[Leader, Waiter, Delete],
        script: |play| {
            play.creating(Call::of("a", &["k"]).held_at(Point::Storing));
            play.waiting(Call::of("b", &["k"]));
            play.order("a", Order::Succeed(7));
            play.at("a", Point::Storing);
            play.write("w", "k", Write::Delete, &[]);
            play.at("w", Point::Waiting);
            play.advance(STORE_WAIT as f64);
            play.at("w", Point::Done);
            play.reported();
            play.go("a");
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &["long wait: a creates k for 10s, 1 wait"],
        },
    },
    Row {
        name: "canceled_store_lets_the_writer_and_a_waiter_go_on",
        covers: &[Leader, Waiter, Cancellation, Success],
        script: |play| {
            play.creating(Call::of("a", &["k"]).held_at(Point::Storing));
            play.waiting(Call::of("b", &["k"]));
            play.order("a", Order::Succeed(7));
            play.at("a", Point::Storing);
            play.write("w", "k", Write::Delete, &[]);
            play.at("w", Point::Waiting);
            play.cancel("a");
            play.at("w", Point::Done);
            play.at("b", Point::Creating);
            play.end("b", Fails, 0);
        },
        ends: End {
            callers: &[("a", "canceled", 2), ("b", "the creator failed", 2)],
            created: &["k", "k"],
            stores: 0,
            stored: &[],
            reports: &[],
        },
    },
    Row {
        name: "latecomer_after_a_set_reads_the_new_value",
        covers: &[Missing, Fresh, Leader, Waiter, Set],
        script: |play| {
            lead_and_wait(play);
            // It reads before the `set`, and comes to the gate after it.
            play.call(Call::of("c", &["k"]).held_at(Point::Reading));
            play.at("c", Point::Reading);
            play.set("k", 5);
            play.call(Call::of("d", &["k"]));
            play.at("d", Point::Done);
            play.go("c");
            play.at("c", Point::Done);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1), ("c", "5", 1), ("d", "5", 1)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 5)],
            reports: &["superseded: k"],
        },
    },
    Row {
        name: "latecomer_after_a_delete_reads_once_and_creates",
        covers: &[Leader, Waiter, Delete],
        script: |play| {
            lead_and_wait(play);
            play.delete("k");
            play.waiting(Call::of("c", &["k"]));
            play.succeed("a", 7);
            play.at("c", Point::Creating);
            play.succeed("c", 9);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1), ("c", "9", 3)],
            created: &["k", "k"],
            stores: 1,
            stored: &[("k", 9)],
            reports: &["superseded: k"],
        },
    },
    Row {
        name: "latecomer_after_a_delete_reads_a_set_value_once",
        covers: &[Leader, Waiter, Delete, Set],
        script: |play| {
            lead_and_wait(play);
            play.delete("k");
            play.waiting(Call::of("c", &["k"]));
            play.set("k", 5);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1), ("c", "5", 2)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 5)],
            reports: &["superseded: k"],
        },
    },
    Row {
        name: "latecomer_after_a_hard_invalidation_creates",
        covers: &[Leader, Waiter, HardInvalidation],
        script: |play| {
            lead_and_wait(play);
            play.invalidate(true);
            play.waiting(Call::of("c", &["k"]));
            play.succeed("a", 7);
            play.at("c", Point::Creating);
            play.succeed("c", 9);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1), ("c", "9", 3)],
            created: &["k", "k"],
            stores: 2,
            stored: &[("k", 9)],
            reports: &[],
        },
    },
    Row {
        name: "latecomer_after_a_soft_invalidation_creates",
        covers: &[Leader, Waiter, SoftInvalidation],
        script: |play| {
            lead_and_wait(play);
            play.invalidate(false);
            play.waiting(Call::of("c", &["k"]));
            play.succeed("a", 7);
            play.at("c", Point::Creating);
            play.succeed("c", 9);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1), ("c", "9", 3)],
            created: &["k", "k"],
            stores: 2,
            stored: &[("k", 9)],
            reports: &[],
        },
    },
    Row {
        name: "latecomer_to_the_next_creation_gets_its_value",
        covers: &[Leader, Waiter, Delete, Fails],
        script: |play| {
            lead_and_wait(play);
            play.delete("k");
            play.waiting(Call::of("c", &["k"]));
            play.fail("a");
            play.at("b", Point::Creating);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "the creator failed", 2), ("b", "8", 2), ("c", "8", 1)],
            created: &["k", "k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &[],
        },
    },
    Row {
        name: "delete_before_the_mutex_is_acquired_changes_nothing",
        covers: &[Leader, Waiter],
        script: |play| {
            play.hold_elsewhere("k");
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Locking);
            play.waiting(Call::of("b", &["k"]));
            play.delete("k");
            play.release_elsewhere("k");
            play.at("a", Point::Creating);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
];
