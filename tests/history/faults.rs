//! Faults that are planted on purpose: the workload must find each.
//!
//! A fault counts as found when the checker reports a violation of its rule. The region that it is planted in may have
//! faults of its own, which are reported by the trials of `regions.rs`.

#[path = "faults/backends.rs"]
mod backends;
#[path = "faults/strategies.rs"]
mod strategies;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use dogpile::RegionConfig;
use dogpile_tests::threads::{LIMIT, Signal};
use libtest_mimic::{Failed, Trial};

use self::backends::{CreatesSideBySide, Forgetful, Frozen, Replaying, Swapped};
use self::strategies::{EqualTimesAreValid, SoftReplacesHard};
use super::checker::{Rule, violations};
use super::regions::run;
use super::subjects::{CoarseClock, Subject, paused};

/// Returns one trial for each fault.
pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name, rule, config: fn() -> RegionConfig| {
        Trial::test(format!("fault_is_found::{name}"), move || find(&Subject::new(name, config), rule, LIMIT))
    };
    vec![
        trial("creation_stored_after_a_write", Rule::Superseded, || memory().wrap_in(Replaying::new)),
        trial("creation_after_a_delete_discarded", Rule::Lost, || memory().wrap_in(Forgetful::new)),
        trial("soft_invalidation_replaces_a_hard_one", Rule::Weakened, || {
            memory().region_invalidator(Arc::new(SoftReplacesHard::default()))
        }),
        trial("value_of_the_invalidations_time_is_valid", Rule::Invalidated, || {
            memory().region_invalidator(Arc::new(EqualTimesAreValid::default())).clock(Arc::new(CoarseClock))
        }),
        trial("creators_side_by_side", Rule::Exclusion, || memory().wrap_in(CreatesSideBySide)),
        trial("value_of_another_key", Rule::Origin, || memory().wrap_in(Swapped)),
        Trial::test("fault_is_found::call_that_hangs", call_that_hangs),
    ]
}

fn memory() -> RegionConfig {
    paused("dogpile.cache.memory")
}

/// Waits for at most `limit` until a round hangs.
fn call_that_hangs() -> Result<(), Failed> {
    let thaw = Signal::default();
    let until = thaw.clone();
    let config = move || {
        let until = until.clone();
        memory().wrap_in(move |backend| Frozen::new(backend, until.clone()))
    };
    let found = find(&Subject::new("frozen", config), Rule::Hang, Duration::from_secs(2));
    thaw.give();
    found
}

/// Performs rounds until one violates `rule`. A call hangs if it takes longer than `limit`.
fn find(subject: &Subject, rule: Rule, limit: Duration) -> Result<(), Failed> {
    let run = run(subject, limit);
    let found = run.rounds(LIMIT, |_, history| {
        let found = violations(history).into_iter().any(|violation| violation.rule == rule);
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match found {
        ControlFlow::Break(()) => Ok(()),
        ControlFlow::Continue(()) => {
            Err(format!("DOGPILE_TESTS_SEED={}: no violation of {rule:?} within {LIMIT:?}", run.seed).into())
        }
    }
}
