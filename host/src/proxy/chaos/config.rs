//! [`ChaosConfig`]: the arguments of the entry point.

use std::sync::Arc;

use serde::Deserialize;

use super::delay::ChaosDelay;
use super::operation::ChaosOperation;
use super::script::ChaosScript;
use super::window::ChaosWindow;
use crate::clock::Clock;

/// Arguments of the `dogpile.proxy.chaos` entry point. The default lets all calls pass.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ChaosConfig {
    /// Name under which [`ChaosControl::named`](super::ChaosControl::named) finds the control. Default: none.
    ///
    /// All proxies of one name share a control. Their arguments must be equal.
    pub name: Option<String>,
    /// Seed of the random decisions. Equal seeds and calls have equal failures. Default: random, and logged.
    pub seed: Option<u64>,
    /// Share of calls, from 0 to 1, that fail with [`ErrorKind::Unavailable`](dogpile_sdk::ErrorKind). Default: 0.
    pub errors: f64,
    /// Share of calls, from 0 to 1, that fail with [`ErrorKind::Timeout`](dogpile_sdk::ErrorKind). Default: 0.
    ///
    /// Half of the writes among them still reach the backend.
    pub timeouts: f64,
    /// Delay of each call, at most a minute. Default: none.
    ///
    /// It is a duration, or a table with `min` and `max`. A call that waits for a mutex is never delayed beyond its
    /// deadline.
    pub delay: ChaosDelay,
    /// Times during which every call fails at once. Default: none.
    ///
    /// It is a list of tables with `from` and `to`. The times count from the moment at which the
    /// proxy was built. Without `to`, the backend stays down.
    pub down: Vec<ChaosWindow>,
    /// Operations that fail and are delayed. Default: all.
    pub operations: Vec<ChaosOperation>,
    /// Whether calls fail and are delayed. If false, all calls pass until a control enables the proxy. Default: true.
    pub enabled: bool,
    /// Clock that measures the windows of `down`. Set in code only. Default: a steady clock, in real time.
    #[serde(skip)]
    pub clock: Option<Arc<dyn Clock>>,
}

impl ChaosConfig {
    /// Returns what happens to calls.
    pub(super) fn script(&self) -> ChaosScript {
        ChaosScript {
            errors: self.errors,
            timeouts: self.timeouts,
            delay: self.delay,
            down: self.down.clone(),
            operations: self.operations.clone(),
        }
    }

    /// Returns whether `other` has the same settings. The clock is not compared.
    pub(super) fn agrees_with(&self, other: &ChaosConfig) -> bool {
        let same_seed = self.seed == other.seed && self.enabled == other.enabled;
        same_seed && self.name == other.name && self.script() == other.script()
    }
}

impl Default for ChaosConfig {
    fn default() -> Self {
        let ChaosScript { errors, timeouts, delay, down, operations } = ChaosScript::new();
        ChaosConfig {
            name: None,
            seed: None,
            errors,
            timeouts,
            delay,
            down,
            operations,
            enabled: true,
            clock: None,
        }
    }
}
