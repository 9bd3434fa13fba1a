//! [`Expiration`]: the age past which a region calls a value stale.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};

/// The age past which a region calls a value stale. It lives in the region, not with the value: the store may
/// drop a value sooner.
///
/// In a configuration it is a number of seconds (`300`, `0.5`), a text such as `"5m"` or `"1day 8h"`, or `-1` for
/// never, as in dogpile.cache.
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
pub enum Expiration {
    /// Stale when older than this.
    After(Duration),
    /// Never stale by age.
    Never,
}

/// Why something is no expiration time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given} is no expiration time; give a number of seconds from 0 up, a text such as \"5m\", or -1 for never"
)]
pub struct InvalidExpiration {
    given: String,
}

impl Expiration {
    /// The limit, if there is one.
    pub(crate) fn limit(self) -> Option<Duration> {
        match self {
            Expiration::After(limit) => Some(limit),
            Expiration::Never => None,
        }
    }

    /// `seconds`, with -1 for never.
    ///
    /// # Errors
    /// If it is another negative number, not a number, or more than a `Duration` holds.
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

impl std::str::FromStr for Expiration {
    type Err = InvalidExpiration;

    fn from_str(text: &str) -> Result<Self, InvalidExpiration> {
        let text = text.trim();
        if let Ok(seconds) = text.parse::<f64>() {
            return Expiration::from_seconds(seconds);
        }
        let limit = humantime::parse_duration(text);
        limit.map(Expiration::After).map_err(|_| InvalidExpiration { given: format!("{text:?}") })
    }
}

impl fmt::Display for Expiration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expiration::After(limit) => humantime::format_duration(*limit).fmt(f),
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
        f.write_str("an expiration time: a number of seconds, a text such as \"5m\", or -1 for never")
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
    fn what_is_no_expiration_time_is_refused() {
        for seconds in [-2.0, -0.5, f64::NAN, f64::INFINITY, 1e300] {
            assert!(Expiration::from_seconds(seconds).is_err(), "{seconds}");
        }
        for text in ["", "one hour", "-5", "nan", "5 parsecs"] {
            assert!(text.parse::<Expiration>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_give() {
        assert_eq!(
            "one hour".parse::<Expiration>().unwrap_err().to_string(),
            "\"one hour\" is no expiration time; give a number of seconds from 0 up, a text such as \"5m\", or -1 for never"
        );
    }

    #[test]
    fn parts_of_a_second_are_kept() {
        assert_eq!("0.9".parse(), Ok(Expiration::After(Duration::from_millis(900))));
    }
}
