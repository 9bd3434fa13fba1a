//! Who creates a value, and who gets it.

use super::coverage::Tag::*;
use super::play::Play;
use super::port::Call;
use super::world::{Mutexes, Order, Point};
use super::{End, Row};

const REENTRY: &str = "deadlock avoided: the creator requested a key that it, or a creator waiting for it, is already \
                       creating; request that key before this creator runs";

fn lead_and_wait(play: &mut Play) {
    play.creating(Call::of("a", &["k"]));
    play.waiting(Call::of("b", &["k"]));
    play.waiting(Call::of("c", &["k"]));
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "fresh_value_is_returned_without_a_gate",
        covers: &[Fresh, Success, Leader],
        script: |play| {
            play.fresh("k", 1);
            play.creating(Call::of("b", &["l"]));
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Done);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "1", 1), ("b", "8", 2)],
            created: &["l"],
            stores: 1,
            stored: &[("k", 1), ("l", 8)],
            reports: &[],
        },
    },
    Row {
        name: "missing_value_is_created_once_and_handed_over",
        covers: &[Leader, Waiter],
        script: |play| {
            lead_and_wait(play);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1), ("c", "7", 1)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "stale_value_is_served_while_one_caller_creates",
        covers: &[Stale, Leader, Waiter],
        script: |play| {
            play.stale("k", 1);
            play.creating(Call::of("a", &["k"]));
            play.call(Call::of("b", &["k"]));
            play.at("b", Point::Done);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "1", 1)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "value_that_is_not_cacheable_is_handed_over",
        covers: &[Leader, Waiter],
        script: |play| {
            play.creating(Call::of("a", &["k"]).uncacheable());
            play.waiting(Call::of("b", &["k"]));
            play.waiting(Call::of("c", &["k"]));
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1), ("c", "7", 1)],
            created: &["k"],
            stores: 0,
            stored: &[],
            reports: &[],
        },
    },
    Row {
        name: "value_stored_before_the_leader_rereads_is_handed_over",
        covers: &[Leader, Waiter, Set],
        script: |play| {
            play.creating(Call::of("z", &["other"]));
            play.call(Call::of("a", &["k"]).held_at(Point::Rereading));
            play.at("a", Point::Rereading);
            play.waiting(Call::of("b", &["k"]));
            play.set("k", 5);
            play.go("a");
            play.succeed("z", 9);
        },
        ends: End {
            callers: &[("a", "5", 2), ("b", "5", 1), ("z", "9", 2)],
            created: &["other"],
            stores: 1,
            stored: &[("k", 5), ("other", 9)],
            reports: &[],
        },
    },
    Row {
        name: "failed_creation_is_followed_by_one_waiter",
        covers: &[Leader, Waiter, Fails, Success],
        script: |play| {
            lead_and_wait(play);
            play.fail("a");
            play.at("b", Point::Creating);
            play.at("c", Point::Waiting);
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
        name: "shared_failure_reaches_all_waiters",
        covers: &[Leader, Waiter, Fails],
        script: |play| {
            play.creating(Call::of("a", &["k"]).shares());
            play.waiting(Call::of("b", &["k"]));
            play.waiting(Call::of("c", &["k"]));
            play.advance(2.0);
            play.fail("a");
        },
        ends: End {
            callers: &[
                ("a", "the creator failed", 2),
                (
                    "b",
                    "another caller's creator of key k in region \"region\" failed after 2.0s: the creator failed",
                    1,
                ),
                (
                    "c",
                    "another caller's creator of key k in region \"region\" failed after 2.0s: the creator failed",
                    1,
                ),
            ],
            created: &["k"],
            stores: 0,
            stored: &[],
            reports: &[],
        },
    },
    Row {
        name: "panicked_creation_is_followed_by_one_waiter",
        covers: &[Leader, Waiter, Panics, Success],
        script: |play| {
            lead_and_wait(play);
            play.panic("a");
            play.at("b", Point::Creating);
            play.at("c", Point::Waiting);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "panicked", 2), ("b", "8", 2), ("c", "8", 1)],
            created: &["k", "k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &[],
        },
    },
    Row {
        name: "canceled_creation_is_followed_by_one_waiter",
        covers: &[Leader, Waiter, Cancellation, Success],
        script: |play| {
            play.mutexes(Mutexes::Working);
            lead_and_wait(play);
            play.cancel("a");
            play.at("b", Point::Creating);
            play.at("c", Point::Waiting);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "canceled", 2), ("b", "8", 2), ("c", "8", 1)],
            created: &["k", "k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &[],
        },
    },
    Row {
        name: "canceled_waiter_leaves_no_trace",
        covers: &[Leader, Waiter, Cancellation, Fails, Success],
        script: |play| {
            lead_and_wait(play);
            play.cancel("b");
            play.fail("a");
            play.at("c", Point::Creating);
            play.succeed("c", 9);
        },
        ends: End {
            callers: &[("a", "the creator failed", 2), ("b", "canceled", 1), ("c", "9", 2)],
            created: &["k", "k"],
            stores: 1,
            stored: &[("k", 9)],
            reports: &[],
        },
    },
    Row {
        name: "stale_value_with_failing_creation_stays_stored",
        covers: &[Stale, Leader, Waiter, Fails, Panics, Cancellation],
        script: |play| {
            play.stale("k", 1);
            for (leader, other, end) in [("a", "b", Fails), ("c", "d", Panics), ("e", "f", Cancellation)] {
                play.creating(Call::of(leader, &["k"]));
                play.call(Call::of(other, &["k"]));
                play.at(other, Point::Done);
                play.end(leader, end, 0);
            }
        },
        ends: End {
            callers: &[
                ("a", "the creator failed", 2),
                ("b", "1", 1),
                ("c", "panicked", 2),
                ("d", "1", 1),
                ("e", "canceled", 2),
                ("f", "1", 1),
            ],
            created: &["k", "k", "k"],
            stores: 0,
            stored: &[("k", 1)],
            reports: &[],
        },
    },
    Row {
        name: "creator_requesting_its_own_key_fails",
        covers: &[Leader],
        script: |play| {
            play.creating(Call::of("a", &["k"]));
            play.order("a", Order::Request(Box::new(Call::of("nested", &["k"]))));
            play.at("nested", Point::Done);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("nested", REENTRY, 1)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "creators_requesting_each_others_keys_do_not_hang",
        covers: &[Leader, Waiter],
        script: |play| {
            play.creating(Call::of("a", &["k"]));
            play.creating(Call::of("b", &["l"]));
            play.order("a", Order::Request(Box::new(Call::of("nested a", &["l"]))));
            play.at("nested a", Point::Waiting);
            play.order("b", Order::Request(Box::new(Call::of("nested b", &["k"]))));
            play.at("nested b", Point::Done);
            play.succeed("b", 8);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "8", 2), ("nested a", "8", 1), ("nested b", REENTRY, 1)],
            created: &["k", "l"],
            stores: 2,
            stored: &[("k", 7), ("l", 8)],
            reports: &[],
        },
    },
    Row {
        name: "nested_creator_holding_a_mutex_waits_one_second",
        covers: &[Leader],
        script: |play| {
            play.hold_elsewhere("l");
            play.creating(Call::of("a", &["k"]));
            play.order("a", Order::Request(Box::new(Call::of("nested", &["l"]))));
            play.at("nested", Point::Locking);
            play.advance(0.9);
            play.at("nested", Point::Locking);
            play.advance(0.1);
            play.at("nested", Point::Creating);
            play.succeed("nested", 8);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("nested", "8", 2)],
            created: &["k", "l"],
            stores: 2,
            stored: &[("k", 7), ("l", 8)],
            reports: &["without mutex: l"],
        },
    },
];
