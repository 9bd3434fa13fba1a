//! [`Patience`]: how long a call waits.

use std::time::{Duration, Instant};

use super::port::Port;

/// Longer than any process runs.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How long a call waits for other callers and for its creator.
pub(super) struct Patience {
    /// The waits for other callers, in all, once the call waited.
    wait: Option<Wait>,
    /// When a caller with a stale value takes that value.
    stale: Option<Instant>,
    /// When the call ends, and after which time.
    hard: Option<(Instant, Duration)>,
}

#[derive(Clone, Copy)]
struct Wait {
    began: Instant,
    deadline: Instant,
}

/// Which limit of a call is over.
#[derive(Clone, Copy)]
pub(super) enum Over {
    /// The caller takes its stale value.
    Stale,
    /// The call ends, after this time.
    Hard(Duration),
    /// The call waited for other callers as long as it may.
    Wait,
}

impl Patience {
    /// Begins to count the limits of the call. Those of its waits count from the first one.
    pub(super) fn of<P: Port>(port: &P) -> Self {
        let policy = port.policy();
        let (stale, hard) = (policy.stale_limit(), policy.creator_timeout.hard);
        if stale.is_none() && hard.is_none() {
            return Patience { wait: None, stale: None, hard: None };
        }
        let now = port.now();
        let stale = stale.map(|limit| after(now, limit));
        Patience { wait: None, stale, hard: hard.map(|limit| (after(now, limit), limit)) }
    }

    /// Begins the first wait, if there was none.
    pub(super) fn begin_wait<P: Port>(&mut self, port: &P) {
        if self.wait.is_none() {
            let began = port.now();
            let deadline = after(began, port.policy().creation_wait_timeout);
            self.wait = Some(Wait { began, deadline });
        }
    }

    /// Returns whether the call has waited for other callers.
    pub(super) fn has_waited(&self) -> bool {
        self.wait.is_some()
    }

    /// Returns how long the call has waited.
    pub(super) fn waited(&self, now: Instant) -> Duration {
        self.wait.map(|wait| now.saturating_duration_since(wait.began)).unwrap_or_default()
    }

    /// Waits no longer than a leader that gave up did.
    pub(super) fn shorten(&mut self, limit: Duration) {
        if let Some(wait) = &mut self.wait {
            wait.deadline = wait.deadline.min(wait.began + limit);
        }
    }

    /// Returns when a wait ends at the latest. `has_stale`: whether the caller has a stale value to take.
    pub(super) fn until(&self, has_stale: bool) -> Option<Instant> {
        let wait = self.wait.map(|wait| wait.deadline);
        wait.into_iter().chain(self.of_creator(has_stale)).min()
    }

    /// Returns when a caller leaves its creator at the latest.
    pub(super) fn of_creator(&self, has_stale: bool) -> Option<Instant> {
        let stale = if has_stale { self.stale } else { None };
        stale.into_iter().chain(self.hard()).min()
    }

    /// Returns when the call ends at the latest.
    pub(super) fn hard(&self) -> Option<Instant> {
        self.hard.map(|(hard, _)| hard)
    }

    /// Returns the limit that is over. A stale value is taken first: it is better than an error.
    pub(super) fn over(&self, now: Instant, has_stale: bool) -> Option<Over> {
        match (self.stale, self.hard, self.wait) {
            (Some(stale), ..) if has_stale && now >= stale => Some(Over::Stale),
            (_, Some((hard, limit)), _) if now >= hard => Some(Over::Hard(limit)),
            (.., Some(wait)) if now >= wait.deadline => Some(Over::Wait),
            _ => None,
        }
    }
}

fn after(now: Instant, limit: Duration) -> Instant {
    now.checked_add(limit).unwrap_or(now + FOREVER)
}
