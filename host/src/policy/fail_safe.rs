//! [`FailSafe`]: when an old value is served because its creator fails.

use std::time::Duration;

use dogpile_sdk::seconds;
use serde::Deserialize;

/// For how long after a failure a creator is not called again by default.
const THROTTLE: Duration = Duration::from_secs(1);

/// When an old value is served instead of a failure.
///
/// Failures are those of its creator, its timeout, and those of the backend's mutex. In a configuration, it is a table such as
/// `{ max_age = "1d", throttle = "1s" }`.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::{CacheRegion, FailSafe, RegionConfig};
///
/// let region = CacheRegion::new("rates");
/// let day = FailSafe::new(Duration::from_secs(86_400));
/// region.configure(RegionConfig::new("dogpile.cache.memory").expiration_time(60).fail_safe(day))?;
/// # Ok::<(), dogpile::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { max_age = \"1d\", throttle = \"1s\" }")]
#[non_exhaustive]
pub struct FailSafe {
    /// The age up to which an old value is served, counted from its creation. Zero turns fail-safe off. Required.
    #[serde(with = "seconds")]
    pub max_age: Duration,
    /// The time after a failure without further calls of the creator. Calls of the key in this process get the old
    /// value. Default: one second.
    #[serde(default = "default_throttle", with = "seconds")]
    pub throttle: Duration,
}

fn default_throttle() -> Duration {
    THROTTLE
}

impl FailSafe {
    /// Old values are never served because of a failure.
    pub const OFF: FailSafe = FailSafe { max_age: Duration::ZERO, throttle: THROTTLE };

    /// Creates a fail-safe for values up to the age `max_age`. Its throttle is one second.
    pub const fn new(max_age: Duration) -> Self {
        FailSafe { max_age, throttle: THROTTLE }
    }

    /// Sets for how long after a failure the creator is not called again.
    #[must_use]
    pub const fn throttle(mut self, throttle: Duration) -> Self {
        self.throttle = throttle;
        self
    }

    /// Returns whether old values may be served at all.
    pub(crate) fn is_on(self) -> bool {
        !self.max_age.is_zero()
    }
}
