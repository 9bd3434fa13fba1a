//! Errors for invalid arguments.

use std::fmt;
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind, seconds};

/// Creates the error for an invalid argument. `why` is the reason, and may include what to do.
pub(super) fn invalid(argument: &str, why: impl fmt::Display) -> BackendError {
    let message = format!("invalid argument {argument:?}: {why}");
    BackendError::new(ErrorKind::Configuration, message).for_argument(argument)
}

/// Returns `given` if it is at least `least`.
pub(super) fn at_least(argument: &str, given: Duration, least: Duration) -> Result<Duration, BackendError> {
    if given >= least {
        return Ok(given);
    }
    let (given, least) = (seconds::display(given), seconds::display(least));
    Err(invalid(argument, format_args!("{given} is too short; use at least {least}")))
}

/// Returns `given` if it is at least a millisecond, as every timeout must be.
pub(super) fn timeout(argument: &str, given: Duration) -> Result<Duration, BackendError> {
    at_least(argument, given, Duration::from_millis(1))
}
