//! Creations that a runner makes.

use super::coverage::Tag::*;
use super::play::Play;
use super::port::Call;
use super::world::{Mutexes, Point};
use super::{End, Row};

/// A caller gets the stale value, and its creation is queued.
fn queue(play: &mut Play) {
    play.stale("k", 1);
    play.mutexes(Mutexes::Working);
    play.call(Call::of("a", &["k"]).background());
    play.at("a", Point::Done);
}

/// A caller finds no value any more, and takes the creation over.
fn take_over(play: &mut Play) {
    queue(play);
    play.invalidate(true);
    play.creating(Call::of("b", &["k"]));
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "queued_creation_is_run_by_the_runner",
        covers: &[Stale, Leader, Waiter, RunsQueued],
        script: |play| {
            queue(play);
            play.run_queue(Call::of("runner", &[]));
            play.at("runner", Point::Creating);
            play.call(Call::of("b", &["k"]).background());
            play.at("b", Point::Done);
            play.succeed("runner", 7);
        },
        ends: End {
            callers: &[("a", "1", 2), ("b", "1", 1), ("runner", "created 1", 0)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "queued_creation_is_taken_over_by_a_caller_in_need",
        covers: &[Stale, Missing, Leader, Waiter, TakenOver],
        script: |play| {
            take_over(play);
            play.waiting(Call::of("c", &["k"]));
            play.run_queue(Call::of("runner", &[]));
            play.at("runner", Point::Done);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "1", 2), ("b", "8", 2), ("c", "8", 1), ("runner", "created 0", 0)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &[],
        },
    },
    Row {
        name: "queued_creation_is_taken_over_by_a_waiter",
        covers: &[Stale, Missing, Leader, Waiter, TakenOver],
        script: |play| {
            play.stale("k", 1);
            play.call(Call::of("a", &["k"]).background().held_at(Point::Rereading));
            play.at("a", Point::Rereading);
            play.world.change(|state| state.stored.remove("k"));
            play.waiting(Call::of("b", &["k"]));
            play.stale("k", 1);
            play.go("a");
            play.at("a", Point::Done);
            play.at("b", Point::Creating);
            play.run_queue(Call::of("runner", &[]));
            play.at("runner", Point::Done);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "1", 2), ("b", "8", 2), ("runner", "created 0", 0)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &[],
        },
    },
    Row {
        name: "queued_creation_that_is_dropped_frees_its_key",
        covers: &[Stale, Leader, Dropped],
        script: |play| {
            queue(play);
            play.call(Call::of("b", &["k"]));
            play.at("b", Point::Done);
            play.drop_queue();
            play.creating(Call::of("c", &["k"]));
            play.succeed("c", 9);
        },
        ends: End {
            callers: &[("a", "1", 2), ("b", "1", 1), ("c", "9", 2)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 9)],
            reports: &[],
        },
    },
    Row {
        name: "queued_creation_that_is_dropped_leaves_no_gate",
        covers: &[Stale, Missing, Leader, Dropped],
        script: |play| {
            queue(play);
            play.drop_queue();
            play.creating(Call::of("z", &["l"]));
            play.succeed("z", 9);
        },
        ends: End {
            callers: &[("a", "1", 2), ("z", "9", 2)],
            created: &["l"],
            stores: 1,
            stored: &[("k", 1), ("l", 9)],
            reports: &[],
        },
    },
    Row {
        name: "job_dropped_after_a_takeover_disturbs_no_caller",
        covers: &[Stale, Missing, Leader, Waiter, TakenOver, Dropped],
        script: |play| {
            take_over(play);
            play.waiting(Call::of("c", &["k"]));
            play.world.look(|state| state.see(TakenOver));
            play.drop_queue();
            play.at("c", Point::Waiting);
            play.succeed("b", 8);
        },
        ends: End {
            callers: &[("a", "1", 2), ("b", "8", 2), ("c", "8", 1)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 8)],
            reports: &[],
        },
    },
    Row {
        name: "fresh_value_on_the_second_read_is_not_queued",
        covers: &[Stale, Leader],
        script: |play| {
            play.stale("k", 1);
            play.call(Call::of("a", &["k"]).background().held_at(Point::Rereading));
            play.at("a", Point::Rereading);
            play.fresh("k", 5);
            play.go("a");
            play.creating(Call::of("z", &["l"]));
            play.succeed("z", 9);
        },
        ends: End {
            callers: &[("a", "5", 2), ("z", "9", 2)],
            created: &["l"],
            stores: 1,
            stored: &[("k", 5), ("l", 9)],
            reports: &[],
        },
    },
];
