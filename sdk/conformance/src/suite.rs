//! The list of the cases, and the functions that run them.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::expect::{Outcome, Stop, panic_text};
use crate::freezer::Access;
use crate::holder;
use crate::level::Level;
use crate::report::{LevelReport, Report};
use crate::setup::Setup;

/// One behavior.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Case {
    /// The part of the suite that the case belongs to.
    pub level: Level,
    /// The name of the case, which states the behavior.
    pub name: &'static str,
    /// The function that tests the behavior.
    pub run: fn(&Setup) -> Outcome,
}

macro_rules! list {
    ($($level:ident: $module:ident { $($name:ident),+ $(,)? })+) => {
        &[$($(Case { level: Level::$level, name: stringify!($name), run: crate::$module::$name }),+),+]
    };
}

const CASES: &[Case] = list! {
    Store: store {
        reading_an_absent_key_is_a_miss,
        stored_value_is_read_back,
        setting_again_replaces_the_value,
        deleting_removes_the_value,
        deleting_an_absent_key_succeeds,
        deleting_twice_succeeds,
        deleted_key_can_be_set_again,
        empty_payload_is_a_value,
        every_byte_is_kept,
        bars_and_line_ends_in_a_payload_are_kept,
        payload_of_64_kib_and_a_byte_is_kept_whole,
        payload_of_1_mib_is_kept_whole,
        payload_of_more_than_2_mib_is_kept_whole,
        lent_value_is_the_stored_one,
        visitor_may_call_the_backend,
        object_store_keeps_bytes,
        similar_keys_are_distinct,
        non_ascii_keys_are_distinct,
        key_is_found_by_its_text,
        calls_on_one_key_take_effect_in_order,
        lifetime_is_accepted,
        closed_backend_stays_usable,
    }
    Multi: multi {
        values_are_in_the_order_of_the_keys,
        absent_keys_yield_none,
        repeated_key_has_repeated_entries,
        reading_no_keys_gives_no_values,
        setting_nothing_succeeds,
        deleting_no_keys_succeeds,
        set_multi_values_are_read_by_get,
        set_values_are_read_by_get_multi,
        setting_together_replaces_values,
        deleting_together_skips_absent_keys,
        deleting_absent_keys_together_succeeds,
        five_hundred_keys_get_their_own_values,
        last_value_of_a_repeated_key_is_stored,
        repeated_keys_are_deleted,
        large_values_pass_between_single_and_multi_calls,
    }
    Multi: forms {
        each_form_of_a_read_sees_each_form_of_a_write,
        empty_payloads_pass_between_single_and_multi_calls,
        similar_keys_are_distinct_in_multi_calls,
    }
    Metadata: metadata {
        creation_time_keeps_every_bit,
        version_is_kept,
        setting_again_replaces_the_metadata,
        multi_calls_keep_metadata,
        attributes_are_kept,
    }
    Mutex: mutex {
        new_mutex_is_unlocked,
        held_mutex_is_refused_without_waiting,
        released_mutex_can_be_acquired_again,
        two_mutexes_of_one_key_exclude_each_other,
        acquire_until_gives_up_at_its_deadline,
        acquire_until_past_deadline_tries_once,
        held_mutex_is_not_lost,
        mutex_excludes_threads,
        mutexes_of_two_keys_are_independent,
        mutex_may_be_released_by_another_thread,
        waiting_thread_acquires_released_mutex,
        releasing_a_mutex_that_is_not_held_fails,
        only_its_holder_releases_a_mutex,
        mutex_outlives_its_backend,
        keys_named_like_locks_leave_the_mutex_alone,
        mutex_leaves_the_value_alone,
    }
    Lease: lease {
        mutex_of_killed_holder_becomes_free,
        living_holder_keeps_mutex_beyond_its_lease,
        mutex_of_another_process_cannot_be_released,
        stopped_holder_keeps_its_mutex_for_most_of_a_lease,
        stopped_holder_leaves_the_next_holders_mutex_alone,
        stopped_holder_learns_that_it_lost_its_mutex,
        value_of_a_stopped_holder_is_not_stored,
        waiters_of_killed_holder_acquire_one_at_a_time,
    }
    LeaseStore: lease_store {
        lock_is_held_from_acquire_to_release,
        acquire_succeeds_again_for_its_own_token,
        foreign_token_changes_nothing,
        released_lock_is_not_renewed,
        expired_lock_is_free,
        expired_lock_is_not_renewed,
        renewed_lock_outlives_its_first_lease,
        locks_of_two_keys_are_independent,
        one_of_many_tokens_acquires_the_lock,
    }
    Expiry: expiry {
        each_value_expires_after_its_own_lifetime,
        value_is_kept_for_its_whole_lifetime,
        longest_lifetime_is_accepted,
    }
    Fencing: fencing {
        value_is_stored_while_its_mutex_is_held,
        mutex_that_is_not_held_has_no_fence,
        value_is_not_stored_after_its_mutex_is_released,
        late_value_does_not_replace_the_next_holders,
        values_stored_together_are_fenced_separately,
    }
    Capabilities: capabilities {
        longest_admitted_key_is_kept,
        unusual_admitted_keys_are_kept,
        oversized_value_is_never_truncated,
        largest_admitted_value_is_kept,
        capabilities_never_change,
        backends_of_one_scope_share_their_store,
    }
    BadInput: bad_input {
        empty_key_is_refused_or_kept,
        key_of_1_mib_is_refused_or_kept,
        keys_with_special_meaning_elsewhere_are_plain_keys,
        unadmitted_key_is_refused_or_kept,
        unadmitted_key_has_no_value,
        unadmitted_key_does_not_affect_other_keys,
        refused_value_does_not_hide_the_others,
        invalid_creation_time_is_refused_or_kept,
        mutex_of_unadmitted_key_is_refused_or_works,
    }
    Concurrency: concurrency {
        value_set_by_one_thread_is_read_by_others,
        value_is_never_torn,
        threads_on_their_own_keys_lose_nothing,
        threads_that_set_many_keys_together_lose_nothing,
        overlapping_set_multi_calls_leave_one_value_per_key,
        overlapping_multi_calls_do_not_fail,
    }
    Containment: containment {
        reading_never_panics,
        storing_never_panics,
        deleting_never_panics,
        mutex_calls_never_panic,
        key_mangler_never_panics,
        panic_of_a_visitor_passes_the_backend,
        value_that_panics_on_drop_does_no_harm,
        panicking_thread_leaves_backend_usable,
        calls_work_inside_an_async_runtime,
    }
    Asynchronous: asynchronous {
        begun_get_returns_what_get_returns,
        begun_set_is_read_by_get,
        begun_delete_removes_the_value,
        begun_get_multi_returns_what_get_multi_returns,
        begun_set_multi_and_delete_multi_take_effect,
        begun_multi_calls_accept_repeated_keys,
        begun_multi_calls_pass_large_values,
        begun_calls_fail_as_blocking_calls_do,
        each_call_completes_once,
        completion_may_begin_the_next_call,
        hundred_calls_in_flight_get_their_own_outcomes,
        canceled_calls_leave_the_backend_usable,
        canceling_one_call_leaves_others_alone,
        cancellation_after_the_outcome_changes_nothing,
        dropping_the_backend_ends_calls_in_flight,
        begun_calls_work_inside_an_async_runtime,
        begun_calls_never_panic,
    }
    Asynchronous: asynchronous_options {
        begun_sets_pass_on_lifetimes,
        begun_sets_pass_on_fences,
        begun_acquisition_has_a_fence,
        begun_calls_keep_metadata,
    }
    Asynchronous: asynchronous_mutex {
        begun_mutex_calls_agree_with_blocking_ones,
        begun_release_of_a_mutex_that_is_not_held_fails,
        begun_acquire_until_waits_without_its_caller,
        begun_acquire_until_gives_up_at_its_deadline,
        begun_acquire_until_past_deadline_tries_once,
        waits_for_a_mutex_leave_other_calls_alone,
        canceled_wait_does_not_keep_the_mutex,
        canceled_attempt_does_not_keep_the_mutex,
    }
    Frozen: frozen {
        calls_to_a_frozen_store_end_in_time,
        threads_on_a_frozen_store_do_not_wait_in_turn,
        mutex_calls_to_a_frozen_store_end_in_time,
        acquire_until_of_a_frozen_store_ends_by_its_deadline,
        lease_store_calls_to_a_frozen_store_end_in_time,
        begun_calls_to_a_frozen_store_complete_in_time,
        first_calls_after_a_thaw_succeed,
        mutex_works_after_a_thaw,
    }
    Proxy: proxied {
        failures_of_the_store_are_passed_on,
        failures_of_mutexes_are_passed_on,
        failures_of_begun_calls_are_passed_on,
        store_key_is_the_key_of_the_value,
        mutex_is_that_of_the_store_key,
    }
};

/// Returns all cases.
pub fn cases() -> &'static [Case] {
    CASES
}

/// Runs all cases on `setup` and returns the outcome of each.
///
/// Programs use this function. For a test harness, see [`run`].
///
/// The suite does not apply to a backend that stores nothing. The result is then one failure that reports this.
pub fn check(setup: &Setup) -> Vec<(&'static str, Outcome)> {
    report(setup).levels.into_iter().flat_map(|level| level.cases).collect()
}

/// Runs all cases on `setup` and returns the outcome of each level.
///
/// A level that the backend does not claim is skipped.
///
/// The suite does not apply to a backend that stores nothing. The level `store` is then one failure that reports this,
/// and the other levels have no cases.
pub fn report(setup: &Setup) -> Report {
    let levels = Level::ALL.map(|level| report_of(level, setup)).into();
    Report { setup: setup.name().to_owned(), levels }
}

/// Runs the cases of one level, as [`report`] does for all levels.
pub fn report_of(level: Level, setup: &Setup) -> LevelReport {
    let cases = match subject(setup) {
        Err(stop) if level == Level::Store => vec![(NOT_A_SUBJECT, Err(stop))],
        Err(_) => Vec::new(),
        Ok(()) => cases_of(level).map(|case| (case.name, bounded(case, setup))).collect(),
    };
    LevelReport { level, cases }
}

fn cases_of(level: Level) -> impl Iterator<Item = &'static Case> {
    CASES.iter().filter(move |case| case.level == level)
}

/// Runs all cases on all `setups` as a test harness, with libtest's options and output.
///
/// The run fails if there is no setup, because it would not test anything.
pub fn run(setups: impl IntoIterator<Item = Setup>) -> ExitCode {
    let setups: Vec<Setup> = setups.into_iter().collect();
    if let Some(outcome) = held_as_child(&setups) {
        return outcome.map_or_else(failure, |()| ExitCode::SUCCESS);
    }
    let trials = trials(setups);
    if trials.is_empty() {
        return failure("the conformance suite was given no setup to run on");
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Returns the outcome of [`holder::hold`] if this process is a child that a case started to hold a mutex.
fn held_as_child(setups: &[Setup]) -> Option<Outcome> {
    let (setup, key) = holder::asked_as_child()?;
    let found = setups.iter().find(|known| known.name() == setup);
    let missing = || Stop::failed(format!("expected a setup named {setup:?} in the child process too"));
    Some(found.ok_or_else(missing).and_then(|setup| holder::hold(&*setup.backend()?, &key)))
}

#[allow(clippy::needless_pass_by_value, reason = "so that it can be given to a combinator")]
fn failure(error: impl Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Returns the cases on all `setups` as trials, for a harness with other tests.
pub fn trials(setups: impl IntoIterator<Item = Setup>) -> Vec<Trial> {
    setups.into_iter().flat_map(|setup| trials_of(&setup)).collect()
}

const NOT_A_SUBJECT: &str = "backend_stores_values";

fn trials_of(setup: &Setup) -> Vec<Trial> {
    if setup.why_ignored().is_none()
        && let Err(stop) = subject(setup)
    {
        let name = format!("{}::{}::{NOT_A_SUBJECT}", setup.name(), Level::Store);
        return vec![Trial::test(name, move || Err(Failed::from(stop.to_string())))];
    }
    CASES.iter().map(|case| trial(case, setup.clone())).collect()
}

fn trial(case: &'static Case, setup: Setup) -> Trial {
    Trial::ignorable_test(format!("{}::{}::{}", setup.name(), case.level, case.name), move || {
        if let Some(why) = setup.why_ignored() {
            return Ok(Completion::ignored_with(why));
        }
        match bounded(case, &setup) {
            Ok(()) => Ok(Completion::Completed),
            Err(Stop::Skipped(reason)) => Ok(Completion::ignored_with(reason)),
            Err(Stop::Failed(message)) => Err(message.into()),
        }
    })
}

/// Fails for a backend that stores nothing. A backend that cannot be built fails in the cases instead.
fn subject(setup: &Setup) -> Outcome {
    match setup.backend() {
        Ok(backend) if !backend.capabilities().stores => Err(Stop::failed(format!(
            "setup {:?} has a backend that keeps nothing (`capabilities().stores` is false); the suite is for \
             backends that keep values, so leave it out",
            setup.name()
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Runs `case` within the time limit, if the backend claims its level.
///
/// The case runs on its own thread, so that a call that blocks forever does not block the suite.
fn bounded(case: &'static Case, setup: &Setup) -> Outcome {
    // At its end, a frozen store replies again, even if the case has not ended.
    let _access = access(case.level, setup);
    let (ended, end) = mpsc::channel();
    let subject = setup.clone();
    thread::spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            case.level.claimed(&subject)?;
            (case.run)(&subject)
        }));
        // The receiver is gone if the case exceeded its time limit.
        let _ = ended.send(outcome.unwrap_or_else(|panic| Err(panicked(&*panic))));
    });
    let limit = time_limit(case.level, setup);
    end.recv_timeout(limit).unwrap_or_else(|_| {
        Err(Stop::failed(format!("expected the case to end within {limit:?}, it still runs")))
    })
}

/// Waits until no other case freezes the store, and for the level `frozen`, until no other case uses it.
fn access(level: Level, setup: &Setup) -> Option<Access<'_>> {
    let freezer = setup.freezer().ok()?;
    Some(if level == Level::Frozen { freezer.exclusive() } else { freezer.shared() })
}

/// Returns the time limit of a case of `level`. A case that waits for leases, or for a frozen store, has a longer one.
fn time_limit(level: Level, setup: &Setup) -> Duration {
    let unit = match level {
        Level::Lease => setup.lease().map(|lease| lease.length).ok(),
        Level::Frozen => setup.freezer().map(|freezer| freezer.bound + setup.recovery()).ok(),
        _ => None,
    };
    setup.time_limit().saturating_add(unit.unwrap_or_default().saturating_mul(6))
}

fn panicked(panic: &(dyn Any + Send)) -> Stop {
    Stop::failed(format!("expected no panic, got: {}", panic_text(panic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_function_of_a_case_module_is_listed() {
        let sources = [
            include_str!("asynchronous.rs"),
            include_str!("asynchronous_mutex.rs"),
            include_str!("asynchronous_options.rs"),
            include_str!("bad_input.rs"),
            include_str!("capabilities.rs"),
            include_str!("concurrency.rs"),
            include_str!("containment.rs"),
            include_str!("expiry.rs"),
            include_str!("fencing.rs"),
            include_str!("forms.rs"),
            include_str!("frozen.rs"),
            include_str!("lease.rs"),
            include_str!("lease_store.rs"),
            include_str!("metadata.rs"),
            include_str!("multi.rs"),
            include_str!("mutex.rs"),
            include_str!("proxied.rs"),
            include_str!("store.rs"),
        ];
        let written: usize = sources.map(|source| source.matches("\npub fn ").count()).iter().sum();
        assert_eq!(CASES.len(), written);
    }
}
