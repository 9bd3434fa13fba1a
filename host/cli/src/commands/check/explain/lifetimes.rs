//! The results of callers for a value of each age, and for a missing value.

use std::time::Duration;

use dogpile::sdk::seconds;

use super::backend::{Creators, ServerExpiry};
use super::case::Case;
use super::settings::{OnStale, Settings};

/// Returns what callers get of a value, by its age.
pub(super) fn by_age(settings: &Settings) -> Vec<Case> {
    let mut cases = match settings.expiration_time {
        Some(limit) => stages(settings, limit),
        None => vec![Case::new(
            "any age",
            "fresh: all callers get it, until the region is invalidated or the key is deleted.",
        )],
    };
    let soft = match settings.stale {
        OnStale::Serve | OnStale::ServeAll => "it is stale, whatever its age.",
        OnStale::Wait | OnStale::WaitAtMost(_) => "it is stale, whatever its age, so that callers wait.",
    };
    cases
        .push(Case::new("invalidated", format!("invalidate: it counts as missing. invalidate_soft: {soft}")));
    cases.extend(kept(settings));
    cases
}

/// Returns the stages of a value that is stale past the age `limit`.
fn stages(settings: &Settings, limit: Duration) -> Vec<Case> {
    let mut fresh = "fresh: all callers get it.".to_owned();
    if let Some(jitter) = settings.jitter {
        let jitter = shown(jitter);
        fresh.push_str(&format!(
            " Each value is stale up to {jitter} earlier, so that not all of them expire at once."
        ));
    }
    let mut cases = vec![Case::new(format!("up to {}", shown(limit)), fresh)];
    if let Some(share) = settings.early_refresh {
        cases.push(Case::new(
            format!("past {}", shown(limit.mul_f64(share))),
            "still fresh, and one caller has a new value created. That is in the background if the creator owns what \
             it uses.",
        ));
    }
    if settings.max_stale != Some(Duration::ZERO) {
        cases.push(Case::new(format!("past {}", shown(limit)), stale(settings.stale)));
    }
    if let Some(max_stale) = settings.max_stale {
        cases.extend(too_old(settings, limit.saturating_add(max_stale)));
    }
    cases
}

fn stale(policy: OnStale) -> String {
    match policy {
        OnStale::Serve => {
            "stale: one caller creates a new value. The others get this one meanwhile.".to_owned()
        }
        OnStale::ServeAll => {
            "stale: all callers get it, and a new value is created in the background. If the creator does not own \
             what it uses, one caller creates it."
                .to_owned()
        }
        OnStale::Wait => "stale: one caller creates a new value, and the others wait for it.".to_owned(),
        OnStale::WaitAtMost(limit) => format!(
            "stale: one caller creates a new value, and the others wait for it. After {}, they get this one.",
            shown(limit)
        ),
    }
}

/// Returns the stages of a value that counts as missing from the age `limit` on.
fn too_old(settings: &Settings, limit: Duration) -> Vec<Case> {
    let when = format!("past {}", shown(limit));
    match settings.fail_safe.filter(|fail_safe| fail_safe.max_age > limit) {
        None => vec![Case::new(when, "too old: it counts as missing.")],
        Some(fail_safe) => vec![
            Case::new(when, "too old: it counts as missing, unless the creator fails or times out."),
            Case::new(format!("past {}", shown(fail_safe.max_age)), "it is never served."),
        ],
    }
}

/// Returns how long the store keeps a value.
fn kept(settings: &Settings) -> Option<Case> {
    match settings.server_expiry() {
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
