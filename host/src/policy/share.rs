//! [`Share`]: a part of a whole, written as `0.1` or `"10%"`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A part of a whole, from 0 to 1. In a configuration, it is a number (`0.1`) or a percentage (`"10%"`).
///
/// ```
/// use dogpile::Share;
///
/// assert_eq!("10%".parse::<Share>(), Share::new(0.1));
/// assert_eq!(Share::percent(80).of_one(), 0.8);
/// assert!(Share::new(1.5).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

/// The error for an invalid share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid share {given}: expected a number from 0 to 1 or a percentage such as \"10%\"")]
pub struct InvalidShare {
    given: String,
}

impl Share {
    /// The whole.
    pub(crate) const ALL: Share = Share(1.0);

    /// Creates a share from a number from 0 to 1.
    ///
    /// # Errors
    /// If `share` is outside of that range or not a number.
    pub fn new(share: f64) -> Result<Self, InvalidShare> {
        if (0.0..=1.0).contains(&share) {
            Ok(Share(share))
        } else {
            Err(InvalidShare { given: share.to_string() })
        }
    }

    /// Creates a share from a percentage. More than 100 counts as 100.
    pub const fn percent(percent: u8) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        Share(percent as f64 / 100.0)
    }

    /// Returns the share as a number from 0 to 1.
    pub fn of_one(self) -> f64 {
        self.0
    }
}

impl std::str::FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let invalid = || InvalidShare { given: format!("{text:?}") };
        let trimmed = text.trim();
        let (number, whole) =
            trimmed.strip_suffix('%').map_or((trimmed, 1.0), |number| (number.trim_end(), 100.0));
        let number: f64 = number.parse().map_err(|_| invalid())?;
        Share::new(number / whole).map_err(|_| invalid())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0 * 100.0)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShareVisitor)
    }
}

struct ShareVisitor;

impl Visitor<'_> for ShareVisitor {
    type Value = Share;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share: a number from 0 to 1 or a percentage such as \"10%\"")
    }

    fn visit_f64<E: de::Error>(self, share: f64) -> Result<Share, E> {
        Share::new(share).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, share: i64) -> Result<Share, E> {
        self.visit_f64(share as f64)
    }

    fn visit_u64<E: de::Error>(self, share: u64) -> Result<Share, E> {
        self.visit_f64(share as f64)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_shares_are_rejected() {
        for text in ["", "%", "ten", "101%", "-1%", "1.5", "nan", "5s"] {
            let error = text.parse::<Share>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid share {text:?}: ")), "{error}");
        }
        assert!(Share::new(f64::NAN).is_err());
    }
}
