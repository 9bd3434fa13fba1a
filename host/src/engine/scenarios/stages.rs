//! Values in stages: early refreshes, waits for stale values, fail-safe, and limits of calls.

use std::time::Duration;

use super::coverage::Tag::*;
use super::play::Play;
use super::port::Call;
use super::world::{Mutexes, Order, Point};
use super::{End, Row};
use crate::policy::{CreatorTimeout, FailSafe, OnStale, Share};

/// The stale values of the scenarios are as good as missing, and served if the creator fails.
fn saved(name: &'static str) -> Call {
    let mut call = Call::of(name, &["k"]);
    call.policy.max_stale = Some(Duration::from_secs(100));
    call.policy.fail_safe = FailSafe::new(Duration::from_secs(10_000));
    call
}

/// The stale values of the scenarios are served for one more second, and later only if the creator or the mutex fails. The caller
/// waits for two seconds.
fn aging(name: &'static str) -> Call {
    let mut call = saved(name);
    call.policy.max_stale = Some(Duration::from_secs(401));
    call.policy.stale = TWO_SECONDS;
    call
}

/// The fresh values of the scenarios are due for a refresh.
fn early(name: &'static str) -> Call {
    let mut call = Call::of(name, &["k"]);
    call.policy.early_refresh = Share::percent(10);
    call
}

fn with_stale(name: &'static str, policy: OnStale) -> Call {
    let mut call = Call::of(name, &["k"]);
    call.policy.stale = policy;
    call
}

/// The call ends after two seconds.
fn limited(mut call: Call) -> Call {
    call.policy.creator_timeout = CreatorTimeout::OFF.hard(Duration::from_secs(2));
    call
}

const TWO_SECONDS: OnStale = OnStale::WaitAtMost(Duration::from_secs(2));

/// A creator runs, and another caller waits. Both have an old value.
fn begin_saved(play: &mut Play) {
    play.stale("k", 1);
    play.creating(saved("a"));
    play.waiting(saved("b"));
}

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "failing_creator_serves_the_old_value_to_its_waiters",
        covers: &[Missing, Leader, Waiter, Fails],
        script: |play| {
            begin_saved(play);
            play.fail("a");
        },
        ends: End {
            callers: &[("a", "1", 2), ("b", "1", 1)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 1)],
            reports: &["rescued k: the creator failed"],
        },
    },
    Row {
        name: "recent_failure_serves_the_old_value_without_a_creation",
        covers: &[Missing, Leader, Fails, Success],
        script: |play| {
            play.stale("k", 1);
            play.creating(saved("a"));
            play.fail("a");
            play.call(saved("b"));
            play.at("b", Point::Done);
            play.advance(1.0);
            play.creating(saved("c"));
            play.succeed("c", 7);
        },
        ends: End {
            callers: &[("a", "1", 2), ("b", "1", 1), ("c", "7", 2)],
            created: &["k", "k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &["rescued k: the creator failed"],
        },
    },
    Row {
        name: "answer_reaches_its_caller_in_spite_of_fail_safe",
        covers: &[Missing, Leader, Waiter, Fails, Success],
        script: |play| {
            begin_saved(play);
            play.order("a", Order::Answer);
            play.at("a", Point::Done);
            play.at("b", Point::Creating);
            play.succeed("b", 7);
        },
        ends: End {
            callers: &[("a", "the answer", 2), ("b", "7", 2)],
            created: &["k", "k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "panic_and_cancellation_are_not_rescued",
        covers: &[Missing, Leader, Waiter, Panics, Cancellation, Success],
        script: |play| {
            begin_saved(play);
            play.panic("a");
            play.at("b", Point::Creating);
            play.waiting(saved("c"));
            play.cancel("b");
            play.at("c", Point::Creating);
            play.succeed("c", 7);
        },
        ends: End {
            callers: &[("a", "panicked", 2), ("b", "canceled", 2), ("c", "7", 2)],
            created: &["k", "k", "k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "failing_mutex_serves_the_old_value_to_all_with_fail_safe",
        covers: &[Missing, Leader, Waiter, MutexFails, Success],
        script: |play| {
            play.stale("k", 1);
            play.hold_elsewhere("k");
            play.call(saved("a"));
            play.at("a", Point::Locking);
            play.waiting(saved("b"));
            let mut strict = saved("c");
            strict.policy.fail_safe = FailSafe::OFF;
            play.waiting(strict);
            play.mutexes(Mutexes::Failing);
            play.release_elsewhere("k");
            play.at("b", Point::Done);
            play.at("c", Point::Done);
            play.call(Call { keys: vec!["k", "other"], ..saved("d") });
            play.at("d", Point::Done);
            play.mutexes(Mutexes::Working);
            play.creating(saved("e"));
            play.succeed("e", 7);
        },
        ends: End {
            callers: &[
                ("a", "1", 1),
                ("b", "1", 1),
                ("c", "the backend's mutex failed", 1),
                ("d", "the backend's mutex failed", 1),
                ("e", "7", 2),
            ],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &["mutex failed: k", "mutex failed: k"],
        },
    },
    Row {
        name: "value_that_ages_at_a_gate_serves_if_the_mutex_fails",
        covers: &[Missing, Stale, Leader, Waiter, MutexFails],
        script: |play| {
            play.stale("k", 1);
            play.hold_elsewhere("k");
            play.call(saved("a"));
            play.at("a", Point::Locking);
            play.waiting(aging("b"));
            play.advance(2.0);
            play.at("b", Point::Waiting);
            play.mutexes(Mutexes::Failing);
            play.release_elsewhere("k");
            play.at("a", Point::Done);
            play.at("b", Point::Done);
            play.mutexes(Mutexes::Working);
            play.creating(saved("z"));
            play.succeed("z", 7);
        },
        ends: End {
            callers: &[("a", "1", 1), ("b", "1", 1), ("z", "7", 2)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &["mutex failed: k"],
        },
    },
    Row {
        name: "value_that_ages_at_a_mutex_serves_if_the_mutex_fails",
        covers: &[Stale, Leader, MutexFails],
        script: |play| {
            play.stale("k", 1);
            play.hold_elsewhere("k");
            play.call(aging("a"));
            play.at("a", Point::Locking);
            play.advance(2.0);
            play.at("a", Point::Locking);
            play.mutexes(Mutexes::Failing);
            play.release_elsewhere("k");
            play.at("a", Point::Done);
            play.mutexes(Mutexes::Working);
            play.creating(saved("z"));
            play.succeed("z", 7);
        },
        ends: End {
            callers: &[("a", "1", 1), ("z", "7", 2)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &["mutex failed: k"],
        },
    },
    Row {
        name: "value_past_the_age_of_fail_safe_is_not_served",
        covers: &[Missing, Leader, Fails],
        script: |play| {
            play.stale("k", 1);
            let mut call = saved("a");
            call.policy.fail_safe = FailSafe::new(Duration::from_secs(800));
            play.creating(call);
            play.fail("a");
        },
        ends: End {
            callers: &[("a", "the creator failed", 2)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 1)],
            reports: &[],
        },
    },
    Row {
        name: "value_invalidated_during_its_creation_is_not_rescued",
        covers: &[Missing, Leader, Fails, HardInvalidation],
        script: |play| {
            play.stale("k", 1);
            play.creating(saved("a"));
            play.invalidate(true);
            play.fail("a");
        },
        ends: End {
            callers: &[("a", "the creator failed", 2)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 1)],
            reports: &[],
        },
    },
    Row {
        name: "waiting_caller_with_a_stale_value_gets_the_new_one",
        covers: &[Stale, Leader, Waiter],
        script: |play| {
            play.stale("k", 1);
            play.creating(with_stale("a", OnStale::Wait));
            play.waiting(with_stale("b", OnStale::Wait));
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
        name: "caller_that_waits_at_most_two_seconds_takes_the_stale_value",
        covers: &[Stale, Leader, Waiter],
        script: |play| {
            play.stale("k", 1);
            play.creating(with_stale("a", TWO_SECONDS));
            play.waiting(with_stale("b", TWO_SECONDS));
            play.advance(1.9);
            play.at("b", Point::Waiting);
            play.advance(0.1);
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
        name: "wait_for_a_mutex_ends_with_the_stale_value",
        covers: &[Stale, Leader, GivesUp],
        script: |play| {
            play.stale("k", 1);
            play.hold_elsewhere("k");
            play.call(with_stale("a", TWO_SECONDS));
            play.at("a", Point::Locking);
            play.advance(2.0);
            play.at("a", Point::Done);
            play.release_elsewhere("k");
            play.creating(with_stale("b", TWO_SECONDS));
            play.succeed("b", 7);
        },
        ends: End {
            callers: &[("a", "1", 1), ("b", "7", 2)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "waiter_past_its_hard_limit_fails_or_gets_the_old_value",
        covers: &[Missing, Leader, Waiter],
        script: |play| {
            play.stale("k", 1);
            play.creating(saved("a"));
            let mut strict = limited(saved("b"));
            strict.policy.fail_safe = FailSafe::OFF;
            play.waiting(strict);
            play.waiting(limited(saved("c")));
            play.waiting(saved("d"));
            play.advance(2.0);
            play.at("b", Point::Done);
            play.at("c", Point::Done);
            play.succeed("a", 7);
        },
        ends: End {
            callers: &[("a", "7", 2), ("b", "timed out", 1), ("c", "1", 2), ("d", "7", 1)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "one_caller_refreshes_early_and_the_others_get_the_value",
        covers: &[Fresh, Leader],
        script: |play| {
            play.fresh("k", 1);
            play.creating(early("a"));
            play.call(early("b"));
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
        name: "early_refresh_does_not_wait_for_a_mutex",
        covers: &[Fresh, Leader],
        script: |play| {
            play.fresh("k", 1);
            play.hold_elsewhere("k");
            play.call(early("a"));
            play.at("a", Point::Done);
            play.release_elsewhere("k");
            play.creating(early("b"));
            play.succeed("b", 7);
        },
        ends: End {
            callers: &[("a", "1", 1), ("b", "7", 2)],
            created: &["k"],
            stores: 1,
            stored: &[("k", 7)],
            reports: &[],
        },
    },
    Row {
        name: "failed_early_refresh_returns_the_fresh_value",
        covers: &[Fresh, Leader, Fails],
        script: |play| {
            play.fresh("k", 1);
            play.creating(early("a"));
            play.fail("a");
            play.call(early("b"));
            play.at("b", Point::Done);
        },
        ends: End {
            callers: &[("a", "1", 2), ("b", "1", 1)],
            created: &["k"],
            stores: 0,
            stored: &[("k", 1)],
            reports: &["rescued k: the creator failed"],
        },
    },
    Row {
        name: "early_refresh_in_the_background_is_queued_once",
        covers: &[Fresh, Leader, RunsQueued],
        script: |play| {
            play.fresh("k", 1);
            play.call(early("a").background());
            play.at("a", Point::Done);
            play.call(early("b").background());
            play.at("b", Point::Done);
            play.run_queue(early("runner"));
            play.at("runner", Point::Creating);
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
];
