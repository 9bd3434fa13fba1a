//! What callers get if something fails.

use super::backend::Creators;
use super::case::Case;
use super::lifetimes::shown;
use super::settings::{OnStale, Settings};

/// Returns what callers get if something fails.
pub(super) fn failures(settings: &Settings) -> Vec<Case> {
    let mut cases = vec![creator_fails(settings)];
    cases.extend(creator_is_slow(settings));
    cases.extend(backend_fails(settings));
    cases.extend(mutex_fails(settings));
    cases
}

fn creator_fails(settings: &Settings) -> Case {
    let without_old = match settings.shares_failures {
        true => "its caller gets the error, and so do all that wait for it.",
        false => "its caller gets the error. The next caller creates, one at a time.",
    };
    let what = match settings.fail_safe {
        Some(safe) => format!(
            "callers get the old value if it is at most {} old, and the creator is not called again for {}. Without \
             such a value, {without_old}",
            shown(safe.max_age),
            shown(safe.throttle)
        ),
        None if settings.stale_callers_wait() => without_old.to_owned(),
        None => format!("{without_old} Other callers with a stale value get that value."),
    };
    Case::new("the creator fails", what)
}

fn creator_is_slow(settings: &Settings) -> Vec<Case> {
    let timeout = settings.creator_timeout;
    let old = if settings.fail_safe.is_some() { " or, if there is one, the old value" } else { "" };
    let soft = timeout.soft.map(|soft| {
        let what = "a caller with a stale value gets that value.";
        Case::new(format!("creating for {}", shown(soft)), what)
    });
    let hard = timeout.hard.map(|hard| {
        let what = format!(
            "all callers get an error{old}. The creation goes on if the creator owns what it uses. A blocking creator \
             that does not is not interrupted."
        );
        Case::new(format!("creating for {}", shown(hard)), what)
    });
    let stale = match settings.stale {
        OnStale::Serve | OnStale::ServeAll => "Callers with a stale value do not wait.",
        OnStale::Wait => "Callers with a stale value wait too.",
        OnStale::WaitAtMost(_) => "Callers with a stale value get it after their wait.",
    };
    let none =
        || Case::new("the creator is slow", format!("its caller waits for it without a limit. {stale}"));
    let mut cases: Vec<_> = soft.into_iter().chain(hard).collect();
    if cases.is_empty() {
        cases.push(none());
    }
    cases
}

fn backend_fails(settings: &Settings) -> Vec<Case> {
    let read = match settings {
        Settings { degrades: true, .. } => {
            "the key counts as missing. One caller of each process creates it, and its value is shared within the \
             process for up to 1s."
        }
        Settings { hides_outages: true, .. } => {
            "while a server is down, its keys are missing: they are created, and not stored."
        }
        _ => "the call returns the error.",
    };
    let delete = match settings.degrades {
        true => {
            "it succeeds: the key is missing for this process, and is deleted as soon as the backend works again."
        }
        false => "the call returns the error.",
    };
    let mut cases = vec![
        Case::new("a read fails", read),
        Case::new(
            "a store fails",
            "the created value is returned to all that wait for it, and is not stored.",
        ),
        Case::new("a delete fails", delete),
    ];
    if let Some(breaker) = settings.breaker {
        let open_for = shown(breaker.open_for);
        cases.push(Case::new(
            format!("{} calls fail", breaker.failures),
            format!(
                "in a row: the backend is not called for {open_for}, so that calls fail at once. Then one call tries it."
            ),
        ));
    }
    cases
}

fn mutex_fails(settings: &Settings) -> Vec<Case> {
    let mut cases = Vec::new();
    if settings.creators != Creators::OfAProcess {
        let what = match settings.degrades {
            true => "one caller of each process creates.",
            false => "a caller with a stale value gets that value. The others get the error, all at once.",
        };
        cases.push(Case::new("the mutex fails", what));
    }
    if settings.locks_can_be_lost() {
        cases.push(Case::new(
            "the lock is lost",
            "the created value is returned, but not stored: another creator may have stored a newer one.",
        ));
    }
    cases
}

impl Settings {
    /// Returns whether callers with a stale value wait for the new one.
    fn stale_callers_wait(&self) -> bool {
        matches!(self.stale, OnStale::Wait | OnStale::WaitAtMost(_))
    }
}
