//! [`MokaConfig`]: the arguments of `depot.moka`.

use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind, seconds};
use serde::Deserialize;

/// Arguments of the `depot.moka` entry point. Times are seconds or durations such as `"5m"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MokaConfig {
    /// Largest number of values, at least 1. Default: 10,000.
    pub max_entries: u64,
    /// Time after which a value is dropped. Default: never.
    #[serde(with = "dogpile_sdk::seconds")]
    pub time_to_live: Option<Duration>,
    /// Time without a read after which a value is dropped. Default: never.
    #[serde(with = "dogpile_sdk::seconds")]
    pub time_to_idle: Option<Duration>,
    /// Size of the largest serialized value, in bytes. Default: 16 MiB.
    pub max_value_bytes: u64,
}

impl Default for MokaConfig {
    fn default() -> Self {
        MokaConfig { max_entries: 10_000, time_to_live: None, time_to_idle: None, max_value_bytes: 16 << 20 }
    }
}

impl MokaConfig {
    pub(crate) fn check(&self) -> Result<(), BackendError> {
        if self.max_entries == 0 {
            return Err(refused("max_entries", "0", "at least 1"));
        }
        if self.max_value_bytes == 0 {
            return Err(refused("max_value_bytes", "0", "at least 1"));
        }
        check_time("time_to_live", self.time_to_live)?;
        check_time("time_to_idle", self.time_to_idle)
    }
}

/// Checks the time that was given as the argument `name`.
fn check_time(name: &str, given: Option<Duration>) -> Result<(), BackendError> {
    // moka panics above about a thousand years.
    const LONGEST: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 100);
    match given {
        Some(time) if time.is_zero() || time > LONGEST => {
            Err(refused(name, &seconds::display(time).to_string(), "a time above 0 and up to 100 years"))
        }
        _ => Ok(()),
    }
}

fn refused(name: &str, given: &str, expected: &str) -> BackendError {
    let message = format!("invalid argument {name:?}: {given}; expected {expected}");
    BackendError::new(ErrorKind::Configuration, message).for_argument(name)
}
