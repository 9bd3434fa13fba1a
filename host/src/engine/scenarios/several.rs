//! Several keys in one call.

use super::coverage::Tag::*;
use super::port::Call;
use super::world::{Order, Point};
use super::{End, Row};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "overlapping_callers_create_each_key_once",
        covers: &[Leader, Waiter, Several],
        script: |play| {
            play.creating(Call::of("a", &["k", "l"]));
            play.creating(Call::of("b", &["l", "m"]));
            // It leads its own key first, and only then waits for the other.
            play.order("b", Order::Succeed(8));
            play.at("b", Point::Waiting);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7,7", 2), ("b", "7,8", 2)],
            created: &["k", "l", "m"],
            stores: 3,
            stored: &[("k", 7), ("l", 7), ("m", 8)],
            reports: &[],
        },
    },
    Row {
        name: "callers_in_opposite_order_do_not_deadlock",
        covers: &[Leader, Waiter, Several, One],
        script: |play| {
            play.creating(Call::of("z", &["m"]));
            play.creating(Call::of("a", &["k", "m"]));
            play.creating(Call::of("b", &["l", "k"]));
            play.order("a", Order::Succeed(7));
            play.at("a", Point::Waiting);
            play.succeed("b", 8);
            play.succeed("z", 9);
        },
        ends: End {
            callers: &[("a", "7,9", 2), ("b", "8,7", 3), ("z", "9", 2)],
            created: &["k", "l", "m"],
            stores: 3,
            stored: &[("k", 7), ("l", 8), ("m", 9)],
            reports: &[],
        },
    },
    Row {
        name: "fresh_stale_and_missing_keys_are_settled_apart",
        covers: &[Fresh, Stale, Missing, Leader, Several, One],
        script: |play| {
            play.fresh("k", 1);
            play.stale("l", 2);
            play.creating(Call::of("b", &["l"]));
            play.creating(Call::of("a", &["k", "l", "m"]));
            play.succeed("a", 7);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "1,2,7", 2), ("b", "8", 2)],
            created: &["l", "m"],
            stores: 2,
            stored: &[("k", 1), ("l", 8), ("m", 7)],
            reports: &[],
        },
    },
    Row {
        name: "failing_creator_of_several_keys_leaves_all",
        covers: &[Leader, Waiter, Several, One, Fails],
        script: |play| {
            play.creating(Call::of("a", &["k", "l"]));
            play.waiting(Call::of("b", &["k"]));
            play.waiting(Call::of("c", &["l"]));
            play.fail("a");
            play.at("b", Point::Creating);
            play.at("c", Point::Creating);
            play.succeed("b", 8);
            play.succeed("c", 9);
        },
        ends: End {
            callers: &[("a", "the creator failed", 2), ("b", "8", 2), ("c", "9", 2)],
            created: &["k", "k", "l", "l"],
            stores: 2,
            stored: &[("k", 8), ("l", 9)],
            reports: &[],
        },
    },
    Row {
        name: "key_with_a_mutex_held_elsewhere_is_created_last",
        covers: &[Leader, Waiter, Several, One],
        script: |play| {
            play.hold_elsewhere("k");
            play.creating(Call::of("a", &["k", "l"]));
            // Its creator does not keep the gate of the other key.
            play.call(Call::of("b", &["k"]));
            play.at("b", Point::Locking);
            play.order("a", Order::Succeed(7));
            play.at("a", Point::Waiting);
            play.release_elsewhere("k");
            play.at("b", Point::Creating);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "8,7", 2), ("b", "8", 2)],
            created: &["k", "l"],
            stores: 2,
            stored: &[("k", 8), ("l", 7)],
            reports: &[],
        },
    },
    Row {
        name: "set_of_one_key_does_not_supersede_the_other",
        covers: &[Leader, Waiter, Several, One, Set, Delete],
        script: |play| {
            play.creating(Call::of("a", &["k", "l", "m"]));
            play.waiting(Call::of("b", &["l"]));
            play.set("k", 5);
            play.delete("m");
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7,7,7", 2), ("b", "7", 1)],
            created: &["k", "l", "m"],
            stores: 1,
            stored: &[("k", 5), ("l", 7)],
            reports: &["superseded: k", "superseded: m"],
        },
    },
];
