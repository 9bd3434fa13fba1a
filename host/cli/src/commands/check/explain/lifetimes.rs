//! What callers get of a value that ages, and if there is none.

use std::time::Duration;

use dogpile::sdk::seconds;

use super::case::Case;
use super::settings::{Creators, ServerExpiry, Settings};

/// Returns what callers get of a value, by its age.
pub(super) fn by_age(settings: &Settings) -> Vec<Case> {
    let mut cases = Vec::new();
    match settings.expiration_time {
        None => cases.push(Case::new(
            "any age",
            "fresh: all callers get it, until the region is invalidated or the key is deleted.",
        )),
        Some(age) => {
            cases.push(Case::new(format!("up to {}", shown(age)), "fresh: all callers get it."));
            cases.push(Case::new(
                format!("past {}", shown(age)),
                "stale: one caller creates a new value. The others get this one meanwhile.",
            ));
        }
    }
    cases.push(Case::new(
        "invalidated",
        "invalidate: it counts as missing. invalidate_soft: it is stale, whatever its age.",
    ));
    cases.extend(kept(settings));
    cases
}

/// Returns how long the store keeps a value.
fn kept(settings: &Settings) -> Option<Case> {
    match settings.server_expiry {
        ServerExpiry::NoServer => None,
        ServerExpiry::After(age) => Some(Case::new(format!("after {}", shown(age)), "the server drops it.")),
        ServerExpiry::Never { argument } => Some(Case::new(
            "on the server",
            format!("never dropped, except for lack of memory: \"{argument}\" is not set."),
        )),
    }
}

/// Returns what callers get if there is no value.
pub(super) fn missing(settings: &Settings) -> Vec<Case> {
    let one = match settings.creators {
        Creators::OfAProcess => {
            "one caller of each process creates it, and the others of its process wait for it."
        }
        Creators::OfAllProcesses => "one caller of all processes creates it, and the others wait for it.",
        Creators::Unknown => {
            "one caller creates it, and the others wait for it: those of all processes if the backend has mutexes, \
             and otherwise those of its process."
        }
    };
    let limit = shown(settings.creation_wait_timeout);
    vec![
        Case::new("no value", one),
        Case::new(
            format!("waited for {limit}"),
            "a caller that waits for others gets an error, or the old value if it found a stale one.",
        ),
    ]
}

/// Returns `time` as a configuration would have it.
pub(super) fn shown(time: Duration) -> String {
    seconds::display(time).to_string()
}
