//! [`SteadyClock`]: a clock that cannot be set.

use std::time::Instant;

use dogpile_sdk::CreationTime;

use crate::clock::Clock;

/// A clock that counts from its creation, and that no adjustment of the system's clock moves.
#[derive(Debug)]
pub(super) struct SteadyClock(Instant);

impl SteadyClock {
    pub(super) fn start() -> Self {
        SteadyClock(Instant::now())
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> CreationTime {
        CreationTime::from_seconds(self.0.elapsed().as_secs_f64())
    }
}
