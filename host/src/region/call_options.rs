//! [`CallOptions`]: the settings of one call.

use std::time::Duration;

use super::configured::Configured;
use super::state::RegionState;
use crate::expiration::Expiration;
use crate::policy::{
    CreatorTimeout, FailSafe, Jitter, OnBackendFailure, OnCreatorFailure, OnStale, Overrides, Policy, Share,
};

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
        self.overrides.is_set = true;
        self
    }

    /// Makes `get`, `get_multi`, and `get_value_metadata` return stale and invalidated values too. Default: off.
    pub fn ignore_expiration(mut self) -> Self {
        self.overrides.ignores_expiration = true;
        self.overrides.is_set = true;
        self
    }

    /// Sets how long the call waits for other creators, in all. Default: the region's.
    ///
    /// See [`RegionConfig::creation_wait_timeout`](crate::RegionConfig::creation_wait_timeout).
    pub fn creation_wait_timeout(mut self, limit: Duration) -> Self {
        self.overrides.creation_wait_timeout = Some(limit);
        self.overrides.is_set = true;
        self
    }

    /// Sets what the waiters of this call's creator get if it fails. Default: the region's.
    ///
    /// See [`RegionConfig::on_creator_failure`](crate::RegionConfig::on_creator_failure).
    pub fn on_creator_failure(mut self, policy: OnCreatorFailure) -> Self {
        self.overrides.on_creator_failure = Some(policy);
        self.overrides.is_set = true;
        self
    }

    /// Sets by how much at most the expiration time of a value is shortened. Default: the region's.
    ///
    /// See [`RegionConfig::jitter`](crate::RegionConfig::jitter).
    pub fn jitter(mut self, jitter: impl Into<Jitter>) -> Self {
        self.overrides.lifetimes.jitter = Some(jitter.into());
        self.overrides.is_set = true;
        self
    }

    /// Sets the share of a value's lifetime after which it is refreshed. Default: the region's.
    ///
    /// See [`RegionConfig::early_refresh`](crate::RegionConfig::early_refresh).
    pub fn early_refresh(mut self, share: Share) -> Self {
        self.overrides.lifetimes.early_refresh = Some(share);
        self.overrides.is_set = true;
        self
    }

    /// Sets how long after its expiration a value is stale, and not missing. Default: the region's.
    ///
    /// See [`RegionConfig::max_stale`](crate::RegionConfig::max_stale).
    pub fn max_stale(mut self, time: impl Into<Expiration>) -> Self {
        self.overrides.lifetimes.max_stale = Some(time.into());
        self.overrides.is_set = true;
        self
    }

    /// Sets what this call gets if it finds a stale value. Default: the region's.
    ///
    /// See [`RegionConfig::stale`](crate::RegionConfig::stale).
    pub fn stale(mut self, policy: OnStale) -> Self {
        self.overrides.lifetimes.stale = Some(policy);
        self.overrides.is_set = true;
        self
    }

    /// Sets when this call gets an old value because a creator failed. Default: the region's.
    ///
    /// See [`RegionConfig::fail_safe`](crate::RegionConfig::fail_safe).
    pub fn fail_safe(mut self, fail_safe: FailSafe) -> Self {
        self.overrides.lifetimes.fail_safe = Some(fail_safe);
        self.overrides.is_set = true;
        self
    }

    /// Sets how long this call waits for creators. Default: the region's.
    ///
    /// See [`RegionConfig::creator_timeout`](crate::RegionConfig::creator_timeout).
    pub fn creator_timeout(mut self, limits: CreatorTimeout) -> Self {
        self.overrides.lifetimes.creator_timeout = Some(limits);
        self.overrides.is_set = true;
        self
    }

    /// Sets what the call does if the backend fails. Default: the region's.
    ///
    /// See [`RegionConfig::on_backend_failure`](crate::RegionConfig::on_backend_failure). A call that goes on without its
    /// backend does not need a breaker.
    pub fn on_backend_failure(mut self, policy: OnBackendFailure) -> Self {
        self.overrides.on_backend_failure = Some(policy);
        self.overrides.is_set = true;
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

    /// Returns the policy of the call.
    #[inline]
    pub(super) fn policy(&self, current: &Configured) -> Policy {
        self.overrides.resolve(&current.policy)
    }

    /// Returns whether the region's policy applies to the call.
    #[inline]
    pub(super) fn is_default(&self) -> bool {
        self.overrides.is_empty()
    }

    /// Returns these options for a call that cannot return the error of the hard limit.
    pub(crate) fn without_hard_limit(mut self) -> Self {
        self.overrides.has_no_hard_limit = true;
        self
    }

    /// Returns these options for a call that creates values, and so cannot ignore that they expired.
    #[inline]
    pub(super) fn creating(mut self) -> Self {
        self.overrides.ignores_expiration = false;
        self
    }
}
