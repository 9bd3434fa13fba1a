//! [`Keepalive`]: the TCP keepalive settings of connections.

use std::time::Duration;

use socket2::TcpKeepalive;

/// TCP keepalive settings. Default of each: the setting of the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// Idle time before the first probe.
    pub idle: Option<Duration>,
    /// Time between two probes.
    pub interval: Option<Duration>,
    /// Number of lost probes after which the connection is closed.
    pub count: Option<u32>,
}

impl Keepalive {
    /// The shortest time that a system accepts.
    pub const SHORTEST: Duration = Duration::from_secs(1);
    /// The longest time that Linux accepts.
    pub const LONGEST: Duration = Duration::from_secs(32_767);
    /// The highest number of probes that Linux accepts.
    pub const MOST: u32 = 127;

    pub(crate) fn probes(self) -> TcpKeepalive {
        let probes = TcpKeepalive::new();
        let probes = self.idle.map_or(probes.clone(), |idle| probes.with_time(idle));
        let probes = self.interval.map_or(probes.clone(), |interval| probes.with_interval(interval));
        self.count.map_or(probes.clone(), |count| probes.with_retries(count))
    }
}
