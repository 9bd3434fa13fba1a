//! [`Jitter`]: how much the lifetimes of values differ, so that they do not end together.

use std::fmt;
use std::time::Duration;

use dogpile_sdk::{CreationTime, seconds};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::share::Share;

/// By how much at most the expiration time of a value is shortened. In a configuration, it is a share of the expiration
/// time (`0.1`, `"10%"`) or a duration (`"30s"`).
///
/// Each value gets its own part of that, from 0 up to the whole. It depends only on the key and the creation time, so that
/// all processes agree.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::{Jitter, Share};
///
/// assert_eq!("10%".parse(), Ok(Jitter::Share(Share::percent(10))));
/// assert_eq!("30s".parse(), Ok(Jitter::UpTo(Duration::from_secs(30))));
/// assert!("much".parse::<Jitter>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Jitter {
    /// A share of the expiration time. 0 turns jitter off.
    Share(Share),
    /// A duration. 0 turns jitter off.
    UpTo(Duration),
}

/// The error for an invalid jitter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid jitter {given}: expected a share such as 0.1 or \"10%\", or a duration such as \"30s\"")]
pub struct InvalidJitter {
    given: String,
}

impl Jitter {
    /// No jitter.
    pub const OFF: Jitter = Jitter::UpTo(Duration::ZERO);

    /// Returns by how much an expiration time of `limit` is shortened at most.
    pub(crate) fn window(self, limit: Duration) -> Duration {
        match self {
            Jitter::Share(share) => part(limit, share.of_one()),
            Jitter::UpTo(window) => window.min(limit),
        }
    }

    /// Returns by how much the expiration time `limit` of the value of `key` made at `made` is shortened.
    pub(crate) fn of(self, key: &str, made: CreationTime, limit: Duration) -> Duration {
        part(self.window(limit), fraction(key, made))
    }
}

/// Returns `share` of `whole`, where `share` is from 0 to 1.
pub(super) fn part(whole: Duration, share: f64) -> Duration {
    // A `Duration` has at most 2^64 seconds, and a share of it is not longer, except by rounding.
    Duration::try_from_secs_f64(whole.as_secs_f64() * share).unwrap_or(whole)
}

/// Returns a number from 0 up to 1, which is the same in every process and every version of this library.
///
/// It is FNV-1a, 64 bits, over the bytes of the key and the eight bytes of the creation time in little-endian order,
/// mixed by the last steps of SplitMix64. The upper 53 bits are the fraction.
fn fraction(key: &str, made: CreationTime) -> f64 {
    let time = made.as_seconds().to_bits().to_le_bytes();
    let hash = key.bytes().chain(time).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((hash ^ (hash >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

impl std::str::FromStr for Jitter {
    type Err = InvalidJitter;

    fn from_str(text: &str) -> Result<Self, InvalidJitter> {
        if let Ok(share) = text.parse() {
            return Ok(Jitter::Share(share));
        }
        // A number alone is a share. "5" is rejected, because it could be meant as a percentage.
        let has_unit = text.trim().parse::<f64>().is_err();
        let window = if has_unit { seconds::parse(text).ok() } else { None };
        window.map(Jitter::UpTo).ok_or_else(|| InvalidJitter { given: format!("{text:?}") })
    }
}

impl From<Share> for Jitter {
    fn from(share: Share) -> Self {
        Jitter::Share(share)
    }
}

impl From<Duration> for Jitter {
    fn from(window: Duration) -> Self {
        Jitter::UpTo(window)
    }
}

impl<'de> Deserialize<'de> for Jitter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JitterVisitor)
    }
}

struct JitterVisitor;

impl Visitor<'_> for JitterVisitor {
    type Value = Jitter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a jitter: a share such as 0.1 or \"10%\", or a duration such as \"30s\"")
    }

    fn visit_f64<E: de::Error>(self, share: f64) -> Result<Jitter, E> {
        let share = Share::new(share).map_err(|_| E::custom(InvalidJitter { given: share.to_string() }));
        Ok(Jitter::Share(share?))
    }

    fn visit_i64<E: de::Error>(self, share: i64) -> Result<Jitter, E> {
        self.visit_f64(share as f64)
    }

    fn visit_u64<E: de::Error>(self, share: u64) -> Result<Jitter, E> {
        self.visit_f64(share as f64)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Jitter, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other processes rely on these numbers.
    #[test]
    fn fraction_of_a_key_and_time_never_changes() {
        let at = |key, seconds| fraction(key, CreationTime::from_seconds(seconds));
        let found = [at("tea", 1_000.0), at("tea", 1_000.5), at("coffee", 1_000.0), at("", 0.0)];
        let expected = [0.929738977585231, 0.9238402225174359, 0.45852732739064583, 0.5048676404714686];
        assert_eq!(found, expected);
    }

    #[test]
    fn fractions_are_spread_evenly() {
        let mut counts = [0; 10];
        for number in 0..10_000 {
            let fraction = fraction(&format!("key:{number}"), CreationTime::from_seconds(1_000.0));
            counts[(fraction * 10.0) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    #[test]
    fn jitter_stays_within_its_window() {
        let (limit, made) = (Duration::from_secs(100), CreationTime::from_seconds(1.0));
        for jitter in [Jitter::Share(Share::percent(10)), Jitter::UpTo(Duration::from_secs(10))] {
            assert_eq!(jitter.window(limit), Duration::from_secs(10));
            let all: Vec<_> = (0..1000).map(|number| jitter.of(&number.to_string(), made, limit)).collect();
            assert!(all.iter().all(|shortened| *shortened <= Duration::from_secs(10)));
            assert!(all.iter().any(|shortened| *shortened > Duration::from_secs(9)));
        }
        assert_eq!(Jitter::OFF.of("key", made, Duration::MAX), Duration::ZERO);
        assert_eq!(Jitter::Share(Share::ALL).window(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn invalid_jitters_are_rejected() {
        for text in ["", "5", "-1", "150%", "much", "nan"] {
            let error = text.parse::<Jitter>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid jitter {text:?}: ")), "{error}");
        }
    }
}
