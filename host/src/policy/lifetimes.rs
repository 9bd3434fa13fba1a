//! [`Lifetimes`]: the settings of the stages through which a value passes as it ages.

use std::time::Duration;

use super::creator_timeout::CreatorTimeout;
use super::fail_safe::FailSafe;
use super::jitter::Jitter;
use super::on_stale::OnStale;
use super::share::Share;
use crate::expiration::Expiration;

/// The settings of the stages through which a value passes as it ages. `None` means that a setting was not given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lifetimes {
    pub(crate) jitter: Option<Jitter>,
    pub(crate) early_refresh: Option<Share>,
    pub(crate) max_stale: Option<Expiration>,
    pub(crate) stale: Option<OnStale>,
    pub(crate) fail_safe: Option<FailSafe>,
    pub(crate) creator_timeout: Option<CreatorTimeout>,
}

impl Lifetimes {
    /// Returns these settings, completed by those of `others`.
    pub(crate) fn or(self, others: Lifetimes) -> Lifetimes {
        Lifetimes {
            jitter: self.jitter.or(others.jitter),
            early_refresh: self.early_refresh.or(others.early_refresh),
            max_stale: self.max_stale.or(others.max_stale),
            stale: self.stale.or(others.stale),
            fail_safe: self.fail_safe.or(others.fail_safe),
            creator_timeout: self.creator_timeout.or(others.creator_timeout),
        }
    }

    /// Returns the first setting that contradicts another one, and what to do.
    ///
    /// `expiration` is the region's expiration time, if it was given.
    pub(crate) fn contradiction(&self, expiration: Option<Expiration>) -> Option<(&'static str, String)> {
        let never = expiration == Some(Expiration::Never);
        let without = |setting| {
            let problem = format!(
                "\"{setting}\" has no effect if values never expire; set \"expiration_time\", or remove \"{setting}\""
            );
            Some((setting, problem))
        };
        match self {
            Lifetimes { max_stale: Some(Expiration::After(_)), .. } if never => return without("max_stale"),
            Lifetimes { jitter: Some(jitter), .. } if never && *jitter != Jitter::OFF => {
                return without("jitter");
            }
            Lifetimes { early_refresh: Some(share), .. } if never && *share != Share::ALL => {
                return without("early_refresh");
            }
            _ => {}
        }
        if self.early_refresh.is_some_and(|share| share.of_one() == 0.0) {
            let problem = "\"early_refresh\" is 0, so that each call would create; set a share such as 0.8";
            return Some(("early_refresh", problem.to_owned()));
        }
        let limit = expiration.and_then(Expiration::limit);
        self.too_much_jitter(limit)
            .or_else(|| self.short_fail_safe(limit))
            .or_else(|| self.hard_before_soft())
    }

    fn too_much_jitter(&self, limit: Option<Duration>) -> Option<(&'static str, String)> {
        let (Jitter::UpTo(window), limit) = (self.jitter?, limit?) else { return None };
        let problem = format!(
            "\"jitter\" ({window:?}) is not shorter than \"expiration_time\" ({limit:?}), so that no value would be fresh; \
             set a smaller one"
        );
        (!window.is_zero() && window >= limit).then_some(("jitter", problem))
    }

    fn short_fail_safe(&self, limit: Option<Duration>) -> Option<(&'static str, String)> {
        let (fail_safe, limit) = (self.fail_safe?, limit?);
        let stale = self.max_stale.and_then(Expiration::limit).unwrap_or_default();
        let problem = format!(
            "the \"max_age\" of \"fail_safe\" ({:?}) is not longer than \"expiration_time\" and \"max_stale\" together ({:?}), \
             so that it has no effect; set a longer one",
            fail_safe.max_age,
            limit.saturating_add(stale)
        );
        (fail_safe.is_on() && fail_safe.max_age <= limit.saturating_add(stale))
            .then_some(("fail_safe", problem))
    }

    fn hard_before_soft(&self) -> Option<(&'static str, String)> {
        let CreatorTimeout { soft: Some(soft), hard: Some(hard) } = self.creator_timeout? else {
            return None;
        };
        let problem = format!(
            "the limit \"hard\" of \"creator_timeout\" ({hard:?}) is not longer than \"soft\" ({soft:?}), so that \"soft\" has \
             no effect; set a longer one"
        );
        (hard <= soft).then_some(("creator_timeout", problem))
    }
}
