//! Errors for invalid arguments, and the bounds of times and numbers.
//!
//! A backend checks its arguments when it is configured, so that a value out of bounds is an error of the configuration and
//! not of a later call.

use std::fmt;
use std::time::Duration;

use super::seconds;
use crate::error::{BackendError, ErrorKind};

/// The longest time that an argument may have: a hundred years. The clocks of the system and of a server can add it.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Creates the error for an invalid argument. `why` is the reason, and may include what to do.
pub fn invalid(argument: &str, why: impl fmt::Display) -> BackendError {
    let message = format!("invalid argument {argument:?}: {why}");
    BackendError::new(ErrorKind::Configuration, message).for_argument(argument)
}

/// Returns `given` if it is between `least` and `most`.
///
/// # Errors
/// If it is not. The error names the argument and the bound.
pub fn between(
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

/// Returns `given` if it is at least a millisecond and at most [`LONGEST`]. Every timeout must be.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile_sdk::bounds;
///
/// let error = bounds::timeout("socket_timeout", Duration::ZERO).unwrap_err();
/// assert_eq!(error.to_string(), r#"invalid argument "socket_timeout": 0s is too short; use at least 1ms"#);
/// ```
///
/// # Errors
/// See [`between`].
pub fn timeout(argument: &str, given: Duration) -> Result<Duration, BackendError> {
    between(argument, given, Duration::from_millis(1), LONGEST)
}

/// Returns `given` if it is at most [`LONGEST`]. It may be zero.
///
/// # Errors
/// See [`between`].
pub fn pause(argument: &str, given: Duration) -> Result<Duration, BackendError> {
    between(argument, given, Duration::ZERO, LONGEST)
}

/// Returns `given` if it is between `least` and `most`.
///
/// # Errors
/// See [`between`].
pub fn number<N: PartialOrd + fmt::Display>(
    argument: &str,
    given: N,
    least: N,
    most: N,
) -> Result<N, BackendError> {
    let (what, use_this, bound) = match &given {
        given if *given < least => ("low", "least", least),
        given if *given > most => ("high", "most", most),
        _ => return Ok(given),
    };
    Err(invalid(argument, format_args!("{given} is too {what}; use at {use_this} {bound}")))
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
        assert_eq!(pause("retry_delay", Duration::ZERO).unwrap(), Duration::ZERO);
    }

    #[test]
    fn number_out_of_bounds_is_refused_with_its_bound() {
        let refused = |given| number("pool_size", given, 1, 9).unwrap_err();
        assert_eq!(refused(0).to_string(), "invalid argument \"pool_size\": 0 is too low; use at least 1");
        assert!(refused(10).to_string().ends_with("10 is too high; use at most 9"));
        assert_eq!(refused(10).argument(), Some("pool_size"));
        assert_eq!(number("pool_size", 9, 1, 9).unwrap(), 9);
    }
}
