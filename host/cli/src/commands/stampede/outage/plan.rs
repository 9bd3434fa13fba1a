//! [`Plan`]: the regions of a simulation, and the times of its events.

use std::ops::Range;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::arguments::Simulation;

/// How many parts the time has, for counting and drawing.
pub(super) const COLUMNS: usize = 50;

/// The settings of a region, as far as it differs from the others.
pub(super) struct Configuration {
    pub(super) name: &'static str,
    /// The settings, as lines of TOML.
    pub(super) settings: &'static str,
    /// Whether a runner creates stale values in the background.
    pub(super) background: bool,
}

/// The regions that are compared. A further one is a further line.
pub(super) const CONFIGURATIONS: &[Configuration] = &[
    Configuration { name: "dogpile", settings: "preset = \"dogpile\"", background: false },
    Configuration { name: "strict", settings: "preset = \"strict\"", background: false },
    // Its creators own what they use, so that values can be created in the background.
    Configuration { name: "resilient", settings: "preset = \"resilient\"", background: true },
];

/// The times of the events. They are fractions of the whole time, so that a longer simulation shows the same picture.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Plan {
    pub(super) seconds: u64,
    pub(super) workers: u64,
    pub(super) keys: u64,
    pub(super) seed: u64,
    #[serde(serialize_with = "in_seconds")]
    pub(super) cache_is_down: Range<Duration>,
    #[serde(serialize_with = "in_seconds")]
    pub(super) source_fails: Range<Duration>,
}

impl Plan {
    pub(super) fn of(asked: &Simulation) -> Self {
        let Simulation { seconds, workers, keys, seed } = *asked;
        let at = |percent: u32| Duration::from_secs(seconds) * percent / 100;
        Plan { seconds, workers, keys, seed, cache_is_down: at(20)..at(40), source_fails: at(60)..at(80) }
    }

    /// Returns how long the simulation takes.
    pub(super) fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Returns the age past which a value is stale.
    pub(super) fn expiration_time(&self) -> Duration {
        self.length() / 10
    }

    /// Returns how long a creator works.
    pub(super) fn creation_time(&self) -> Duration {
        self.length() / 100
    }

    /// Returns how long a worker pauses after a request, on average.
    pub(super) fn pause(&self) -> Duration {
        self.length() / 500
    }

    /// Returns the number of the part that contains `time`.
    pub(super) fn column(&self, time: Duration) -> usize {
        let part = time.as_secs_f64() / self.length().as_secs_f64();
        ((part * COLUMNS as f64) as usize).min(COLUMNS - 1)
    }

    /// Returns whether the middle of the part of this number lies in `window`.
    pub(super) fn is_in(&self, window: &Range<Duration>, column: usize) -> bool {
        let middle = self.length() * (2 * column as u32 + 1) / (2 * COLUMNS as u32);
        window.contains(&middle)
    }
}

/// Returns `time` in milliseconds.
pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn in_seconds<S: Serializer>(window: &Range<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    [window.start.as_secs_f64(), window.end.as_secs_f64()].serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_whole_time() {
        let plan = Plan::of(&Simulation { seconds: 5, workers: 1, keys: 1, seed: 1 });
        let at = |milliseconds| plan.column(Duration::from_millis(milliseconds));
        assert_eq!([0, 99, 100, 4_999, 5_000, 9_000].map(at), [0, 0, 1, 49, 49, 49]);
        let down: Vec<_> = (0..COLUMNS).filter(|part| plan.is_in(&plan.cache_is_down, *part)).collect();
        assert_eq!((down.len(), down[0], down[9]), (10, 10, 19));
    }
}
