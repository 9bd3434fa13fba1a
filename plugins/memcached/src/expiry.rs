//! The expiration time of an item, in memcached's format.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest relative time in seconds. A larger number is a time since the Unix epoch.
const RELATIVE: u64 = 60 * 60 * 24 * 30;

/// The latest time since the Unix epoch that servers understand, and the number of an item that never expires.
const LATEST: u64 = i32::MAX as u64;
const NEVER: u32 = 0;

/// Returns the number to send for an item that expires after `time`, rounded up to whole seconds, at least one.
///
/// An item that expires later than the servers can express never expires.
pub(crate) fn of(time: Duration) -> u32 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1);
    if seconds <= RELATIVE {
        return seconds as u32;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let date = now.saturating_add(seconds);
    if date <= LATEST { date as u32 } else { NEVER }
}

/// Returns the number to send for an item, such as a lock, that must not expire before `time` has passed.
///
/// The clock of a server ticks once a second, and a second of an item may begin shortly before a tick.
pub(crate) fn no_earlier_than(time: Duration) -> u32 {
    of(time.saturating_add(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn started_second_does_not_shorten_a_lifetime() {
        assert_eq!(no_earlier_than(Duration::from_millis(1)), 2);
        assert_eq!(no_earlier_than(Duration::from_millis(1000)), 2);
        assert_eq!(no_earlier_than(Duration::from_millis(1001)), 3);
        assert_eq!(no_earlier_than(Duration::MAX), NEVER);
    }

    #[test]
    fn time_beyond_thirty_days_becomes_a_date() {
        assert_eq!(of(Duration::from_millis(1)), 1);
        assert_eq!(of(Duration::from_millis(1001)), 2);
        assert_eq!(u64::from(of(Duration::from_secs(RELATIVE))), RELATIVE);
        let date = u64::from(of(Duration::from_secs(RELATIVE + 1)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        assert!((now + RELATIVE..=now + RELATIVE + 2).contains(&date));
        assert_eq!(of(Duration::MAX), NEVER);
        assert_eq!(of(Duration::from_secs(LATEST)), NEVER);
    }
}
