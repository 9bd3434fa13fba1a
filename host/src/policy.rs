//! [`Policy`]: the settings of a call, resolved once from its region and its options.
//!
//! The policy is plain data. It is passed on whole: to reading and judging, to the engine's port, to writing, and to
//! creations in the background.

mod creator_timeout;
mod fail_safe;
mod jitter;
mod lifetimes;
mod on_backend_failure;
mod on_creator_failure;
mod on_stale;
mod preset;
mod share;

use std::time::Duration;

use dogpile_sdk::{CreationTime, Metadata};

pub use self::creator_timeout::CreatorTimeout;
pub use self::fail_safe::FailSafe;
pub use self::jitter::{InvalidJitter, Jitter};
pub(crate) use self::lifetimes::Lifetimes;
pub use self::on_backend_failure::OnBackendFailure;
pub use self::on_creator_failure::OnCreatorFailure;
pub use self::on_stale::{InvalidOnStale, OnStale};
pub use self::preset::Preset;
pub use self::share::{InvalidShare, Share};

use crate::created::expires_after;
use crate::expiration::Expiration;
use crate::outcome::Outcome;

/// How much longer a store keeps a value than any call can use it. It covers clocks that differ between processes.
const KEEP_MARGIN: Duration = Duration::from_secs(60);

/// The settings that apply to a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// The age past which a value is stale. `None` means never.
    pub(crate) expiration: Option<Duration>,
    /// The age up to which a value without an expiration time of its own is fresh for sure, and needs no refresh: see
    /// [`settled`](Self::settled).
    pub(crate) surely_fresh_until: Option<Duration>,
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
    pub(crate) jitter: Jitter,
    /// The share of a value's lifetime after which it is refreshed.
    pub(crate) early_refresh: Share,
    /// How long after its expiration a value is stale. Then it counts as missing. `None` means without end.
    pub(crate) max_stale: Option<Duration>,
    pub(crate) stale: OnStale,
    pub(crate) fail_safe: FailSafe,
    pub(crate) creator_timeout: CreatorTimeout,
}

/// The stage of a value that was not invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Fresh,
    /// Fresh, and due for an early refresh.
    Early,
    Stale,
    /// As good as missing, except if the creator fails.
    Grace,
    /// As good as missing.
    TooOld,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            expiration: None,
            surely_fresh_until: None,
            overrides_values: false,
            ignores_expiration: false,
            creation_wait_timeout: Duration::from_secs(300),
            on_creator_failure: OnCreatorFailure::Next,
            on_backend_failure: OnBackendFailure::Error,
            skips_backend: false,
            jitter: Jitter::OFF,
            early_refresh: Share::ALL,
            max_stale: None,
            stale: OnStale::Serve,
            fail_safe: FailSafe::OFF,
            creator_timeout: CreatorTimeout::OFF,
        }
    }
}

impl Policy {
    /// Returns the outcome of a call that gets a value now, which would be `outcome` if its backend works.
    ///
    /// This is the one rule for all forms of calls: a value that a call gets without its backend is degraded, unless it is
    /// old.
    pub(crate) fn outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Stale | Outcome::FailSafe => outcome,
            _ if self.skips_backend => Outcome::Degraded,
            _ => outcome,
        }
    }

    /// Returns this policy, changed by the `settings` that were given.
    #[inline]
    pub(crate) fn with(mut self, settings: &Lifetimes) -> Self {
        let Lifetimes { jitter, early_refresh, max_stale, stale, fail_safe, creator_timeout } = *settings;
        self.jitter = jitter.unwrap_or(self.jitter);
        self.early_refresh = early_refresh.unwrap_or(self.early_refresh);
        self.max_stale = max_stale.map_or(self.max_stale, Expiration::limit);
        self.stale = stale.unwrap_or(self.stale);
        self.fail_safe = fail_safe.unwrap_or(self.fail_safe);
        self.creator_timeout = creator_timeout.unwrap_or(self.creator_timeout);
        self.settled()
    }

    /// Computes what follows from the other fields, for use by hits.
    #[inline]
    fn settled(mut self) -> Self {
        self.surely_fresh_until = self.surely_fresh_until(self.expiration);
        self
    }

    /// Returns the age up to which a value that is stale past the age `limit` is fresh for sure, and needs no refresh.
    #[inline]
    pub(crate) fn surely_fresh_until(&self, limit: Option<Duration>) -> Option<Duration> {
        if self.jitter == Jitter::OFF && self.early_refresh == Share::ALL {
            return limit;
        }
        limit.map(|limit| self.early(limit.saturating_sub(self.jitter.window(limit))))
    }

    /// Returns the age past which a value is refreshed that is stale past the age `limit`.
    fn early(&self, limit: Duration) -> Duration {
        if self.early_refresh == Share::ALL {
            limit
        } else {
            jitter::part(limit, self.early_refresh.of_one())
        }
    }

    /// Returns the age past which the value with this `metadata` is stale. `None` means never.
    ///
    /// The expiration time of the call comes before the value's own, and that before the region's.
    pub(crate) fn limit(&self, metadata: &Metadata) -> Option<Duration> {
        let may_have_own = !self.overrides_values && !metadata.attributes.is_empty();
        let own = if may_have_own { expires_after(metadata) } else { None };
        own.or(self.expiration)
    }

    /// Returns whether a value passes through more stages than fresh and stale.
    pub(crate) fn has_stages(&self) -> bool {
        self.max_stale.is_some() || self.jitter != Jitter::OFF || self.early_refresh != Share::ALL
    }

    /// Returns the stage of a value of `key`, made at `made`, that has the age `age` and is stale past the age `limit`.
    pub(crate) fn stage(
        &self,
        key: &str,
        made: CreationTime,
        age: Duration,
        limit: Option<Duration>,
    ) -> Stage {
        let Some(limit) = limit else { return Stage::Fresh };
        let shortened = limit.saturating_sub(self.jitter.of(key, made, limit));
        if age <= self.early(shortened) {
            Stage::Fresh
        } else if age <= shortened {
            Stage::Early
        } else {
            self.stage_of_old(age, Some(limit))
        }
    }

    /// Returns the stage of a value that is stale at least.
    pub(crate) fn stage_of_old(&self, age: Duration, limit: Option<Duration>) -> Stage {
        match (limit, self.max_stale) {
            (Some(limit), Some(max_stale)) if age > limit.saturating_add(max_stale) => {
                if self.fail_safe.is_on() && age <= self.fail_safe.max_age {
                    Stage::Grace
                } else {
                    Stage::TooOld
                }
            }
            _ => Stage::Stale,
        }
    }

    /// Returns for how long a store keeps a value whose own expiration time is `own`. `None` leaves that to the store.
    pub(crate) fn keep_for(&self, own: Option<Duration>) -> Option<Duration> {
        let own = if self.overrides_values { None } else { own };
        let limit = own.or(self.expiration)?;
        let stale = self.max_stale.map(|max_stale| limit.saturating_add(max_stale));
        let grace = self.fail_safe.is_on().then_some(self.fail_safe.max_age);
        let used_for = stale.into_iter().chain(grace).max()?.max(limit);
        Some(used_for.saturating_add(KEEP_MARGIN))
    }

    /// Returns this policy for a creation that its caller may leave. The caller keeps the limits.
    pub(crate) fn without_limits(&self) -> Policy {
        Policy { creator_timeout: CreatorTimeout::OFF, ..*self }
    }

    /// Returns the first setting that only a creator can honor that owns what it uses.
    ///
    /// `is_task`: the caller is a task, which can end its creator.
    pub(crate) fn needs_owner(&self, is_task: bool) -> Option<&'static str> {
        let CreatorTimeout { soft, hard } = self.creator_timeout;
        let settings = [
            (self.stale == OnStale::ServeAll, "stale = \"serve_all\""),
            (self.early_refresh != Share::ALL, "early_refresh"),
            (soft.is_some(), "creator_timeout.soft"),
            (hard.is_some() && !is_task, "creator_timeout.hard"),
        ];
        settings.into_iter().find(|(is_set, _)| *is_set).map(|(_, setting)| setting)
    }

    /// Returns whether callers that waited share the failure of the creator.
    pub(crate) fn shares_failures(&self) -> bool {
        self.on_creator_failure == OnCreatorFailure::Share
    }

    /// Returns whether the call goes on if its backend fails.
    pub(crate) fn degrades(&self) -> bool {
        self.on_backend_failure == OnBackendFailure::Degrade
    }

    /// Returns how long a call with a stale value takes at most, if there is a limit and the call can be left.
    pub(crate) fn stale_limit(&self) -> Option<Duration> {
        self.creator_timeout.soft.into_iter().chain(self.stale.longest_wait()).min()
    }
}

/// The options of a call. `None` means that the region's setting applies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overrides {
    /// Whether any option is set. A hit asks this alone.
    pub(crate) is_set: bool,
    pub(crate) expiration: Option<Expiration>,
    pub(crate) ignores_expiration: bool,
    pub(crate) creation_wait_timeout: Option<Duration>,
    pub(crate) on_creator_failure: Option<OnCreatorFailure>,
    pub(crate) on_backend_failure: Option<OnBackendFailure>,
    pub(crate) lifetimes: Lifetimes,
    /// Whether the call waits for its creator without the hard limit. It matters to misses alone.
    pub(crate) has_no_hard_limit: bool,
}

impl Overrides {
    /// Returns whether the region's policy applies as it is.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_set
    }

    /// Returns the policy of a call of a region whose own policy is `region`.
    #[inline]
    pub(crate) fn resolve(&self, region: &Policy) -> Policy {
        let policy = Policy {
            expiration: match self.expiration {
                None => region.expiration,
                Some(expiration) => expiration.limit(),
            },
            overrides_values: self.expiration.is_some(),
            ignores_expiration: self.ignores_expiration,
            creation_wait_timeout: self.creation_wait_timeout.unwrap_or(region.creation_wait_timeout),
            on_creator_failure: self.on_creator_failure.unwrap_or(region.on_creator_failure),
            on_backend_failure: self.on_backend_failure.unwrap_or(region.on_backend_failure),
            ..*region
        };
        let mut policy = policy.with(&self.lifetimes);
        if self.has_no_hard_limit {
            policy.creator_timeout.hard = None;
        }
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Values expire after 100 s, are refreshed from 80 s on, are stale for 50 s more, and are kept for 1000 s.
    fn staged() -> Policy {
        let (expiration, max_stale) = (Some(seconds(100)), Some(seconds(50)));
        let (early_refresh, fail_safe) = (Share::percent(80), FailSafe::new(seconds(1000)));
        Policy { expiration, max_stale, early_refresh, fail_safe, ..Policy::default() }.settled()
    }

    #[test]
    fn age_decides_the_stage() {
        use Stage::{Early, Fresh, Grace, Stale, TooOld};
        let made = CreationTime::from_seconds(1.0);
        let ages = [(0, Fresh), (80, Fresh), (81, Early), (100, Early), (101, Stale), (150, Stale)];
        for (age, stage) in ages.into_iter().chain([(151, Grace), (1000, Grace), (1001, TooOld)]) {
            let policy = staged();
            assert_eq!(policy.stage("key", made, seconds(age), policy.expiration), stage, "{age}");
        }
        assert_eq!(staged().stage("key", made, Duration::MAX, None), Fresh);
        let without = Policy { fail_safe: FailSafe::OFF, ..staged() };
        assert_eq!(without.stage("key", made, seconds(151), without.expiration), TooOld);
        let forever = Policy { max_stale: None, ..staged() };
        assert_eq!(forever.stage("key", made, seconds(5000), forever.expiration), Stale);
    }

    /// A hit below this age needs no closer look, whatever its key.
    #[test]
    fn value_is_surely_fresh_before_the_windows() {
        let window = |policy: Policy| policy.settled().surely_fresh_until;
        let plain = Policy { expiration: Some(seconds(100)), ..Policy::default() };
        assert_eq!(window(plain), Some(seconds(100)));
        assert_eq!(window(Policy { jitter: Jitter::UpTo(seconds(10)), ..plain }), Some(seconds(90)));
        assert_eq!(window(Policy { jitter: Jitter::Share(Share::ALL), ..plain }), Some(Duration::ZERO));
        let both = Policy { jitter: Share::percent(10).into(), early_refresh: Share::percent(50), ..plain };
        assert_eq!(window(both), Some(seconds(45)));
        assert_eq!(window(Policy { expiration: None, ..both }), None);
        let made = CreationTime::from_seconds(1.0);
        for key in 0..100 {
            let stage = both.stage(&key.to_string(), made, seconds(45), both.expiration);
            assert_eq!(stage, Stage::Fresh, "{key}");
        }
    }

    #[test]
    fn value_is_kept_for_as_long_as_it_can_be_served() {
        let (kept, margin) = (|policy: Policy, own| policy.keep_for(own), KEEP_MARGIN);
        let plain = Policy { expiration: Some(seconds(100)), ..Policy::default() };
        assert_eq!(kept(plain, None), None);
        let stale = Policy { max_stale: Some(seconds(50)), ..plain };
        assert_eq!(kept(stale, None), Some(seconds(150) + margin));
        assert_eq!(kept(stale, Some(seconds(1))), Some(seconds(51) + margin));
        assert_eq!(
            kept(Policy { overrides_values: true, ..stale }, Some(seconds(1))),
            Some(seconds(150) + margin)
        );
        assert_eq!(kept(Policy { expiration: None, ..stale }, None), None);
        assert_eq!(kept(staged(), None), Some(seconds(1000) + margin));
        assert_eq!(kept(staged(), Some(seconds(5000))), Some(seconds(5050) + margin));
        let saved = Policy { fail_safe: FailSafe::new(seconds(10)), ..plain };
        assert_eq!(kept(saved, None), Some(seconds(100) + margin));
        assert_eq!(kept(Policy { max_stale: Some(Duration::MAX), ..plain }, None), Some(Duration::MAX));
    }
}
