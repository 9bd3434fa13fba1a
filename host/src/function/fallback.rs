//! What a cached function does if its region fails. It is evaluated as if it were not cached.
//!
//! A function cannot return an error of its region. Under `on_backend_failure = "degrade"`, the region itself goes on
//! without its backend, so that one caller evaluates at a time and the others get its value. Under `"error"`, and for all
//! other failures of the region, each caller evaluates. So does each
//! caller to which the failure of another one is shared: a function cannot return it, and in turn they would wait too long.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Instant;

use dogpile_sdk::error_chain;
use parking_lot::Mutex;

use crate::error::CreateError;
use crate::log_targets::FUNCTION;
use crate::outage::RateLimit;
use crate::shorten::Shortened;

/// How many regions have a limit of their own. Further ones share one.
const REGIONS: usize = 1_000;

/// The limits of the warnings, by region.
static WARNINGS: Mutex<BTreeMap<String, RateLimit>> = Mutex::new(BTreeMap::new());

/// Returns the result of a region's call. If the region failed, logs a warning and returns the result of `evaluate`.
///
/// # Errors
/// Returns the function's own error.
pub(super) fn or_evaluate<T, E>(
    result: Result<T, CreateError<E>>,
    region: &str,
    keys: &dyn fmt::Debug,
    evaluate: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    unless_failed(result, region, keys).unwrap_or_else(evaluate)
}

/// Returns the result of a region's call, or `None` if the region failed, which is logged.
pub(super) fn unless_failed<T, E>(
    result: Result<T, CreateError<E>>,
    region: &str,
    keys: &dyn fmt::Debug,
) -> Option<Result<T, E>> {
    match result {
        Ok(value) => return Some(Ok(value)),
        Err(CreateError::Creator(error)) => return Some(Err(error)),
        Err(CreateError::Region(error)) => log_failure(region, keys, error.server(), &error),
        Err(CreateError::Shared(failure)) => log_failure(region, keys, None, &failure),
    }
    None
}

/// Logs that a function is evaluated without its region, once in ten seconds for each region.
#[cold]
fn log_failure(region: &str, keys: &dyn fmt::Debug, server: Option<&str>, error: &(dyn Error + 'static)) {
    let Some(suppressed) = pass(&mut WARNINGS.lock(), region, Instant::now()) else { return };
    let (key, error) = (Shortened(keys), error_chain(error));
    tracing::warn!(target: FUNCTION, region, %key, server, %error, suppressed, "the cache failed; evaluating the function without it");
}

/// Returns how many warnings of `region` were suppressed before this one, or `None` to suppress this one too.
fn pass(warnings: &mut BTreeMap<String, RateLimit>, region: &str, now: Instant) -> Option<u64> {
    if let Some(limit) = warnings.get_mut(region) {
        return limit.pass(now);
    }
    let of_its_own = if warnings.len() < REGIONS { region } else { "" };
    warnings.entry(of_its_own.to_owned()).or_default().pass(now)
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn regions_have_limits_of_their_own_up_to_a_bound() {
        let (mut warnings, now) = (BTreeMap::new(), Instant::now());
        assert_eq!(["a", "a", "b"].map(|region| pass(&mut warnings, region, now)), [Some(0), None, Some(0)]);
        assert_eq!(pass(&mut warnings, "a", now + Duration::from_secs(10)), Some(1));
        for number in 0..2 * REGIONS {
            pass(&mut warnings, &number.to_string(), now);
        }
        assert_eq!(warnings.len(), REGIONS + 1);
    }
}
