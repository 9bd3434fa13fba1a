//! [`Drops`]: when the future of a call is dropped.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::super::random::Random;

/// When the future of a call is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drops {
    /// When it has ended.
    AtItsEnd,
    /// After this many polls, unless it has ended. 0 drops it before the first one.
    AfterPolls(u64),
    /// After this time, unless it has ended.
    After(Duration),
}

impl Drops {
    /// Returns when to drop a future: in one of three cases before it has ended.
    pub(super) fn at_random(random: &mut Random) -> Self {
        match random.below(6) {
            0 => Drops::AfterPolls(random.below(5)),
            1 => Drops::After(Duration::from_millis(random.below(3))),
            _ => Drops::AtItsEnd,
        }
    }

    /// Awaits `future`, and returns `None` if it was dropped before.
    pub(super) async fn apply<F: Future>(self, future: F) -> Option<F::Output> {
        match self {
            Drops::AtItsEnd => Some(future.await),
            Drops::After(time) => tokio::time::timeout(time, future).await.ok(),
            Drops::AfterPolls(limit) => after_polls(future, limit).await,
        }
    }
}

async fn after_polls<F: Future>(future: F, limit: u64) -> Option<F::Output> {
    let (mut future, mut polls) = (Box::pin(future), 0);
    let polled = poll_fn(|context| {
        if polls == limit {
            return Poll::Ready(None);
        }
        polls += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == limit => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    polled.await
}
