//! [`CreatorTimeout`]: how long callers wait for a creator.

use std::time::Duration;

use dogpile_sdk::seconds;
use serde::Deserialize;

/// The longest time of a call, counted from when it found no fresh value. In a configuration, it is a table such as
/// `{ soft = "500ms", hard = "10s" }`.
///
/// After either limit, the creation goes on if its creator owns what it uses: with
/// [`background`](crate::CallOptions::background) and a runner, or with [`detach`](crate::CallOptions::detach). It keeps its
/// lock, and its value is stored. With any other creator, `hard` ends an asynchronous call and its creator, and a
/// synchronous call is not interrupted. Callers that wait for another caller's creator always keep their own limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table such as { soft = \"500ms\", hard = \"10s\" }")]
#[non_exhaustive]
pub struct CreatorTimeout {
    /// The time after which a caller with a stale value gets that value. Default: none.
    #[serde(with = "seconds")]
    pub soft: Option<Duration>,
    /// The time after which a caller gets [`RegionError::CreatorTimedOut`](crate::RegionError::CreatorTimedOut) or, with
    /// [fail-safe](crate::FailSafe), the old value. Default: none.
    #[serde(with = "seconds")]
    pub hard: Option<Duration>,
}

impl CreatorTimeout {
    /// No limits.
    pub const OFF: CreatorTimeout = CreatorTimeout { soft: None, hard: None };

    /// Sets the time after which a caller with a stale value gets that value.
    #[must_use]
    pub const fn soft(mut self, limit: Duration) -> Self {
        self.soft = Some(limit);
        self
    }

    /// Sets the time after which a caller gets an error. With fail-safe, it gets the old value instead.
    #[must_use]
    pub const fn hard(mut self, limit: Duration) -> Self {
        self.hard = Some(limit);
        self
    }
}
