//! What callers get if something fails.

use super::case::Case;
use super::settings::{Creators, Settings};

/// Returns what callers get if something fails.
pub(super) fn failures(settings: &Settings) -> Vec<Case> {
    let mut cases = vec![creator_fails(settings), creator_is_slow(settings)];
    cases.extend(backend_fails(settings));
    cases
}

fn creator_fails(settings: &Settings) -> Case {
    let what = if settings.shares_failures {
        "its caller gets the error, and so do all that wait for it. Callers with a stale value get that value."
    } else {
        "its caller gets the error. The next caller creates, one at a time. Meanwhile, callers with a stale value get \
         that value."
    };
    Case::new("the creator fails", what)
}

fn creator_is_slow(_settings: &Settings) -> Case {
    Case::new(
        "the creator is slow",
        "its caller waits for it without a limit. Callers with a stale value do not wait.",
    )
}

fn backend_fails(settings: &Settings) -> Vec<Case> {
    let read = if settings.hides_outages {
        "while a server is down, its keys are missing: they are created, and not stored. Only delete returns an error."
    } else {
        "the call returns the error."
    };
    let mut cases = vec![
        Case::new("a read fails", read),
        Case::new(
            "a store fails",
            "the created value is returned to all that wait for it, and is not stored.",
        ),
    ];
    if settings.creators != Creators::OfAProcess {
        cases.push(Case::new(
            "the mutex fails",
            "a caller with a stale value gets that value. The others get the error, all at once.",
        ));
    }
    if settings.locks_can_be_lost() {
        cases.push(Case::new(
            "the lock is lost",
            "the created value is returned, but not stored: another creator may have stored a newer one.",
        ));
    }
    cases
}
