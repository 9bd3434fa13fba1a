//! Durations in configurations: `3`, `0.5`, `"3s"`, or `"1h 30m"`.
//!
//! Use this module for every [`Duration`] of a configuration, so that users write all durations alike:
//!
//! ```
//! use std::time::Duration;
//!
//! use dogpile_sdk::Arguments;
//!
//! #[derive(Debug, serde::Deserialize)]
//! struct Config {
//!     #[serde(with = "dogpile_sdk::seconds")]
//!     timeout: Duration,
//!     /// The `default` makes it optional.
//!     #[serde(default, with = "dogpile_sdk::seconds")]
//!     lock_timeout: Option<Duration>,
//! }
//!
//! let arguments = Arguments::from_serialize(serde_json::json!({ "timeout": 0.5, "lock_timeout": "1m 30s" }))?;
//! let config: Config = arguments.parse()?;
//! assert_eq!(config.timeout, Duration::from_millis(500));
//! assert_eq!(config.lock_timeout, Some(Duration::from_secs(90)));
//! # Ok::<(), dogpile_sdk::BackendError>(())
//! ```

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// The error for an invalid duration. Its text includes the given value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration {given}: expected seconds (0 or more) or a duration such as \"5m\"")]
pub struct InvalidDuration {
    given: String,
}

/// The names of the units, and their lengths in seconds. A month and a year are those of the average calendar.
const UNITS: [(&[&str], f64); 10] = [
    (&["ns", "nsec", "nanos"], 1e-9),
    (&["us", "µs", "usec"], 1e-6),
    (&["ms", "msec", "millis"], 1e-3),
    (&["s", "sec", "secs", "second", "seconds"], 1.0),
    (&["m", "min", "mins", "minute", "minutes"], 60.0),
    (&["h", "hr", "hrs", "hour", "hours"], 3600.0),
    (&["d", "day", "days"], 86_400.0),
    (&["w", "wk", "wks", "week", "weeks"], 7.0 * 86_400.0),
    (&["M", "month", "months"], 2_630_016.0),
    (&["y", "yr", "yrs", "year", "years"], 31_557_600.0),
];

/// The units that [`display`] uses, and their lengths in nanoseconds.
const SHOWN: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Parses a number of seconds (`3`, `0.5`), or numbers with units (`250ms`, `5m`, `1h30m`, `1day 8h`).
///
/// The units are `ns`, `us`, `ms`, `s`, `m`, `h`, `d`, `w`, `M` (months), `y`, and their longer names, such as `min`
/// and `hours`.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile_sdk::seconds;
///
/// assert_eq!(seconds::parse("0.5")?, Duration::from_millis(500));
/// assert_eq!(seconds::parse("1h30m")?, Duration::from_secs(5400));
/// # Ok::<(), seconds::InvalidDuration>(())
/// ```
///
/// # Errors
/// If `text` has another form, or the duration is negative, not finite, or too long for a [`Duration`].
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let text = text.trim();
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => parse_units(text),
    };
    parsed.ok_or_else(|| InvalidDuration { given: format!("{text:?}") })
}

/// Returns the duration of `seconds`.
///
/// # Errors
/// If `seconds` is negative, not finite, or too large for a [`Duration`].
pub fn from_number(seconds: f64) -> Result<Duration, InvalidDuration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| InvalidDuration { given: seconds.to_string() })
}

/// Returns a text of `duration` that people can read and [`parse`] accepts, such as `1h 30m`.
pub fn display(duration: Duration) -> impl fmt::Display {
    let mut left = duration.as_nanos();
    let parts = SHOWN.map(|(unit, length)| {
        let number = left / length;
        left %= length;
        (number, unit)
    });
    let shown = parts.iter().filter(|(number, _)| *number > 0);
    let shown: Vec<_> = shown.map(|(number, unit)| format!("{number}{unit}")).collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

/// Deserializes a [`Duration`] or an `Option<Duration>`: use it as `#[serde(with = "dogpile_sdk::seconds")]`.
///
/// # Errors
/// If the value is neither a number nor a string, or [`parse`] rejects it.
pub fn deserialize<'de, T: Field, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::read(deserializer)
}

/// Serializes a [`Duration`] or an `Option<Duration>` as a number of seconds.
///
/// # Errors
/// Those of `serializer`.
pub fn serialize<T: Field, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.duration().map(|duration| duration.as_secs_f64()).serialize(serializer)
}

/// The types that [`deserialize`] and [`serialize`] accept: [`Duration`] and `Option<Duration>`.
pub trait Field: private::Sealed + Sized {
    /// Reads the field from `deserializer`.
    #[doc(hidden)]
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Returns the duration, if the field has one.
    #[doc(hidden)]
    fn duration(&self) -> Option<Duration>;
}

impl Field for Duration {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }

    fn duration(&self) -> Option<Duration> {
        Some(*self)
    }
}

impl Field for Option<Duration> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Read>::deserialize(deserializer)?.map(|read| read.0))
    }

    fn duration(&self) -> Option<Duration> {
        *self
    }
}

mod private {
    use std::time::Duration;

    pub trait Sealed {}

    impl Sealed for Duration {}

    impl Sealed for Option<Duration> {}
}

/// A duration that an `Option` contains.
struct Read(Duration);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Duration::read(deserializer).map(Read)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration: seconds (0 or more) or a string such as \"5m\"")
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
        let whole = u64::try_from(seconds).map(Duration::from_secs);
        whole.map_err(|_| E::custom(InvalidDuration { given: seconds.to_string() }))
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(seconds))
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
        from_number(seconds).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(E::custom)
    }
}

/// Returns the sum of numbers with units, which whitespace may separate.
fn parse_units(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (None, text);
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, char::is_alphabetic);
        let (_, length) = UNITS.iter().find(|(names, _)| names.contains(&unit))?;
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * length).ok()?;
        total = Some(total.unwrap_or(Duration::ZERO).checked_add(part)?);
        rest = after;
    }
    total
}

/// Splits `text` after the characters that `is_in` accepts. Removes whitespace between both parts.
fn split(text: &str, is_in: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !is_in(c)).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::arguments::Arguments;

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Timeouts {
        #[serde(with = "super")]
        connect: Duration,
        #[serde(default, with = "super")]
        lock: Option<Duration>,
    }

    fn read(given: serde_json::Value) -> Result<Timeouts, String> {
        Arguments::from_serialize(given).unwrap().parse().map_err(|error| error.to_string())
    }

    #[test]
    fn text_is_parsed_in_all_forms() {
        for (text, milliseconds) in [
            ("3", 3_000),
            ("0.5", 500),
            ("0", 0),
            (" 5m ", 300_000),
            ("250ms", 250),
            ("1.5s", 1_500),
            ("1h30m", 5_400_000),
            ("1 hour 30 minutes", 5_400_000),
            ("1day 8h", 115_200_000),
            ("2weeks", 1_209_600_000),
            ("1000us", 1),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn invalid_text_is_an_error_with_its_value() {
        for text in ["", "-1", "-5m", "nan", "inf", "1e300", "soon", "5 parsecs", "m", "5m 3", "1.2.3s"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid duration {text:?}: expected seconds")), "{error}");
        }
        let long = format!("{}y", "9".repeat(40));
        assert!(parse(&long).is_err());
    }

    #[test]
    fn numbers_and_strings_are_deserialized() {
        let config = read(serde_json::json!({ "connect": 3, "lock": "250ms" })).unwrap();
        assert_eq!((config.connect, config.lock), (Duration::from_secs(3), Some(Duration::from_millis(250))));
        let config = read(serde_json::json!({ "connect": 0.5 })).unwrap();
        assert_eq!((config.connect, config.lock), (Duration::from_millis(500), None));
        assert_eq!(read(serde_json::json!({ "connect": "3", "lock": null })).unwrap().lock, None);
    }

    #[test]
    fn invalid_number_is_an_error_with_its_value() {
        for (number, text) in [(serde_json::json!(-1), "-1"), (serde_json::json!(-0.5), "-0.5")] {
            let error = read(serde_json::json!({ "connect": number })).unwrap_err();
            assert!(error.contains(&format!("invalid duration {text}: expected seconds")), "{error}");
        }
        let error = read(serde_json::json!({ "connect": true })).unwrap_err();
        assert!(error.contains("found true; expected a duration"), "{error}");
        assert!(from_number(f64::NAN).is_err() && from_number(f64::INFINITY).is_err());
    }

    #[test]
    fn serialized_durations_are_read_back() {
        let timeouts = Timeouts { connect: Duration::from_millis(1_500), lock: None };
        let written = serde_json::to_value(&timeouts).unwrap();
        assert_eq!(written, serde_json::json!({ "connect": 1.5, "lock": null }));
        assert_eq!(read(written), Ok(timeouts));
    }

    #[test]
    fn displayed_durations_are_parsed_again() {
        for (milliseconds, text) in [(0, "0s"), (250, "250ms"), (5_400_000, "1h 30m"), (86_401_000, "1d 1s")]
        {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(display(duration).to_string(), text);
            assert_eq!(parse(text), Ok(duration));
        }
    }
}
