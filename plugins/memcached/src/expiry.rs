//! When an item vanishes, as memcached wants it said.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Up to this, a server counts the seconds from now; beyond, from the Unix epoch.
const RELATIVE: u64 = 60 * 60 * 24 * 30;

/// What to send for an item that is to vanish after `time`; at least a second, to which a server rounds.
pub(crate) fn of(time: Duration) -> u32 {
    let seconds = (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1);
    if seconds <= RELATIVE {
        return seconds as u32;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    u32::try_from(now + seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_thirty_days_is_a_date() {
        assert_eq!(of(Duration::from_millis(1)), 1);
        assert_eq!(of(Duration::from_millis(1001)), 2);
        assert_eq!(u64::from(of(Duration::from_secs(RELATIVE))), RELATIVE);
        let date = u64::from(of(Duration::from_secs(RELATIVE + 1)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        assert!((now + RELATIVE..=now + RELATIVE + 2).contains(&date));
    }
}
