//! Histories written by hand. For each rule, some keep it and some break it.
//!
//! An operation has the moments of its beginning and its end. All concern key 0 unless `on` names other keys.

#[path = "hand_written/calls.rs"]
mod calls;

use libtest_mimic::Trial;

use self::calls::*;
use super::checker::{Rule, Violation, check, violations};
use super::operations::{History, Operation};

macro_rules! trials {
    ($($name:ident),+ $(,)?) => {
        /// Returns one trial for each history.
        pub(crate) fn trials() -> Vec<Trial> {
            vec![$(Trial::test(concat!("checker::", stringify!($name)), || { $name(); Ok(()) })),+]
        }
    };
}

trials! {
    values_of_their_makers_are_right,
    value_of_no_maker_is_reported,
    value_of_another_key_is_reported,
    value_before_its_creator_returned_is_reported,
    uncacheable_value_reaches_those_who_waited,
    uncacheable_value_for_a_later_call_is_reported,
    uncacheable_value_for_get_is_reported,
    concurrent_sets_may_end_in_either_order,
    older_set_that_comes_back_is_reported,
    deleted_value_that_comes_back_is_reported,
    creation_superseded_by_a_set_reaches_its_waiters,
    creation_that_overwrites_a_set_is_reported,
    creation_that_survives_a_delete_is_reported,
    multi_creation_that_overwrites_a_set_is_reported,
    creation_over_a_set_in_progress_is_reported,
    write_that_may_have_been_over_supersedes_nothing,
    write_that_failed_supersedes_nothing,
    set_that_failed_may_appear_at_any_time,
    set_that_was_dropped_may_appear_at_any_time,
    delete_that_was_dropped_may_take_effect,
    dropped_creation_may_be_stored,
    dropped_creation_that_survives_a_delete_is_reported,
    uncacheable_value_of_a_dropped_caller_reaches_those_who_waited,
    creator_beside_that_of_a_dropped_caller_is_reported,
    creation_during_an_invalidation_may_be_valid,
    hard_invalidated_value_is_reported,
    hard_invalidated_creation_is_reported,
    softly_invalidated_value_is_served_by_get_or_create,
    softly_invalidated_value_for_get_is_reported,
    hard_invalidation_weakened_by_a_soft_one_is_reported,
    soft_invalidation_before_a_hard_one_weakens_nothing,
    value_deleted_after_its_creation_may_be_missing,
    delete_in_progress_during_a_creation_may_discard_it,
    creation_discarded_by_an_earlier_delete_is_reported,
    creation_discarded_by_a_write_just_before_it_is_right,
    set_value_replaced_by_an_invalidated_one_may_be_missing,
    creation_of_what_was_stored_is_reported,
    set_value_that_is_missing_is_reported,
    uncacheable_value_may_be_missing,
    evicted_value_may_be_missing,
    creators_one_after_another_are_right,
    creators_at_the_same_time_are_reported,
    creators_of_different_keys_may_run_at_the_same_time,
    call_that_does_not_return_is_reported,
    explanation_has_the_operations_around_the_violation,
}

fn history<const N: usize>(operations: [Operation; N]) -> History {
    History { operations: operations.into(), evicts: false }
}

#[track_caller]
fn keeps<const N: usize>(operations: [Operation; N]) {
    if let Err(violation) = check(&history(operations)) {
        panic!("the history is right, but was reported: {violation}");
    }
}

/// Expects violations of `rule` alone, and returns the first.
#[track_caller]
fn breaks<const N: usize>(rule: Rule, operations: [Operation; N]) -> Violation {
    let history = history(operations);
    let rules: Vec<Rule> = violations(&history).iter().map(|violation| violation.rule).collect();
    assert!(!rules.is_empty() && rules.iter().all(|reported| *reported == rule), "{rule:?}, got {rules:?}");
    check(&history).expect_err("there is a violation")
}

fn values_of_their_makers_are_right() {
    keeps([set(1, 2, 10), get(3, 4, Some(10)), delete(5, 6), get(7, 8, None), create(9, 14, (10, 12), 11)]);
    keeps([set(1, 9, 10), get(2, 3, Some(10))]);
    keeps([create(1, 9, (2, 4), 10), hit(3, 5, 10), get(6, 7, Some(10))]);
}

fn value_of_no_maker_is_reported() {
    breaks(Rule::Origin, [set(1, 2, 10), get(3, 4, Some(11))]);
}

fn value_of_another_key_is_reported() {
    breaks(Rule::Origin, [set(1, 2, 10), set(3, 4, 11).on([1]), get(5, 6, Some(11))]);
}

fn value_before_its_creator_returned_is_reported() {
    breaks(Rule::Origin, [create(1, 9, (2, 8), 10), hit(3, 7, 10)]);
    breaks(Rule::Origin, [get(1, 2, Some(10)), set(3, 4, 10)]);
}

fn uncacheable_value_reaches_those_who_waited() {
    keeps([create(1, 9, (3, 5), 10).uncacheable(), hit(2, 8, 10), hit(7, 11, 10), get(12, 13, None)]);
}

fn uncacheable_value_for_a_later_call_is_reported() {
    breaks(Rule::Origin, [create(1, 4, (2, 3), 10).uncacheable(), hit(5, 6, 10)]);
}

fn uncacheable_value_for_get_is_reported() {
    breaks(Rule::Origin, [create(1, 9, (2, 3), 10).uncacheable(), get(5, 6, Some(10))]);
}

fn concurrent_sets_may_end_in_either_order() {
    keeps([set(1, 4, 10), set(2, 3, 11), get(5, 6, Some(10))]);
    keeps([set(1, 4, 10), set(2, 3, 11), get(5, 6, Some(11))]);
    keeps([set(1, 2, 10), set(3, 6, 11), get(4, 5, Some(10))]);
}

fn older_set_that_comes_back_is_reported() {
    breaks(Rule::Superseded, [set(1, 2, 10), set(3, 4, 11), get(5, 6, Some(10))]);
    breaks(Rule::Superseded, [set(1, 2, 10), set(3, 4, 11), hit(5, 6, 10)]);
}

fn deleted_value_that_comes_back_is_reported() {
    breaks(Rule::Superseded, [set(1, 2, 10), delete(3, 4), get(5, 6, Some(10))]);
    breaks(Rule::Superseded, [create(1, 4, (2, 3), 10), delete(5, 6), hit(7, 8, 10)]);
}

/// The creator's own call, and one that waited for it since before the write ended.
fn creation_superseded_by_a_set_reaches_its_waiters() {
    keeps([create(1, 9, (2, 8), 10), set(3, 6, 11), hit(5, 10, 10), get(11, 12, Some(11))]);
}

/// E2: the creation stores its value over the newer one.
fn creation_that_overwrites_a_set_is_reported() {
    breaks(Rule::Superseded, [create(1, 9, (2, 3), 10), set(4, 5, 11), get(10, 11, Some(10))]);
    breaks(Rule::Superseded, [create(1, 12, (2, 3), 10), set(4, 5, 11), get(6, 7, Some(10))]);
}

/// E2: the delete is undone by a creation that began before it.
fn creation_that_survives_a_delete_is_reported() {
    breaks(Rule::Superseded, [create(1, 9, (2, 3), 10), delete(4, 5), get(10, 11, Some(10))]);
    breaks(Rule::Superseded, [create(1, 9, (2, 3), 10), delete(4, 12), hit(13, 14, 10)]);
}

/// E2, in a creation of several keys of which one is written meanwhile.
fn multi_creation_that_overwrites_a_set_is_reported() {
    let creation = || create_multi(1, 9, (2, 3), [10, 11]);
    keeps([creation(), set(4, 5, 12).on([1]), get(10, 11, Some(10)), get(12, 13, Some(12)).on([1])]);
    let bad = [creation(), set(4, 5, 12).on([1]), get(10, 11, Some(10)), get(12, 13, Some(11)).on([1])];
    breaks(Rule::Superseded, bad);
    breaks(Rule::Superseded, [creation(), delete(4, 5).on([0, 1]), get(10, 11, Some(11)).on([1])]);
}

/// E2: the write was in the store when the creator was called, as the store itself shows.
fn creation_over_a_set_in_progress_is_reported() {
    let write = || set(1, 9, 10).in_store_until(5);
    breaks(Rule::Superseded, [write(), create(2, 8, (4, 6), 11), get(10, 11, Some(11))]);
    keeps([write(), create(2, 8, (4, 6), 11), get(10, 11, Some(10))]);
}

/// The call of the `set` returned after the creator was called, but may have been over before.
fn write_that_may_have_been_over_supersedes_nothing() {
    keeps([
        set(1, 5, 10).in_store_until(2),
        invalidate(6, 7),
        create(8, 11, (9, 10), 11),
        get(12, 13, Some(11)),
    ]);
    keeps([delete(1, 5).in_store_until(2), create(3, 8, (4, 6), 11), get(9, 10, Some(11))]);
}

fn write_that_failed_supersedes_nothing() {
    keeps([set(1, 2, 10), delete(3, 4).failed(), get(5, 6, Some(10)), get(7, 8, None)]);
}

fn set_that_failed_may_appear_at_any_time() {
    keeps([set(1, 2, 10).failed(), set(3, 4, 11), get(5, 6, Some(11)), get(7, 8, Some(10))]);
}

fn set_that_was_dropped_may_appear_at_any_time() {
    keeps([set(1, 2, 10).dropped(), set(3, 4, 11), get(5, 6, Some(11)), get(7, 8, Some(10))]);
}

fn delete_that_was_dropped_may_take_effect() {
    keeps([set(1, 2, 10), delete(3, 4).dropped(), get(5, 6, Some(10)), get(7, 8, None)]);
}

fn dropped_creation_may_be_stored() {
    keeps([create(1, 4, (2, 3), 10).dropped(), get(5, 6, None), get(7, 8, Some(10))]);
    // The creation is detached.
    keeps([create(1, 3, (2, 6), 10).dropped(), get(4, 5, None), get(7, 8, Some(10))]);
}

fn dropped_creation_that_survives_a_delete_is_reported() {
    breaks(Rule::Superseded, [create(1, 4, (2, 3), 10).dropped(), delete(5, 6), get(7, 8, Some(10))]);
}

fn uncacheable_value_of_a_dropped_caller_reaches_those_who_waited() {
    let detached = || create(1, 3, (2, 6), 10).uncacheable().dropped();
    keeps([detached(), hit(4, 7, 10)]);
    breaks(Rule::Origin, [detached(), get(7, 8, Some(10))]);
}

fn creator_beside_that_of_a_dropped_caller_is_reported() {
    keeps([create(1, 4, (2, 3), 10).dropped(), create(5, 8, (6, 7), 11)]);
    breaks(Rule::Exclusion, [create(1, 3, (2, 9), 10).dropped(), create(5, 8, (6, 7), 11)]);
}

fn creation_during_an_invalidation_may_be_valid() {
    keeps([invalidate(1, 4), create(2, 7, (3, 5), 10), get(8, 9, Some(10))]);
    keeps([invalidate(1, 4), set(2, 3, 10), get(8, 9, Some(10))]);
    keeps([invalidate(1, 4), set(2, 3, 10), get(8, 9, None)]);
}

/// E5: `set`, `invalidate`, `get`.
fn hard_invalidated_value_is_reported() {
    breaks(Rule::Invalidated, [set(1, 2, 10), invalidate(3, 4), get(5, 6, Some(10))]);
    breaks(Rule::Invalidated, [set(1, 2, 10), invalidate(3, 4), hit(5, 6, 10)]);
    keeps([set(1, 2, 10), invalidate(3, 6), hit(5, 7, 10)]);
}

fn hard_invalidated_creation_is_reported() {
    breaks(Rule::Invalidated, [create(1, 9, (2, 6), 10), invalidate(3, 4), get(10, 11, Some(10))]);
    keeps([create(1, 9, (2, 6), 10), invalidate(3, 4), get(10, 11, None)]);
}

fn softly_invalidated_value_is_served_by_get_or_create() {
    keeps([set(1, 2, 10), invalidate_soft(3, 4), hit(5, 6, 10), get(7, 8, None)]);
}

fn softly_invalidated_value_for_get_is_reported() {
    breaks(Rule::Invalidated, [set(1, 2, 10), invalidate_soft(3, 4), get(5, 6, Some(10))]);
    breaks(Rule::Invalidated, [create(1, 9, (2, 6), 10), invalidate_soft(3, 4), get(10, 11, Some(10))]);
}

/// E4: a soft invalidation replaces the hard one.
fn hard_invalidation_weakened_by_a_soft_one_is_reported() {
    let bad = [set(1, 2, 10), invalidate(3, 4), invalidate_soft(5, 6), hit(7, 8, 10)];
    let violation = breaks(Rule::Weakened, bad);
    assert!(violation.is_shown_by(|operation| operation.begin == 5), "{violation}");
    breaks(Rule::Weakened, [set(1, 2, 10), invalidate(3, 6), invalidate_soft(4, 5), hit(7, 8, 10)]);
}

fn soft_invalidation_before_a_hard_one_weakens_nothing() {
    breaks(Rule::Invalidated, [set(1, 2, 10), invalidate_soft(3, 4), invalidate(5, 6), hit(7, 8, 10)]);
}

fn value_deleted_after_its_creation_may_be_missing() {
    keeps([create(1, 4, (2, 3), 10), delete(5, 6), get(7, 8, None)]);
    keeps([create(1, 4, (2, 3), 10), get(5, 7, None), delete(6, 8)]);
}

fn delete_in_progress_during_a_creation_may_discard_it() {
    keeps([create(1, 6, (2, 4), 10), delete(3, 5), get(7, 8, None)]);
    keeps([delete(1, 4), create(2, 6, (3, 5), 10), get(7, 8, None)]);
}

/// E10: the delete came while the leader waited for the mutex, and was over before the creator was called.
fn creation_discarded_by_an_earlier_delete_is_reported() {
    breaks(Rule::Lost, [create(1, 8, (5, 6), 10), delete(2, 4), get(9, 10, None)]);
    keeps([create(1, 8, (5, 6), 10), delete(2, 4), get(9, 10, Some(10))]);
}

/// The region may have gone on to call the creator before the write, but the thread was held up.
fn creation_discarded_by_a_write_just_before_it_is_right() {
    keeps([create(1, 8, (5, 6), 10).ready_at(3), delete(2, 4), get(9, 10, None)]);
    keeps([create(1, 8, (5, 6), 10).ready_at(3), invalidate(2, 4), get(9, 10, None)]);
}

/// The creation counts as made before the invalidation, and its creator was called after the `set`.
fn set_value_replaced_by_an_invalidated_one_may_be_missing() {
    let creation = create(1, 10, (7, 8), 10).ready_at(2);
    keeps([creation.clone(), invalidate(3, 4), set(5, 6, 11), get(11, 12, None)]);
    breaks(Rule::Lost, [creation, set(5, 6, 11), get(11, 12, None)]);
}

fn creation_of_what_was_stored_is_reported() {
    breaks(Rule::Lost, [create(1, 4, (2, 3), 10), create(5, 8, (6, 7), 11)]);
    keeps([create(1, 4, (2, 3), 10), invalidate_soft(5, 6), create(7, 10, (8, 9), 11)]);
}

fn set_value_that_is_missing_is_reported() {
    breaks(Rule::Lost, [invalidate(1, 2), set(3, 4, 10), get(5, 6, None)]);
    keeps([set(3, 4, 10), invalidate(5, 6), get(7, 8, None)]);
}

fn uncacheable_value_may_be_missing() {
    keeps([create(1, 4, (2, 3), 10).uncacheable(), get(5, 6, None), create(7, 10, (8, 9), 11)]);
}

fn evicted_value_may_be_missing() {
    let operations = vec![set(1, 2, 10), get(3, 4, None)];
    assert!(check(&History { operations, evicts: true }).is_ok());
}

fn creators_one_after_another_are_right() {
    let failed = create(1, 4, (2, 3), 10).creator_failed();
    keeps([failed, create(2, 8, (5, 7), 11), hit(6, 9, 11)]);
}

fn creators_at_the_same_time_are_reported() {
    breaks(Rule::Exclusion, [create(1, 8, (2, 6), 10), create(3, 9, (5, 7), 11)]);
    breaks(Rule::Exclusion, [create(1, 8, (2, 6), 10).creator_failed(), create(3, 9, (5, 7), 11)]);
}

fn creators_of_different_keys_may_run_at_the_same_time() {
    keeps([create(1, 8, (2, 6), 10), create(3, 9, (5, 7), 11).on([1])]);
}

fn call_that_does_not_return_is_reported() {
    breaks(Rule::Hang, [set(1, 2, 10), get(3, 4, None).unfinished()]);
}

fn explanation_has_the_operations_around_the_violation() {
    let violation = breaks(
        Rule::Superseded,
        [
            get(1, 2, None),
            create_multi(3, 9, (4, 5), [11, 12]),
            get(6, 7, None).on([1]),
            delete(6, 8).in_store_until(7),
            hit(10, 11, 11),
            delete(12, 13),
        ],
    );
    let expected = "\
Superseded: k0: 11 was returned after it had been superseded
> [3–9] thread 0: get_or_create_multi(k0, k1), creator of k0 [4–5] made 11, creator of k1 [4–5] made 12 -> 11, 12
> [6–8] thread 0: delete(k0), in the store until 7
> [10–11] thread 0: get_or_create(k0) -> 11";
    assert_eq!(violation.to_string(), expected);
}
