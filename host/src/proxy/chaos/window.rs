//! [`ChaosWindow`]: when a backend is down.

use std::fmt;
use std::ops::{Range, RangeFrom};
use std::time::Duration;

use dogpile_sdk::{BackendError, bounds, seconds};
use serde::Deserialize;

/// A time during which a backend is down. In a configuration, it is a table of `from` and `to`.
///
/// Both count from the moment at which the script of the backend takes effect. The beginning belongs to the window, the
/// end does not. Without `to`, the backend stays down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChaosWindow {
    #[serde(with = "seconds")]
    from: Duration,
    #[serde(default, with = "seconds")]
    to: Option<Duration>,
}

impl ChaosWindow {
    /// Returns whether the backend is down after `elapsed`.
    pub(super) fn contains(self, elapsed: Duration) -> bool {
        elapsed >= self.from && self.to.is_none_or(|to| elapsed < to)
    }

    /// Returns an error if a bound is invalid.
    pub(super) fn check(self) -> Result<(), BackendError> {
        bounds::pause("down", self.from)?;
        let Some(to) = self.to else { return Ok(()) };
        bounds::pause("down", to)?;
        if to > self.from {
            return Ok(());
        }
        let [from, to] = [self.from, to].map(seconds::display);
        let why = format!("the window from {from} to {to} is empty; let \"to\" be later than \"from\"");
        Err(bounds::invalid("down", why))
    }
}

impl From<Range<Duration>> for ChaosWindow {
    fn from(window: Range<Duration>) -> Self {
        ChaosWindow { from: window.start, to: Some(window.end) }
    }
}

/// A backend that stays down.
impl From<RangeFrom<Duration>> for ChaosWindow {
    fn from(window: RangeFrom<Duration>) -> Self {
        ChaosWindow { from: window.start, to: None }
    }
}

impl fmt::Display for ChaosWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {}", seconds::display(self.from))?;
        self.to.map_or(Ok(()), |to| write!(f, " to {}", seconds::display(to)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_includes_its_beginning_and_not_its_end() {
        let seconds = Duration::from_secs;
        let elapsed = [0, 4, 5, 9, 10, 4_000_000].map(seconds);
        let closed = ChaosWindow::from(seconds(5)..seconds(10));
        assert_eq!(elapsed.map(|time| closed.contains(time)), [false, false, true, true, false, false]);
        let open = ChaosWindow::from(seconds(5)..);
        assert_eq!(elapsed.map(|time| open.contains(time)), [false, false, true, true, true, true]);
        assert_eq!((closed.to_string(), open.to_string()), ("from 5s to 10s".into(), "from 5s".into()));
    }

    #[test]
    fn window_is_read_from_a_table() {
        let window: ChaosWindow = serde_json::from_str(r#"{ "from": "5s", "to": 10 }"#).unwrap();
        assert_eq!(window, (Duration::from_secs(5)..Duration::from_secs(10)).into());
        let endless: ChaosWindow = serde_json::from_str(r#"{ "from": "5s" }"#).unwrap();
        assert_eq!(endless, (Duration::from_secs(5)..).into());
        assert!(serde_json::from_str::<ChaosWindow>(r#"{ "to": 10 }"#).is_err());
    }
}
