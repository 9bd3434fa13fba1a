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
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            expiration: None,
            overrides_values: false,
            ignores_expiration: false,
            creation_wait_timeout: Duration::from_secs(300),
            on_creator_failure: OnCreatorFailure::Next,
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
}

/// The options of a call. `None` means that the region's setting applies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) expiration: Option<Expiration>,
    pub(crate) ignores_expiration: bool,
    pub(crate) creation_wait_timeout: Option<Duration>,
    pub(crate) on_creator_failure: Option<OnCreatorFailure>,
}

impl Overrides {
    /// Returns whether the region's policy applies as it is.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        let Overrides { expiration, ignores_expiration, creation_wait_timeout, on_creator_failure } = self;
        let is_set = expiration.is_some() || creation_wait_timeout.is_some() || on_creator_failure.is_some();
        !is_set && !ignores_expiration
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
        }
    }
}
