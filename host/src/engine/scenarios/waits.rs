//! Deadlines, and mutexes that other processes hold.

use super::coverage::Tag::*;
use super::port::Call;
use super::world::Point;
use super::{End, Row};

const GAVE_UP: &str = "timed out waiting for another creator: another process has been creating for 3.0s, and no old value \
                       exists; retry later";

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "waiter_past_its_limit_names_the_leader",
        covers: &[Leader, Waiter, WaitLimit],
        script: |play| {
            play.creating(Call::of("a", &["k"]));
            play.advance(1.0);
            play.waiting(Call::of("b", &["k"]).waits(3));
            play.advance(2.0);
            play.at("b", Point::Waiting);
            play.advance(1.0);
            play.at("b", Point::Done);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[
                ("a", "7", 2),
                (
                    "b",
                    "timed out waiting for another creator: a has been creating for 4.0s, and no old value exists; retry \
                     later",
                    2,
                ),
            ],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "waiter_past_its_limit_gets_a_stale_value",
        covers: &[Missing, Leader, Waiter, WaitLimit],
        script: |play| {
            play.creating(Call::of("a", &["k"]));
            play.waiting(Call::of("b", &["k"]).waits(3));
            // Another process stored a value, which is old by our clock.
            play.stale("k", 1);
            play.advance(3.0);
            play.at("b", Point::Done);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "1", 2)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "long_wait_is_reported_once_per_gate",
        covers: &[Leader, Waiter],
        script: |play| {
            play.creating(Call::of("a", &["k"]));
            play.waiting(Call::of("b", &["k"]));
            play.waiting(Call::of("c", &["k"]));
            play.advance(4.0);
            play.advance(1.0);
            // The first waiter to wake reports, and both sleep until their limits.
            play.reported();
            play.advance(20.0);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "7", 1), ("c", "7", 1)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &["long wait: a creates k for 5s, 2 wait"],
        },
    },
    Row {
        name: "mutex_held_elsewhere_is_waited_for",
        covers: &[Leader, Waiter],
        script: |play| {
            play.hold_elsewhere("k");
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Locking);
            play.waiting(Call::of("b", &["k"]));
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
    Row {
        name: "value_of_the_other_process_is_handed_over",
        covers: &[Leader, Waiter],
        script: |play| {
            play.hold_elsewhere("k");
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Locking);
            play.waiting(Call::of("b", &["k"]));
            play.set("k", 5);
            play.release_elsewhere("k");
            play.creating(Call::of("z", &["l"]));
            play.succeed("z", 9);
        },
        ends: End {
            callers: &[("a", "5", 2), ("b", "5", 1), ("z", "9", 2)],
            created: &["l"],
            stores: 1,
            stored: &[("k", 5), ("l", 9)],
            reports: &[],
        },
    },
    Row {
        name: "stale_value_with_a_mutex_held_elsewhere_is_served",
        covers: &[Stale, Leader],
        script: |play| {
            play.stale("k", 1);
            play.hold_elsewhere("k");
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Done);
            play.creating(Call::of("z", &["l"]));
            play.succeed("z", 9);
        },
        ends: End {
            callers: &[("a", "1", 1), ("z", "9", 2)],
            created: &["l"],
            stores: 1,
            stored: &[("k", 1), ("l", 9)],
            reports: &[],
        },
    },
    Row {
        name: "latecomer_of_a_leader_that_gives_up_waits_on",
        covers: &[Leader, Waiter, GivesUp],
        script: |play| {
            play.hold_elsewhere("k");
            play.mutex_limit(3);
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Locking);
            play.advance(2.0);
            play.waiting(Call::of("b", &["k"]));
            play.advance(1.0);
            play.at("a", Point::Done);
            play.at("b", Point::Locking);
            play.advance(1.9);
            play.at("b", Point::Locking);
            play.release_elsewhere("k");
            play.at("b", Point::Creating);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", GAVE_UP, 2), ("b", "8", 2)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &[],
        },
    },
    Row {
        name: "leader_that_gives_up_finds_a_stale_value",
        covers: &[Leader, GivesUp],
        script: |play| {
            play.hold_elsewhere("k");
            play.mutex_limit(3);
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Locking);
            play.stale("k", 1);
            play.advance(3.0);
            play.at("a", Point::Done);
            play.release_elsewhere("k");
            play.creating(Call::of("b", &["k"]));
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "1", 2), ("b", "8", 2)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &[],
        },
    },
    Row {
        name: "waiter_waits_no_longer_than_a_leader_that_gave_up",
        covers: &[Leader, Waiter, GivesUp],
        script: |play| {
            play.hold_elsewhere("k");
            play.mutex_limit(3);
            play.call(Call::of("a", &["k"]));
            play.at("a", Point::Locking);
            play.waiting(Call::of("b", &["k"]));
            play.mutex_limit(100);
            play.advance(3.0);
            play.at("b", Point::Locking);
            // Each caller counts its own time.
            play.waiting(Call::of("c", &["k"]));
            play.advance(2.0);
            play.at("c", Point::Waiting);
            play.advance(1.0);
            play.at("c", Point::Done);
            play.release_elsewhere("k");
            play.at("b", Point::Creating);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[
                ("a", GAVE_UP, 2),
                ("b", "8", 2),
                (
                    "c",
                    "timed out waiting for another creator: b has been creating for 3.0s, and no old value exists; retry \
                     later",
                    2,
                ),
            ],
            created: &["k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &[],
        },
    },
];
