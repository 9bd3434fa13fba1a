//! [`CallOptions`]: the settings of one call.

use std::time::Duration;

use super::configured::Configured;
use super::state::RegionState;
use crate::expiration::Expiration;
use crate::policy::{OnBackendFailure, OnCreatorFailure, Overrides, Policy};

/// The settings of one call, created by [`CacheRegion::options`](crate::CacheRegion::options).
///
/// Options are plain data. What is not set is the region's.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::{CacheRegion, Expiration, RegionConfig};
///
/// let region = CacheRegion::new("prices");
/// region.configure(RegionConfig::new("dogpile.cache.memory").expiration_time(Duration::from_secs(5)))?;
/// let patient = region.options().expiration_time(Expiration::Never).creation_wait_timeout(Duration::from_secs(1));
/// assert_eq!(patient.get_or_create("price", || 350)?, 350);
/// # Ok::<(), dogpile::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until a call is made through them"]
pub struct CallOptions<'r> {
    state: &'r RegionState,
    overrides: Overrides,
}

impl<'r> CallOptions<'r> {
    #[inline]
    pub(super) fn new(state: &'r RegionState) -> Self {
        CallOptions { state, overrides: Overrides::default() }
    }

    /// Sets the age past which a value is stale. Default: the value's own expiration time, or else the region's.
    ///
    /// A value has an expiration time of its own if its creator set one with
    /// [`Created::expires_after`](crate::Created::expires_after).
    pub fn expiration_time(mut self, expiration: impl Into<Expiration>) -> Self {
        self.overrides.expiration = Some(expiration.into());
        self
    }

    /// Makes `get`, `get_multi`, and `get_value_metadata` return stale and invalidated values too.
    pub fn ignore_expiration(mut self) -> Self {
        self.overrides.ignores_expiration = true;
        self
    }

    /// Sets how long the call waits for other creators, in all. Default: the region's.
    ///
    /// See [`RegionConfig::creation_wait_timeout`](crate::RegionConfig::creation_wait_timeout).
    pub fn creation_wait_timeout(mut self, limit: Duration) -> Self {
        self.overrides.creation_wait_timeout = Some(limit);
        self
    }

    /// Sets what callers get that wait for this call's creator, if the creator fails. Default: the region's.
    ///
    /// See [`RegionConfig::on_creator_failure`](crate::RegionConfig::on_creator_failure).
    pub fn on_creator_failure(mut self, policy: OnCreatorFailure) -> Self {
        self.overrides.on_creator_failure = Some(policy);
        self
    }

    /// Sets what the call does if the backend fails. Default: the region's.
    ///
    /// See [`RegionConfig::on_backend_failure`](crate::RegionConfig::on_backend_failure). A call that goes on without its
    /// backend does not need a breaker.
    pub fn on_backend_failure(mut self, policy: OnBackendFailure) -> Self {
        self.overrides.on_backend_failure = Some(policy);
        self
    }

    /// Returns the name of the region that is called.
    pub(crate) fn region_name(&self) -> &'r str {
        &self.state.name
    }

    #[inline]
    pub(super) fn state(&self) -> &'r RegionState {
        self.state
    }

    /// Returns what the call goes by.
    #[inline]
    pub(super) fn policy(&self, current: &Configured) -> Policy {
        self.overrides.resolve(&current.policy)
    }

    /// Returns whether the call goes by the region's policy.
    #[inline]
    pub(super) fn is_default(&self) -> bool {
        self.overrides.is_empty()
    }

    /// Returns these options for a call that creates values, and so cannot ignore that they expired.
    #[inline]
    pub(super) fn creating(mut self) -> Self {
        self.overrides.ignores_expiration = false;
        self
    }
}
