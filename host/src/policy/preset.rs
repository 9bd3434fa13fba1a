//! [`Preset`]: settings that fit together.

use std::time::Duration;

use serde::Deserialize;

use super::creator_timeout::CreatorTimeout;
use super::fail_safe::FailSafe;
use super::jitter::Jitter;
use super::lifetimes::Lifetimes;
use super::on_backend_failure::OnBackendFailure;
use super::on_creator_failure::OnCreatorFailure;
use super::on_stale::OnStale;
use super::share::Share;
use crate::expiration::Expiration;

/// Settings of a region that fit together. A setting that is given explicitly overrides the preset's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Preset {
    /// What dogpile.cache does. The default.
    ///
    /// One caller replaces a stale value, however old it is, and the others get it. A failing creator is called again by
    /// each caller, one at a time. A failing backend is an error.
    #[default]
    Dogpile,
    /// Rather an old value than an error or a long wait.
    ///
    /// * `fail_safe = { max_age = "1d", throttle = "1s" }`: old values bridge an outage, up to an age of one day. A source that
    ///   recovers is noticed within a second, and a source that is down is not flooded meanwhile.
    /// * `stale = "serve_all"` and `early_refresh = 0.8`: no caller pays for a refresh, if its creator owns what it uses.
    /// * `jitter = "10%"`: values that were created together do not expire together.
    /// * `creator_timeout = { soft = "1s", hard = "30s" }`: no caller waits long for a slow source if there is a stale value,
    ///   and no caller waits longer than the clients of most services do.
    /// * `on_creator_failure = "share"`: if there is no old value, all callers that waited get the failure at once.
    /// * `on_backend_failure = "degrade"`: calls go on without a backend that is down.
    Resilient,
    /// Rather an error than an old value.
    ///
    /// * `max_stale = 0`: a value past its expiration time is never served.
    /// * `stale = "wait"`: after a soft invalidation, callers wait for the new value.
    Strict,
}

impl Preset {
    /// Returns the settings of the stages of a value.
    pub(crate) fn lifetimes(self) -> Lifetimes {
        match self {
            Preset::Dogpile => Lifetimes::default(),
            Preset::Resilient => Lifetimes {
                jitter: Some(Jitter::Share(Share::percent(10))),
                early_refresh: Some(Share::percent(80)),
                max_stale: None,
                stale: Some(OnStale::ServeAll),
                fail_safe: Some(FailSafe::new(Duration::from_secs(86_400))),
                creator_timeout: Some(
                    CreatorTimeout::OFF.soft(Duration::from_secs(1)).hard(Duration::from_secs(30)),
                ),
            },
            Preset::Strict => Lifetimes {
                max_stale: Some(Expiration::After(Duration::ZERO)),
                stale: Some(OnStale::Wait),
                ..Lifetimes::default()
            },
        }
    }

    /// Returns what the waiters of a failed creator get.
    pub(crate) fn on_creator_failure(self) -> OnCreatorFailure {
        if self == Preset::Resilient { OnCreatorFailure::Share } else { OnCreatorFailure::Next }
    }

    /// Returns what a call does if its backend fails.
    pub(crate) fn on_backend_failure(self) -> OnBackendFailure {
        if self == Preset::Resilient { OnBackendFailure::Degrade } else { OnBackendFailure::Error }
    }
}

impl std::str::FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dogpile" => Ok(Preset::Dogpile),
            "resilient" => Ok(Preset::Resilient),
            "strict" => Ok(Preset::Strict),
            _ => Err(format!("invalid preset {text:?}: expected \"dogpile\", \"resilient\", or \"strict\"")),
        }
    }
}
