//! [`Event`]: something that happened in a region.

use std::fmt;
use std::time::Duration;

use dogpile_sdk::BackendError;

use crate::outage::BreakerState;

/// Something that happened in a region, for an [`Observer`](crate::Observer).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The name of the region.
    pub region: &'a str,
    /// The keys that it concerns, as the caller gave them. Events of the backend have none.
    pub keys: &'a [&'a str],
    /// What happened.
    pub kind: EventKind<'a>,
}

impl<'a> Event<'a> {
    pub(super) fn new(region: &'a str, keys: &'a [&'a str], kind: EventKind<'a>) -> Self {
        Event { region, keys, kind }
    }
}

/// What happened in a region.
///
/// **Endings.** Each key of each call that reads ends with exactly one of these: `Hit`, `StaleServed`, `Created`, `Waited`,
/// `FailSafe`, `Degraded`, `Miss`, `Failed`, `TimedOut`, or `Canceled`. A `get_or_create_multi` counts each key once, even if
/// it was given twice. All other kinds report a step, in addition.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// Ending: a fresh value was returned. Observers get it only if [`wants_hits`](crate::Observer::wants_hits) is true.
    Hit,
    /// Ending: a stale value was returned while another caller or a runner creates, or because the creator was too slow.
    StaleServed,
    /// Ending: the call's own creator made the value.
    Created,
    /// Ending: the value came from another caller, for which this call waited.
    Waited,
    /// Ending: an old value was returned because a creator failed or was too slow.
    FailSafe,
    /// Ending: the backend failed, and the call went on without it.
    Degraded,
    /// Ending: a `get` found no value that it may return.
    Miss,
    /// Ending: the call returned an error.
    Failed {
        /// The error. Its alternate form, `{:#}`, includes the causes.
        error: &'a dyn fmt::Display,
    },
    /// Ending: the call returned an error because a creator, or the wait for one, took too long.
    TimedOut {
        /// The error. Its alternate form, `{:#}`, includes the causes.
        error: &'a dyn fmt::Display,
    },
    /// Ending: the call was dropped, or it panicked.
    Canceled,

    /// A creator returned or panicked. One event for each call of a creator, which may make several keys.
    Creation {
        /// How long the creator ran.
        took: Duration,
        /// Whether it returned values.
        succeeded: bool,
    },
    /// A caller waited for another caller of this process, whatever came of it.
    Wait {
        /// How long it waited.
        took: Duration,
    },
    /// A fresh value is created again, because it is due for an early refresh.
    Early,
    /// A created value was not stored, because its key was set or deleted during the creation.
    Superseded,
    /// A created value was not stored, because the lock of its creator had expired.
    LeaseLost,
    /// A created value was not stored, because the backend failed or rejected it.
    NotStored,
    /// A created value was not stored, because it cannot be serialized.
    NotSerialized,
    /// A call of the backend ended. A successful call of a backend that never blocks is not reported.
    BackendCall {
        /// The entry point of the backend, or the first word of an instance's debug form.
        backend: &'a str,
        /// The operation, such as `get_multi`.
        operation: &'static str,
        /// How long the call took, or `None` if it was not timed.
        took: Option<Duration>,
        /// Why it failed, if it failed.
        error: Option<&'a BackendError>,
    },
    /// The breaker of the backend opened, closed, or stayed open after a probe failed.
    ///
    /// It is also reported when a region is configured over a backend whose breaker is not closed.
    Breaker {
        /// The entry point of the backend, or the first word of an instance's debug form.
        backend: &'a str,
        /// The new state.
        state: BreakerState,
    },
}

impl EventKind<'_> {
    /// Returns the name of the kind in metrics and logs, such as `stale_served`.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::Hit => "hit",
            EventKind::StaleServed => "stale_served",
            EventKind::Created => "created",
            EventKind::Waited => "waited",
            EventKind::FailSafe => "fail_safe",
            EventKind::Degraded => "degraded",
            EventKind::Miss => "miss",
            EventKind::Failed { .. } => "failed",
            EventKind::TimedOut { .. } => "timed_out",
            EventKind::Canceled => "canceled",
            EventKind::Creation { .. } => "creation",
            EventKind::Wait { .. } => "wait",
            EventKind::Early => "early",
            EventKind::Superseded => "superseded",
            EventKind::LeaseLost => "lease_lost",
            EventKind::NotStored => "not_stored",
            EventKind::NotSerialized => "not_serialized",
            EventKind::BackendCall { .. } => "backend_call",
            EventKind::Breaker { .. } => "breaker",
        }
    }

    /// Returns whether this is the ending of a key. See [the list](EventKind).
    pub fn is_ending(&self) -> bool {
        matches!(
            self,
            EventKind::Hit
                | EventKind::StaleServed
                | EventKind::Created
                | EventKind::Waited
                | EventKind::FailSafe
                | EventKind::Degraded
                | EventKind::Miss
                | EventKind::Failed { .. }
                | EventKind::TimedOut { .. }
                | EventKind::Canceled
        )
    }
}

impl fmt::Debug for EventKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(self.name());
        match self {
            EventKind::Failed { error } | EventKind::TimedOut { error } => {
                shown.field("error", &format_args!("{error:#}"));
            }
            EventKind::Creation { took, succeeded } => {
                shown.field("took", took).field("succeeded", succeeded);
            }
            EventKind::Wait { took } => {
                shown.field("took", took);
            }
            EventKind::BackendCall { backend, operation, took, error } => {
                shown.field("backend", backend).field("operation", operation);
                shown.field("took", took).field("error", error);
            }
            EventKind::Breaker { backend, state } => {
                shown.field("backend", backend).field("state", state);
            }
            _ => {}
        }
        shown.finish()
    }
}
