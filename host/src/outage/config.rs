//! [`BreakerConfig`]: when the breaker of a backend opens.

use std::time::Duration;

use dogpile_sdk::seconds;
use serde::Deserialize;

/// When the breaker of a backend opens, and for how long.
///
/// While it is open, calls of the backend fail at once. A backend that is down then costs them no time.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::BreakerConfig;
///
/// let breaker = BreakerConfig::default();
/// assert_eq!((breaker.failures, breaker.open_for), (5, Duration::from_secs(1)));
/// let patient = BreakerConfig::default().failures(20).open_for(Duration::from_millis(500));
/// assert_eq!(patient.failures, 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// The number of failed calls in a row that opens the breaker. Default: 5.
    pub failures: u32,
    /// How long the breaker stays open before one call probes the backend. Default: 1 second.
    #[serde(with = "seconds")]
    pub open_for: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        BreakerConfig { failures: 5, open_for: Duration::from_secs(1) }
    }
}

impl BreakerConfig {
    /// Sets the number of failed calls in a row that opens the breaker. Default: 5.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// Sets how long the breaker stays open before one call probes the backend. Default: 1 second.
    #[must_use]
    pub fn open_for(mut self, open_for: Duration) -> Self {
        self.open_for = open_for;
        self
    }

    /// Returns what is wrong with the values, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        let longest = Duration::from_secs(3600);
        if self.failures == 0 {
            Some("invalid \"failures\" of the breaker: 0; give at least 1".to_owned())
        } else if self.open_for.is_zero() || self.open_for > longest {
            let given = self.open_for;
            Some(format!(
                "invalid \"open_for\" of the breaker: {given:?}; give more than 0 and at most 1 hour"
            ))
        } else {
            None
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn invalid_values_are_problems() {
        let default = BreakerConfig::default();
        assert_eq!(default.problem(), None);
        for wrong in [
            default.failures(0),
            default.open_for(Duration::ZERO),
            default.open_for(Duration::from_secs(3601)),
        ] {
            assert!(wrong.problem().is_some(), "{wrong:?}");
        }
    }
}
