//! [`MokaConfig`]: the arguments of `depot.moka`.

use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind};
use serde::Deserialize;

/// Arguments of the `depot.moka` entry point. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MokaConfig {
    /// How many values are kept at most, at least 1. Default: 10,000.
    pub max_entries: u64,
    /// After how long a value is dropped. Default: never.
    pub time_to_live: Option<f64>,
    /// After how long a value is dropped that nobody reads. Default: never.
    pub time_to_idle: Option<f64>,
    /// The largest value that is taken, in bytes; it counts for values that are bytes. Default: 16 MiB.
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
        Ok(())
    }
}

/// The time that the argument `name` gives, if it is given.
pub(crate) fn time(name: &str, given: Option<f64>) -> Result<Option<Duration>, BackendError> {
    // Above this, moka panics; no cache is kept for as long.
    const LONGEST: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 100);
    let Some(given) = given else { return Ok(None) };
    let time = Duration::try_from_secs_f64(given).ok();
    let usable = time.filter(|time| !time.is_zero() && *time <= LONGEST);
    usable
        .map(Some)
        .ok_or_else(|| refused(name, &given.to_string(), "a number of seconds above 0, up to 100 years"))
}

fn refused(name: &str, given: &str, must: &str) -> BackendError {
    let message = format!("argument {name:?} of depot.moka is {given}, and must be {must}");
    BackendError::new(ErrorKind::Configuration, message)
}
