//! [`ChaosDelay`]: how long calls are delayed.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use dogpile_sdk::{BackendError, bounds, seconds};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The longest delay.
const LONGEST: Duration = Duration::from_secs(60);

/// The shortest and the longest delay of a call. Each call gets a delay between them. The default is zero.
///
/// In a configuration, it is a duration such as `"20ms"`, or a table of `min` and `max`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChaosDelay {
    min: Duration,
    max: Duration,
}

impl ChaosDelay {
    /// Returns whether no call is delayed.
    pub(super) fn is_zero(self) -> bool {
        self.max.is_zero()
    }

    /// Returns the delay at `position`, from 0 (the shortest) to 1 (the longest).
    pub(super) fn at(self, position: f64) -> Duration {
        self.min + self.max.saturating_sub(self.min).mul_f64(position)
    }

    /// Returns an error if a bound is invalid.
    pub(super) fn check(self) -> Result<(), BackendError> {
        bounds::between("delay", self.max, Duration::ZERO, LONGEST)?;
        if self.min <= self.max {
            return Ok(());
        }
        let [min, max] = [self.min, self.max].map(seconds::display);
        Err(bounds::invalid("delay", format!("\"min\" is {min}, but \"max\" is only {max}; swap them")))
    }
}

impl From<Duration> for ChaosDelay {
    fn from(delay: Duration) -> Self {
        ChaosDelay { min: delay, max: delay }
    }
}

impl From<RangeInclusive<Duration>> for ChaosDelay {
    fn from(range: RangeInclusive<Duration>) -> Self {
        let (min, max) = range.into_inner();
        ChaosDelay { min, max }
    }
}

impl<'de> Deserialize<'de> for ChaosDelay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DelayVisitor)
    }
}

struct DelayVisitor;

/// A delay, given as a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    #[serde(default, with = "seconds")]
    min: Duration,
    #[serde(with = "seconds")]
    max: Duration,
}

impl<'de> Visitor<'de> for DelayVisitor {
    type Value = ChaosDelay;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"20ms\", or a table of \"min\" and \"max\"")
    }

    fn visit_i64<E: Error>(self, delay: i64) -> Result<ChaosDelay, E> {
        fixed(delay)
    }

    fn visit_u64<E: Error>(self, delay: u64) -> Result<ChaosDelay, E> {
        fixed(delay)
    }

    fn visit_f64<E: Error>(self, delay: f64) -> Result<ChaosDelay, E> {
        fixed(delay)
    }

    fn visit_str<E: Error>(self, delay: &str) -> Result<ChaosDelay, E> {
        fixed(delay)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ChaosDelay, A::Error> {
        let Range { min, max } = Range::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ChaosDelay { min, max })
    }
}

fn fixed<'de, E: Error>(delay: impl IntoDeserializer<'de, E>) -> Result<ChaosDelay, E> {
    seconds::deserialize::<Duration, _>(delay.into_deserializer()).map(ChaosDelay::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn read(given: serde_json::Value) -> Result<ChaosDelay, String> {
        serde_json::from_value(given).map_err(|error| error.to_string())
    }

    #[test]
    fn delay_is_read_from_a_duration_or_a_table() {
        let fixed = ChaosDelay::from(milliseconds(500));
        for given in [
            serde_json::json!(0.5),
            serde_json::json!("500ms"),
            serde_json::json!({ "min": 0.5, "max": 0.5 }),
        ] {
            assert_eq!(read(given), Ok(fixed));
        }
        assert_eq!(read(serde_json::json!(2)), Ok(milliseconds(2000).into()));
        let range = ChaosDelay::from(Duration::ZERO..=milliseconds(20));
        assert_eq!(read(serde_json::json!({ "max": "20ms" })), Ok(range));
    }

    #[test]
    fn invalid_delay_is_an_error_with_its_value() {
        let refused = |given| read(given).unwrap_err();
        let text = refused(serde_json::json!("soon"));
        assert!(text.contains("invalid duration \"soon\": expected seconds"), "{text}");
        let text = refused(serde_json::json!(true));
        assert!(text.contains("boolean `true`, expected a duration such as \"20ms\", or a table"), "{text}");
        let text = refused(serde_json::json!({ "max": 1, "mim": 0 }));
        assert!(text.contains("unknown field `mim`"), "{text}");
        assert!(refused(serde_json::json!(-1)).contains("invalid duration -1"));
    }

    #[test]
    fn delays_lie_between_both_bounds() {
        let delay = ChaosDelay::from(milliseconds(10)..=milliseconds(30));
        assert_eq!([0.0, 0.5, 1.0].map(|position| delay.at(position).as_millis()), [10, 20, 30]);
        assert!(!delay.is_zero() && ChaosDelay::default().is_zero());
    }
}
