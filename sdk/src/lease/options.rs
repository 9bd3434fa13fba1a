//! [`LeaseOptions`]: the length of leases, and the limits of waits for them.

use std::time::Duration;

/// The length of leases, and the limits of waits for them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseOptions {
    /// The time after which the lock of a dead holder expires. An acquisition is also given up after this time, because
    /// its lease would have ended. Default: 30 seconds.
    pub lease: Duration,
    /// Whether a lease is renewed while its mutex is held, and restored after a loss. Otherwise two creators may
    /// overlap after it ends. Default: true.
    pub renewed: bool,
    /// The longest pause between two polls of a lock that another holder has. The first pause is 1 millisecond. A pause
    /// grows to at most a sixteenth of the time waited. Default: 100 milliseconds.
    pub longest_pause: Duration,
    /// The time after which [`acquire_until`](crate::CacheMutex::acquire_until) returns `false`, even if its deadline is later. With 0 it
    /// never waits. Default: 5 minutes.
    pub give_up_after: Duration,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        LeaseOptions {
            lease: Duration::from_secs(30),
            renewed: true,
            longest_pause: Duration::from_millis(100),
            give_up_after: Duration::from_secs(300),
        }
    }
}
