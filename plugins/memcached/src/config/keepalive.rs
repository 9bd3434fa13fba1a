//! [`KeepaliveOptions`]: TCP keepalive settings.

use std::time::Duration;

use dogpile_sdk::bounds::{between, number};
use dogpile_sdk::{BackendError, seconds};
use serde::Deserialize;

use crate::client::Keepalive;

/// TCP keepalive settings, as in pymemcache's `KeepaliveOpts`. Times are at least a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KeepaliveOptions {
    /// Idle time before the first probe. Default: 1.
    #[serde(with = "seconds")]
    pub idle: Duration,
    /// Time between two probes. Default: 1.
    #[serde(with = "seconds")]
    pub intvl: Duration,
    /// Number of lost probes after which the connection is closed. Default: 5.
    pub cnt: u32,
}

impl Default for KeepaliveOptions {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        KeepaliveOptions { idle: second, intvl: second, cnt: 5 }
    }
}

impl KeepaliveOptions {
    pub(super) fn keepalive(self) -> Result<Keepalive, BackendError> {
        let argument = "socket_keepalive";
        let time = |given| between(argument, given, Keepalive::SHORTEST, Keepalive::LONGEST).map(Some);
        let count = number(argument, self.cnt, 1, Keepalive::MOST)?;
        Ok(Keepalive { idle: time(self.idle)?, interval: time(self.intvl)?, count: Some(count) })
    }
}
