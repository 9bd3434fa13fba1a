//! Backends of a server that stops replying, with one planted bug each. Exactly the case that tests the behavior fails.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

#[path = "planted_frozen/client.rs"]
mod client;
#[path = "planted/search.rs"]
mod search;
#[path = "planted_frozen/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use dogpile_conformance::{Level, Setup, report_of};

use self::client::{Client, Locks};
use self::search::{Found, Search};
use self::server::Server;

/// The bug of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    Nothing,
    WaitsForeverToDelete,
    TriesTwice,
    ReadsOneAfterAnother,
    WaitsForeverForLocked,
    AcquiresPastItsDeadline,
    AcquiresPastItsDeadlineInTheLeaseStore,
    KeepsItsCallerWaiting,
    NeverCompletes,
    TakesLateReplies,
    FailsOnceMore,
    ForgetsLateLocks,
}

use Bug::*;

/// Each bug with the names of the cases that find it, and a part of the first one's message.
const FOUND: &[Found<Bug>] = &[
    (WaitsForeverToDelete, &["calls_to_a_frozen_store_end_in_time"], "expected the case to end within"),
    (
        TriesTwice,
        &["calls_to_a_frozen_store_end_in_time"],
        "expected get_multi() of a frozen store to end within 2.2s",
    ),
    (
        ReadsOneAfterAnother,
        &["threads_on_a_frozen_store_do_not_wait_in_turn"],
        "expected get() of a frozen store to end within 2.2s",
    ),
    (
        WaitsForeverForLocked,
        &["mutex_calls_to_a_frozen_store_end_in_time"],
        "expected the case to end within",
    ),
    (
        AcquiresPastItsDeadline,
        &["acquire_until_of_a_frozen_store_ends_by_its_deadline"],
        "expected acquire_until() of a frozen store to end within 975ms",
    ),
    (
        AcquiresPastItsDeadlineInTheLeaseStore,
        &["lease_store_calls_to_a_frozen_store_end_in_time"],
        "expected acquire() of a frozen store to end within 975ms",
    ),
    (
        KeepsItsCallerWaiting,
        &["begun_calls_to_a_frozen_store_complete_in_time"],
        "expected begin_set() of a frozen store to return at once",
    ),
    (
        NeverCompletes,
        &["begun_calls_to_a_frozen_store_complete_in_time"],
        "expected begin_delete() of a frozen store to complete within 2.2s",
    ),
    (TakesLateReplies, &["first_calls_after_a_thaw_succeed"], "got an object of"),
    (FailsOnceMore, &["first_calls_after_a_thaw_succeed"], "the connection is broken"),
    (ForgetsLateLocks, &["mutex_works_after_a_thaw"], "whose acquisition failed to be free"),
];

/// The time that one exchange may take.
const TIMEOUT: Duration = Duration::from_millis(1_200);

/// The time that a call may take: an exchange, and less than a second one.
const BOUND: Duration = Duration::from_millis(2_200);

fn setup(bug: Bug) -> Setup {
    let server = Arc::new(Server::new(bug));
    let (locks, stopped, continued) = (Arc::clone(&server), Arc::clone(&server), Arc::clone(&server));
    let locks_bug =
        if bug == AcquiresPastItsDeadlineInTheLeaseStore { AcquiresPastItsDeadline } else { Nothing };
    let setup = Setup::new(format!("{bug:?}"), move || Ok(Arc::new(Client::new(bug, Arc::clone(&server)))));
    let setup =
        setup.with_lease_store(move || Ok(Arc::new(Locks { bug: locks_bug, server: Arc::clone(&locks) })));
    let setup = setup.freezable(BOUND, move || stopped.freeze(), move || continued.thaw());
    match bug {
        Nothing => setup,
        // Some of them fail by this limit, which is longer by six bounds.
        _ => setup.with_time_limit(Duration::from_secs(2)),
    }
}

#[test]
fn backend_without_a_bug_passes_every_level() {
    // The leases of this server do not end, so that the level `lease_store` does not apply.
    for level in Level::ALL.into_iter().filter(|level| *level != Level::LeaseStore) {
        let report = report_of(level, &setup(Nothing));
        assert!(report.failed() == 0, "{:?}", report.cases);
        assert!(level != Level::Frozen || report.skipped() == 0, "{:?}", report.cases);
    }
}

/// A case that fails also leaves the store usable for the next ones, although its call may still wait.
#[test]
fn planted_bug_is_found_by_its_case_alone() {
    let search = Search { setup, in_all_levels: false, by_these_alone: true, side_by_side: true };
    search.finds(FOUND);
}
