//! Errors for invalid arguments.

use std::fmt;
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind, seconds};

/// Creates the error for an invalid argument. `why` is the reason, and may include what to do.
pub(crate) fn invalid(argument: &str, why: impl fmt::Display) -> BackendError {
    let message = format!("invalid argument {argument:?}: {why}");
    BackendError::new(ErrorKind::Configuration, message).for_argument(argument)
}

/// The longest time that an argument may have: a hundred years. The clocks of the system and of a server can add it.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Returns `given` if it is between `least` and `most`.
pub(super) fn between(
    argument: &str,
    given: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration, BackendError> {
    let (what, use_this, bound) = match given {
        _ if given < least => ("short", "least", least),
        _ if given > most => ("long", "most", most),
        _ => return Ok(given),
    };
    let (given, bound) = (seconds::display(given), seconds::display(bound));
    Err(invalid(argument, format_args!("{given} is too {what}; use at {use_this} {bound}")))
}

/// Returns an error unless `given` is between `least` and `most`.
pub(super) fn limited(
    argument: &str,
    given: Option<usize>,
    least: usize,
    most: usize,
) -> Result<(), BackendError> {
    match given {
        Some(given) if given < least => {
            Err(invalid(argument, format_args!("{given} is too low; use at least {least}")))
        }
        Some(given) if given > most => {
            Err(invalid(argument, format_args!("{given} is too high; use at most {most}")))
        }
        _ => Ok(()),
    }
}

/// Returns `given` if it is at least a millisecond, as every timeout must be, and not too long.
pub(super) fn timeout(argument: &str, given: Duration) -> Result<Duration, BackendError> {
    between(argument, given, Duration::from_millis(1), LONGEST)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    #[test]
    fn time_out_of_bounds_is_refused_with_its_bound() {
        let refused = |given| timeout("socket_timeout", given).unwrap_err().to_string();
        let why = "invalid argument \"socket_timeout\": 0s is too short; use at least 1ms";
        assert_eq!(refused(Duration::ZERO), why);
        let long = refused(Duration::from_secs(10_u64.pow(19)));
        assert!(long.ends_with("is too long; use at most 36500d"), "{long}");
        assert_eq!(timeout("socket_timeout", LONGEST).unwrap(), LONGEST);
    }
}
