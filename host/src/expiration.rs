//! [`Expiration`]: the age past which a region calls a value stale.

use std::fmt;
use std::time::Duration;

use dogpile_sdk::seconds;
use serde::de::{self, Deserializer, Visitor};

/// The age past which a region calls a value stale.
///
/// It belongs to the region and is not stored with the value. The store may drop a value earlier. In a configuration,
/// it is a number of seconds (`300`, `0.5`), a duration such as `"5m"` or `"1day 8h"`, or `-1` for never.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::Expiration;
///
/// assert_eq!("5m".parse(), Ok(Expiration::After(Duration::from_secs(300))));
/// assert_eq!("0.5".parse(), Ok(Expiration::After(Duration::from_millis(500))));
/// assert_eq!("-1".parse(), Ok(Expiration::Never));
/// assert!("one hour".parse::<Expiration>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiration {
    /// A value is stale if it is older than this.
    After(Duration),
    /// A value never becomes stale by age.
    Never,
}

/// The error for an invalid expiration time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid expiration time {given}: expected seconds (0 or more), a duration such as \"5m\", or -1 for never"
)]
pub struct InvalidExpiration {
    given: String,
}

impl Expiration {
    /// Returns the age limit, if there is one.
    pub(crate) fn limit(self) -> Option<Duration> {
        match self {
            Expiration::After(limit) => Some(limit),
            Expiration::Never => None,
        }
    }

    /// Returns the expiration time of `seconds`; -1 means never.
    ///
    /// # Errors
    /// Returns an error for other negative numbers, for NaN, and for numbers that are too large for a `Duration`.
    pub fn from_seconds(seconds: f64) -> Result<Self, InvalidExpiration> {
        if seconds == -1.0 {
            return Ok(Expiration::Never);
        }
        let limit = Duration::try_from_secs_f64(seconds);
        limit.map(Expiration::After).map_err(|_| InvalidExpiration { given: seconds.to_string() })
    }
}

impl From<Duration> for Expiration {
    fn from(limit: Duration) -> Self {
        Expiration::After(limit)
    }
}

/// A number of seconds, as in a configuration.
///
/// ```
/// use dogpile::{CacheRegion, Expiration, RegionConfig};
///
/// let region = CacheRegion::new("prices");
/// region.configure(RegionConfig::new("dogpile.cache.memory").expiration_time(300))?;
/// assert_eq!(region.options().expiration_time(60).get_or_create("tea", || 350)?, 350);
/// assert_eq!(Expiration::from(60), "1m".parse().unwrap());
/// # Ok::<(), dogpile::RegionError>(())
/// ```
///
/// Fractions of a second are a [`Duration`] in code, and -1 is [`Expiration::Never`]: a floating-point number could be
/// invalid.
impl From<u64> for Expiration {
    fn from(seconds: u64) -> Self {
        Expiration::After(Duration::from_secs(seconds))
    }
}

impl std::str::FromStr for Expiration {
    type Err = InvalidExpiration;

    fn from_str(text: &str) -> Result<Self, InvalidExpiration> {
        let text = text.trim();
        if let Ok(seconds) = text.parse::<f64>() {
            return Expiration::from_seconds(seconds);
        }
        let limit = seconds::parse(text);
        limit.map(Expiration::After).map_err(|_| InvalidExpiration { given: format!("{text:?}") })
    }
}

impl fmt::Display for Expiration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expiration::After(limit) => seconds::display(*limit).fmt(f),
            Expiration::Never => f.write_str("never"),
        }
    }
}

impl<'de> de::Deserialize<'de> for Expiration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExpirationVisitor)
    }
}

struct ExpirationVisitor;

impl Visitor<'_> for ExpirationVisitor {
    type Value = Expiration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an expiration time: a number of seconds, a duration such as \"5m\", or -1 for never")
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Expiration, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Expiration, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Expiration, E> {
        Expiration::from_seconds(seconds).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Expiration, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_expiration_times_are_rejected() {
        for seconds in [-2.0, -0.5, f64::NAN, f64::INFINITY, 1e300] {
            assert!(Expiration::from_seconds(seconds).is_err(), "{seconds}");
        }
        for text in ["", "one hour", "-5", "nan", "5 parsecs"] {
            assert!(text.parse::<Expiration>().is_err(), "{text}");
        }
    }

    #[test]
    fn invalid_expiration_error_describes_valid_ones() {
        assert_eq!(
            "one hour".parse::<Expiration>().unwrap_err().to_string(),
            "invalid expiration time \"one hour\": expected seconds (0 or more), a duration such as \"5m\", or -1 for \
             never"
        );
    }

    #[test]
    fn fractions_of_a_second_are_kept() {
        assert_eq!("0.9".parse(), Ok(Expiration::After(Duration::from_millis(900))));
    }
}
