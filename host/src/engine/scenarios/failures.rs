//! Failures of the mutex, the read, and the store, and leases that end.

use super::coverage::Tag::*;
use super::port::Call;
use super::world::{Mutexes, Point};
use super::{End, Row};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "failing_mutex_with_a_stale_value_serves_it",
        covers: &[Stale, Leader, MutexFails],
        script: |play| {
            play.stale("k", 1);
            play.mutexes(Mutexes::Failing);
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Done);
            play.mutexes(Mutexes::Working);
            play.creating(Call::of("b", &["k"]));
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "1", 1), ("b", "8", 2)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &["mutex failed: k"],
        },
    },
    Row {
        name: "failing_mutex_without_a_value_fails_all_callers",
        covers: &[Leader, Waiter, MutexFails],
        script: |play| {
            play.hold_elsewhere("k");
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Locking);
            play.waiting(Call::of("b", &["k"]));
            play.mutexes(Mutexes::Failing);
            play.release_elsewhere("k");
            play.at("b", Point::Done);
            play.mutexes(Mutexes::Working);
            play.creating(Call::of("c", &["k"]));
            play.succeed("c", 9);
        },
        ends: End {
            callers: &[
                ("a", "the backend's mutex failed", 1),
                ("b", "the backend's mutex failed", 1),
                ("c", "9", 2),
            ],
            created: &["k"],
            stores: 1,
            stored: &[("k", 9)],
            reports: &[],
        },
    },
    Row {
        name: "failing_read_opens_the_gate_for_all",
        covers: &[Leader, Waiter, ReadFails],
        script: |play| {
            play.call(Call::of("a", &["k"]).held_at(Point::Rereading));
            play.at("a", Point::Rereading);
            play.waiting(Call::of("b", &["k"]));
            play.waiting(Call::of("c", &["k"]));
            play.rereads_fail(true);
            play.go("a");
            for name in ["a", "b", "c"] {
                play.at(name, Point::Done);
            }
            play.rereads_fail(false);
            play.creating(Call::of("d", &["k"]));
            play.succeed("d", 6);
        },
        ends: End {
            callers: &[
                ("a", "the read failed", 2),
                ("b", "the read failed", 2),
                ("c", "the read failed", 2),
                ("d", "6", 2),
            ],
            created: &["k"],
            stores: 1,
            stored: &[("k", 6)],
            reports: &[],
        },
    },
    Row {
        name: "failing_store_still_returns_and_hands_over",
        covers: &[Leader, Waiter, StoreFails],
        script: |play| {
            play.stores_fail(true);
            play.creating(Call::of("a", &["k"]));
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
        name: "lost_lease_still_returns_and_hands_over",
        covers: &[Leader, Waiter],
        script: |play| {
            play.mutexes(Mutexes::Working);
            play.creating(Call::of("a", &["k"]));
            play.waiting(Call::of("b", &["k"]));
            play.mutexes(Mutexes::Lost);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1)],
            created: &["k"],
            stores: 0,
            stored: &[],
            reports: &["lease lost: k"],
        },
    },
    Row {
        name: "failing_store_of_a_stale_value_keeps_it",
        covers: &[Stale, Leader, Waiter, StoreFails],
        script: |play| {
            play.stale("k", 1);
            play.stores_fail(true);
            play.creating(Call::of("a", &["k"]));
            play.call(Call::of("b", &["k"]));
            play.at("b", Point::Done);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "1", 1)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 1)],
            reports: &[],
        },
    },
];
