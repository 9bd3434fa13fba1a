//! [`Outcome`]: how a call with a creator got its value.

use std::fmt;
use std::time::Duration;

/// How a call with a creator got the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// A fresh value was found.
    Fresh,
    /// A stale value was found. Another caller, or a runner, creates the new one, or the creator was too slow.
    Stale,
    /// The call's own creator made the value.
    Created,
    /// Another caller made the value while this call waited for it.
    Waited,
    /// An old value was served because a creator failed or was too slow. See [`FailSafe`](crate::FailSafe).
    FailSafe,
    /// The backend failed, and the call went on without it. See [`OnBackendFailure`](crate::OnBackendFailure).
    Degraded,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Outcome; 6] = [
        Outcome::Fresh,
        Outcome::Stale,
        Outcome::Created,
        Outcome::Waited,
        Outcome::FailSafe,
        Outcome::Degraded,
    ];

    /// Returns the outcome's name in metrics and logs, such as `fail_safe`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Fresh => "fresh",
            Outcome::Stale => "stale",
            Outcome::Created => "created",
            Outcome::Waited => "waited",
            Outcome::FailSafe => "fail_safe",
            Outcome::Degraded => "degraded",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value, and how a call got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served<T> {
    /// The value.
    pub value: T,
    /// How the call got the value.
    pub outcome: Outcome,
    /// The time since the value was created.
    ///
    /// It is zero for a value that was created during the call.
    pub age: Duration,
    /// Whether the call's own creator made the value, and the value was stored.
    ///
    /// A created value is not stored if its creator declined that, if its key was set or deleted meanwhile, if the lock of its
    /// creator expired, if it cannot be serialized, or if the backend failed.
    pub is_stored: bool,
}
