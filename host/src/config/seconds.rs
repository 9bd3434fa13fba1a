//! [`Seconds`]: a duration as a configuration gives it.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};

/// A duration: a number of seconds (`3`, `0.5`), or a string such as `"3s"` or `"5m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(Duration);

impl Seconds {
    pub(super) fn duration(self) -> Duration {
        self.0
    }

    fn from_number(seconds: f64) -> Result<Self, String> {
        Duration::try_from_secs_f64(seconds).map(Seconds).map_err(|_| invalid(seconds))
    }
}

fn invalid(given: impl fmt::Display) -> String {
    format!("invalid duration {given}: expected seconds (0 or more) or a duration such as \"5m\"")
}

impl std::str::FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.parse::<f64>() {
            Ok(seconds) => Seconds::from_number(seconds),
            Err(_) => {
                humantime::parse_duration(text).map(Seconds).map_err(|_| invalid(format_args!("{text:?}")))
            }
        }
    }
}

impl<'de> de::Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration: seconds (0 or more) or a string such as \"5m\"")
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Seconds, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Seconds, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Seconds, E> {
        Seconds::from_number(seconds).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Seconds, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_read_in_all_forms() {
        for (text, seconds) in [("3", 3.0), ("0.5", 0.5), (" 5m ", 300.0), ("0", 0.0)] {
            assert_eq!(text.parse(), Ok(Seconds(Duration::from_secs_f64(seconds))), "{text}");
        }
    }

    #[test]
    fn invalid_duration_is_refused_with_its_text() {
        for text in ["", "-1", "nan", "1e300", "soon"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
        assert_eq!(
            "soon".parse::<Seconds>(),
            Err("invalid duration \"soon\": expected seconds (0 or more) or a duration such as \"5m\""
                .to_owned())
        );
    }
}
