//! [`Policy`]: what a call goes by, resolved once from the region's settings and the options of the call.
//!
//! The policy is plain data. It is passed on whole: to reading and judging, to the engine's port, to writing, and to
//! creations in the background.

use std::time::Duration;

use dogpile_sdk::Metadata;
use serde::Deserialize;

use crate::created::expires_after;
use crate::expiration::Expiration;

/// What callers get that waited for a creator which failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnCreatorFailure {
    /// The next caller creates, one at a time. The default.
    #[default]
    Next,
    /// All of them get [`CreateError::Shared`](crate::CreateError::Shared), at once.
    Share,
}

impl std::str::FromStr for OnCreatorFailure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "next" => Ok(OnCreatorFailure::Next),
            "share" => Ok(OnCreatorFailure::Share),
            _ => Err(format!("invalid failure policy {text:?}: expected \"next\" or \"share\"")),
        }
    }
}

/// What a call does if its backend fails: if it is unreachable, does not reply in time, or is broken.
///
/// This is one policy for regions, cached functions, and templates. Invalid keys and values, and what a backend refuses on
/// purpose, are errors under both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OnBackendFailure {
    /// The call returns the error. The default. A cached function, which cannot, evaluates for each caller.
    #[default]
    Error,
    /// The call goes on without the backend.
    ///
    /// Reads are misses. One caller of the process creates a missing key at a time, and others get its value, also for up
    /// to one second afterwards. Values are not stored. `delete` succeeds: it is queued, and made when the backend works
    /// again. Until then, the key is a miss. A value that `set` cannot store is deleted in the same way.
    Degrade,
}

impl std::str::FromStr for OnBackendFailure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(OnBackendFailure::Error),
            "degrade" => Ok(OnBackendFailure::Degrade),
            _ => Err(format!("invalid failure policy {text:?}: expected \"error\" or \"degrade\"")),
        }
    }
}

/// What a call goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// The age past which a value is stale. `None` means never.
    pub(crate) expiration: Option<Duration>,
    /// Whether `expiration` is the call's. It then overrides a value's own expiration time.
    pub(crate) overrides_values: bool,
    /// Whether stale and invalidated values are returned by calls that only read.
    pub(crate) ignores_expiration: bool,
    /// How long the call waits for other creators, in all.
    pub(crate) creation_wait_timeout: Duration,
    pub(crate) on_creator_failure: OnCreatorFailure,
    pub(crate) on_backend_failure: OnBackendFailure,
    /// Whether the backend failed during this call, so that the rest of the call goes on without it.
    pub(crate) skips_backend: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            expiration: None,
            overrides_values: false,
            ignores_expiration: false,
            creation_wait_timeout: Duration::from_secs(300),
            on_creator_failure: OnCreatorFailure::Next,
            on_backend_failure: OnBackendFailure::Error,
            skips_backend: false,
        }
    }
}

impl Policy {
    /// Returns the age past which the value with this `metadata` is stale. `None` means never.
    ///
    /// The expiration time of the call comes before the value's own, and that before the region's.
    pub(crate) fn limit(&self, metadata: &Metadata) -> Option<Duration> {
        let may_have_own = !self.overrides_values && !metadata.attributes.is_empty();
        let own = if may_have_own { expires_after(metadata) } else { None };
        own.or(self.expiration)
    }

    /// Returns whether callers that waited share the failure of the creator.
    pub(crate) fn shares_failures(&self) -> bool {
        self.on_creator_failure == OnCreatorFailure::Share
    }

    /// Returns whether the call goes on if its backend fails.
    pub(crate) fn degrades(&self) -> bool {
        self.on_backend_failure == OnBackendFailure::Degrade
    }
}

/// The options of a call. `None` means that the region's setting applies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) expiration: Option<Expiration>,
    pub(crate) ignores_expiration: bool,
    pub(crate) creation_wait_timeout: Option<Duration>,
    pub(crate) on_creator_failure: Option<OnCreatorFailure>,
    pub(crate) on_backend_failure: Option<OnBackendFailure>,
}

impl Overrides {
    /// Returns whether the region's policy applies as it is.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        let Overrides {
            expiration,
            ignores_expiration,
            creation_wait_timeout,
            on_creator_failure,
            on_backend_failure,
        } = self;
        let is_set = expiration.is_some() || creation_wait_timeout.is_some() || on_creator_failure.is_some();
        !is_set && on_backend_failure.is_none() && !ignores_expiration
    }

    /// Returns the policy of a call of a region whose own policy is `region`.
    #[inline]
    pub(crate) fn resolve(&self, region: &Policy) -> Policy {
        Policy {
            expiration: match self.expiration {
                None => region.expiration,
                Some(expiration) => expiration.limit(),
            },
            overrides_values: self.expiration.is_some(),
            ignores_expiration: self.ignores_expiration,
            creation_wait_timeout: self.creation_wait_timeout.unwrap_or(region.creation_wait_timeout),
            on_creator_failure: self.on_creator_failure.unwrap_or(region.on_creator_failure),
            on_backend_failure: self.on_backend_failure.unwrap_or(region.on_backend_failure),
            skips_backend: region.skips_backend,
        }
    }
}
