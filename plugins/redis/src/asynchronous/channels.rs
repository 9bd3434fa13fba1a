//! [`Channels`]: the channels of one server, and the tasks that wait for their messages. It performs no I/O.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::connection::Failure;
use crate::resp::{self, Value};

/// The most channels of one server. Waiters for other locks only poll.
const MAX_CHANNELS: usize = 1024;

/// The longest name of a channel, in bytes, because a message repeats it. Waiters for other locks only poll.
const MAX_NAME: usize = 8 << 10;

/// The time for which a channel without waiters is kept. A waiter leaves its channel while it polls.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// The time after a failure during which waiters only poll.
const RECOVERY: Duration = Duration::from_secs(1);

/// The channels of one server, and the tasks that wait for their messages.
#[derive(Debug, Default)]
pub(super) struct Channels {
    by_name: BTreeMap<String, Channel>,
    /// The channels to unsubscribe from.
    left: Vec<String>,
    has_listener: bool,
    access: Access,
}

#[derive(Debug)]
struct Channel {
    notices: watch::Sender<Option<Notice>>,
    /// When it was subscribed to.
    sent: Option<Instant>,
    /// The time since which no task has been waiting.
    unused: Option<Instant>,
}

/// A reason to poll a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Notice {
    at: Instant,
    /// Whether a release was published. Otherwise, the subscription has just begun, and a release may have been missed.
    is_release: bool,
}

/// Whether the server may be subscribed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Access {
    #[default]
    Open,
    /// Not before this time, because a subscription failed.
    From(Instant),
    /// Never: the server is too old, or the user lacks the right.
    Refused,
}

/// What is to be done after a task has joined a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// Nothing: there is a subscription, or it has been begun.
    Known,
    /// Wake the listener, which subscribes.
    Added,
    /// Start a listener.
    NeedsListener,
}

/// What a listener does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send these commands, which may be none, and receive.
    Send(Vec<u8>),
    /// Close the connection, because no task waits.
    End,
}

/// The messages of one channel, for one task. Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct Membership(watch::Receiver<Option<Notice>>);

impl Membership {
    /// Waits for a reason to poll the lock since `since`, for at most `limit`. Returns whether a release was published.
    pub(super) async fn wait(mut self, since: Instant, limit: Duration) -> bool {
        let noticed = async {
            loop {
                if let Some(notice) = self.0.borrow_and_update().filter(|notice| notice.at > since) {
                    return notice.is_release;
                }
                if self.0.changed().await.is_err() {
                    // The subscription has ended. Only poll.
                    pending::<()>().await;
                }
            }
        };
        timeout(limit, noticed).await.unwrap_or(false)
    }
}

impl Channels {
    /// Joins the channel `name`. Unless `may_add` is set, it must be known.
    pub(super) fn join(&mut self, name: &str, may_add: bool, now: Instant) -> Option<(Membership, Joined)> {
        if let Some(known) = self.by_name.get(name) {
            return Some((Membership(known.notices.subscribe()), Joined::Known));
        }
        let is_full = self.by_name.len() >= MAX_CHANNELS || name.len() > MAX_NAME;
        if !may_add || is_full || !self.access.is_open(now) {
            return None;
        }
        let (notices, membership) = watch::channel(None);
        self.by_name.insert(name.to_owned(), Channel { notices, sent: None, unused: None });
        let had_listener = std::mem::replace(&mut self.has_listener, true);
        let joined = if had_listener { Joined::Added } else { Joined::NeedsListener };
        Some((Membership(membership), joined))
    }

    /// Returns what the listener does next. Leaves channels in which no task has waited for a while.
    ///
    /// # Errors
    /// If the server has not confirmed a subscription within `timeout`.
    pub(super) fn next(&mut self, now: Instant, timeout: Duration) -> Result<Next, Failure> {
        let left = &mut self.left;
        self.by_name.retain(|name, channel| {
            let is_kept = channel.is_kept(now);
            if !is_kept && channel.sent.is_some() {
                left.push(name.clone());
            }
            is_kept
        });
        if self.by_name.is_empty() {
            self.left.clear();
            self.has_listener = false;
            return Ok(Next::End);
        }
        if self.by_name.values().any(|channel| channel.is_overdue(now, timeout)) {
            return Err(Failure::TimedOut);
        }
        let mut packed = Vec::new();
        for name in self.left.drain(..) {
            pack("UNSUBSCRIBE", &name, &mut packed);
        }
        for (name, channel) in self.by_name.iter_mut().filter(|(_, channel)| channel.sent.is_none()) {
            pack("SUBSCRIBE", name, &mut packed);
            channel.sent = Some(now);
        }
        Ok(Next::Send(packed))
    }

    /// Passes on what the server sent.
    ///
    /// # Errors
    /// If the server rejected a subscription.
    pub(super) fn receive(&self, received: Value, now: Instant) -> Result<(), Failure> {
        let message = match received {
            Value::Push(message) => message,
            Value::Error(error) => return Err(Failure::Rejected(error)),
            _ => return Ok(()),
        };
        let mut parts = message.into_iter().map(Value::into_text);
        let (Some(kind), Some(name)) = (parts.next().flatten(), parts.next().flatten()) else {
            return Ok(());
        };
        let is_release = kind == "message";
        if (is_release || kind == "subscribe")
            && let Some(channel) = self.by_name.get(&name)
        {
            channel.notices.send_replace(Some(Notice { at: now, is_release }));
        }
        Ok(())
    }

    /// Ends all subscriptions and the listener. Waiters only poll from then on: forever if the server refused, and
    /// otherwise for a while.
    pub(super) fn fail(&mut self, is_refused: bool, now: Instant) {
        self.access = if is_refused { Access::Refused } else { Access::From(now + RECOVERY) };
        self.by_name.clear();
        self.left.clear();
        self.has_listener = false;
    }
}

impl Channel {
    /// Returns whether a task waits, or has waited until recently.
    fn is_kept(&mut self, now: Instant) -> bool {
        if self.notices.receiver_count() > 0 {
            self.unused = None;
            return true;
        }
        now.saturating_duration_since(*self.unused.get_or_insert(now)) < LINGER
    }

    fn is_overdue(&self, now: Instant, timeout: Duration) -> bool {
        let is_unconfirmed = self.notices.borrow().is_none();
        is_unconfirmed && self.sent.is_some_and(|sent| now.saturating_duration_since(sent) > timeout)
    }
}

impl Access {
    fn is_open(self, now: Instant) -> bool {
        match self {
            Access::Open => true,
            Access::From(time) => now >= time,
            Access::Refused => false,
        }
    }
}

fn pack(command: &str, name: &str, packed: &mut Vec<u8>) {
    resp::command(2, packed);
    resp::bulk(command.as_bytes(), packed);
    resp::bulk(name.as_bytes(), packed);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use tokio::runtime::Builder;

    use super::*;
    use crate::resp::ErrorReply;

    const TIMEOUT: Duration = Duration::from_secs(3);

    /// A limit that no test reaches.
    const FAR: Duration = Duration::from_secs(3600);

    fn push(kind: &str, name: &str) -> Value {
        Value::Push(vec![Value::Bulk(kind.into()), Value::Bulk(name.into()), Value::Integer(1)])
    }

    fn sent(next: Result<Next, Failure>) -> String {
        let Ok(Next::Send(packed)) = next else { panic!("expected commands: {next:?}") };
        let packed = String::from_utf8(packed).unwrap();
        let words: Vec<_> = packed.split("\r\n").filter(|line| !line.starts_with(['*', '$'])).collect();
        words.join(" ").trim().to_owned()
    }

    /// Polls a wait once, and returns its outcome.
    fn outcome(membership: Membership, since: Instant) -> Option<bool> {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        match pin!(membership.wait(since, FAR)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    /// Returns channels with a confirmed subscription to `a`, and the time of the confirmation.
    fn subscribed() -> (Channels, Membership, Instant) {
        let (mut channels, now) = (Channels::default(), Instant::now());
        let (membership, joined) = channels.join("a", true, now).unwrap();
        assert_eq!(joined, Joined::NeedsListener);
        assert_eq!(sent(channels.next(now, TIMEOUT)), "SUBSCRIBE a");
        channels.receive(push("subscribe", "a"), now).unwrap();
        (channels, membership, now)
    }

    fn join(channels: &mut Channels, name: &str, now: Instant) -> Membership {
        channels.join(name, true, now).unwrap().0
    }

    #[test]
    fn waits_share_a_listener_and_a_subscription() {
        let (mut channels, _kept, now) = subscribed();
        assert_eq!(channels.join("a", false, now).unwrap().1, Joined::Known);
        assert!(channels.join("b", false, now).is_none());
        assert_eq!(channels.join("b", true, now).unwrap().1, Joined::Added);
        assert_eq!(sent(channels.next(now, TIMEOUT)), "SUBSCRIBE b");
        assert_eq!(sent(channels.next(now, TIMEOUT)), "");
    }

    #[test]
    fn wait_ends_by_what_happened_since_the_last_poll() {
        let (mut channels, first, now) = subscribed();
        let later = |seconds| now + Duration::from_secs(seconds);
        // A release may have been missed before the subscription began.
        assert_eq!(outcome(first, now - TIMEOUT), Some(false));
        assert_eq!(outcome(join(&mut channels, "a", now), now), None);
        channels.receive(push("message", "other"), later(1)).unwrap();
        assert_eq!(outcome(join(&mut channels, "a", now), now), None);
        channels.receive(push("message", "a"), later(1)).unwrap();
        assert_eq!(outcome(join(&mut channels, "a", now), now), Some(true));
        assert_eq!(outcome(join(&mut channels, "a", now), later(1)), None);
    }

    #[test]
    fn channel_is_left_a_while_after_its_last_waiter() {
        let (mut channels, membership, now) = subscribed();
        let kept = join(&mut channels, "b", now);
        assert_eq!(sent(channels.next(now, TIMEOUT)), "SUBSCRIBE b");
        channels.receive(push("subscribe", "b"), now).unwrap();
        drop(membership);
        assert_eq!(sent(channels.next(now, TIMEOUT)), "");
        // A waiter that comes back in time finds its subscription.
        drop(join(&mut channels, "a", now));
        assert_eq!(sent(channels.next(now + LINGER / 2, TIMEOUT)), "");
        assert_eq!(sent(channels.next(now + LINGER, TIMEOUT)), "UNSUBSCRIBE a");
        drop(kept);
        assert_eq!(sent(channels.next(now + LINGER, TIMEOUT)), "");
        assert_eq!(channels.next(now + LINGER * 2, TIMEOUT).unwrap(), Next::End);
        assert_eq!(channels.join("a", true, now).unwrap().1, Joined::NeedsListener);
    }

    #[test]
    fn failed_subscription_leaves_polling_for_a_while() {
        let (mut channels, membership, now) = subscribed();
        channels.fail(false, now);
        // A wait that has lost its subscription ends at its limit only.
        assert_eq!(outcome(membership, now), None);
        assert!(channels.join("a", true, now).is_none());
        assert_eq!(channels.join("a", true, now + RECOVERY).unwrap().1, Joined::NeedsListener);
        channels.fail(true, now);
        assert!(channels.join("a", true, now + FAR).is_none());
    }

    #[test]
    fn rejected_and_unconfirmed_subscriptions_are_failures() {
        let (mut channels, _membership, now) = subscribed();
        assert!(channels.receive(Value::Error(ErrorReply::new("NOPERM")), now).is_err());
        let _b = join(&mut channels, "b", now);
        assert_eq!(sent(channels.next(now, TIMEOUT)), "SUBSCRIBE b");
        assert_eq!(sent(channels.next(now + TIMEOUT, TIMEOUT)), "");
        let overdue = channels.next(now + TIMEOUT + LINGER, TIMEOUT);
        assert!(matches!(overdue, Err(Failure::TimedOut)), "{overdue:?}");
    }

    #[test]
    fn channels_beyond_the_limits_are_not_joined() {
        let (mut channels, now) = (Channels::default(), Instant::now());
        assert!(channels.join(&"x".repeat(MAX_NAME + 1), true, now).is_none());
        let kept: Vec<_> = (0..MAX_CHANNELS).map(|n| join(&mut channels, &n.to_string(), now)).collect();
        assert!(channels.join("one more", true, now).is_none());
        assert!(channels.join("0", true, now).is_some());
        drop(kept);
    }

    #[test]
    fn other_messages_are_ignored() {
        let (channels, _membership, now) = subscribed();
        for message in [Value::Nil, Value::Push(vec![]), push("unsubscribe", "a"), push("subscribe", "b")] {
            channels.receive(message, now + TIMEOUT).unwrap();
        }
        let notice = *channels.by_name["a"].notices.borrow();
        assert_eq!(notice, Some(Notice { at: now, is_release: false }));
    }
}
