//! [`Exchanges`]: the commands of a backend, and what their replies mean. No I/O is performed here.
//!
//! Blocking and asynchronous calls differ only in how they carry an [`Exchange`] to a server.

use std::time::Duration;

use dogpile_sdk::bounds::LONGEST;
use dogpile_sdk::{BackendError, BytesEntry, ErrorKind, StoreOptions};

use crate::command::{Access, Command, Reply};
use crate::fence;
use crate::resp::Expected;

/// Commands that are sent together, and what is made of their replies. Sending them twice is harmless.
pub(crate) struct Exchange<'k, T> {
    pub(crate) commands: Vec<Command<'k>>,
    pub(crate) access: Access,
    /// Further keys that the commands write, and of which the servers know nothing.
    pub(crate) more_keys: Vec<&'k str>,
    pub(crate) read: Read<T>,
}

/// Makes the outcome of a call from the replies.
pub(crate) type Read<T> = Box<dyn FnOnce(Vec<Reply>) -> Result<T, BackendError> + Send>;

/// What a server may hold under a key.
pub(crate) type Found = Option<Vec<u8>>;

/// Creates the exchanges of a backend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchanges {
    pub(crate) expiration_time: Option<Duration>,
    pub(crate) value_limit: usize,
    /// Whether keys may be on different servers, so that each command must have a single key.
    pub(crate) is_spread: bool,
    /// Whether a lock and its value are on one server, so that a script can check one and store the other.
    pub(crate) is_fencing: bool,
}

impl Exchanges {
    pub(crate) fn get(key: &str) -> Exchange<'_, Found> {
        let read = |replies: Vec<Reply>| replies.into_iter().next().map_or(Ok(None), value);
        Exchange::new(vec![get(key)], Access::Read, read)
    }

    /// `keys` must not be empty.
    pub(crate) fn get_multi<'k>(self, keys: &[&'k str]) -> Exchange<'k, Vec<Found>> {
        let (commands, read): (_, fn(Vec<Reply>) -> _) = match keys.split_first() {
            Some((first, rest)) if !self.is_spread => {
                let get = Command::new("MGET", first, Expected::Values(keys.len()));
                (vec![get.args(rest.iter().copied())], |replies| match replies.into_iter().next() {
                    Some(reply) => reply.strings(),
                    None => Ok(Vec::new()),
                })
            }
            _ => {
                let gets = keys.iter().map(|key| get(key)).collect();
                (gets, |replies| replies.into_iter().map(value).collect())
            }
        };
        Exchange::new(commands, Access::Read, read)
    }

    /// Stores values in one round trip per server: those with a fence in one script, the others in as few commands as
    /// possible.
    ///
    /// # Errors
    /// If a value is too large.
    pub(crate) fn set_multi<'k>(self, entries: &[BytesEntry<'k>]) -> Result<Exchange<'k, ()>, BackendError> {
        entries.iter().try_for_each(|entry| self.check_size(entry))?;
        let is_fenced = |entry: &&BytesEntry<'_>| self.is_fencing && entry.options.fence.is_some();
        let (fenced, plain): (Vec<&BytesEntry<'_>>, Vec<_>) = entries.iter().partition(is_fenced);
        let fenced: Vec<_> = fenced.into_iter().map(|entry| (entry, self.lifetime(entry.options))).collect();
        let mut commands = self.sets(&plain);
        let (plain, given) = (commands.len(), fenced.len());
        commands.extend(fence::store(&fenced));
        // The script has many keys, of which the servers know only the first.
        let more_keys = fenced.iter().map(|(entry, _)| entry.key).collect();
        let read = move |replies: Vec<Reply>| {
            let mut replies = replies.into_iter();
            replies.by_ref().take(plain).try_for_each(|reply| reply.accepted().map(drop))?;
            replies.try_for_each(|reply| stored_all(reply.integer()?, given))
        };
        Ok(Exchange { more_keys, ..Exchange::new(commands, Access::Write, read) })
    }

    /// `keys` must not be empty.
    pub(crate) fn delete_multi<'k>(self, keys: &[&'k str]) -> Exchange<'k, ()> {
        let commands = match keys.split_first() {
            Some((first, rest)) if !self.is_spread => vec![delete(first).args(rest.iter().copied())],
            _ => keys.iter().map(|key| delete(key)).collect(),
        };
        let read = |replies: Vec<Reply>| replies.into_iter().try_for_each(|reply| reply.accepted().map(drop));
        Exchange::new(commands, Access::Write, read)
    }

    /// Returns the time after which the server drops a value: the configured one, or else the region's.
    fn lifetime(self, options: &StoreOptions) -> Option<Duration> {
        // The server rejects a time beyond the end of its calendar.
        self.expiration_time.or(options.keep_for).map(|lifetime| lifetime.min(LONGEST))
    }

    fn check_size(self, entry: &BytesEntry<'_>) -> Result<(), BackendError> {
        let (size, limit) = (entry.value.len(), self.value_limit);
        if size <= limit {
            return Ok(());
        }
        let message = format!(
            "the value is too large: it has {size} bytes, more than {limit}; raise \"max_value_bytes\""
        );
        Err(BackendError::new(ErrorKind::InvalidValue, message).for_key(entry.key))
    }

    fn sets<'k>(self, entries: &[&BytesEntry<'k>]) -> Vec<Command<'k>> {
        let Some((first, rest)) = entries.split_first() else { return Vec::new() };
        let expires = entries.iter().any(|entry| self.lifetime(entry.options).is_some());
        if rest.is_empty() || expires || self.is_spread {
            return entries.iter().map(|entry| self.set(entry)).collect();
        }
        let set = Command::new("MSET", first.key, Expected::Done).arg(first.value);
        vec![rest.iter().fold(set, |set, entry| set.arg(entry.key).arg(entry.value))]
    }

    fn set<'k>(self, entry: &BytesEntry<'k>) -> Command<'k> {
        let set = |name| Command::new(name, entry.key, Expected::Done);
        match self.lifetime(entry.options) {
            None => set("SET").arg(entry.value),
            Some(lifetime) if lifetime.subsec_nanos() == 0 && lifetime.as_secs() > 0 => {
                set("SETEX").arg(lifetime.as_secs()).arg(entry.value)
            }
            Some(lifetime) => set("PSETEX").arg(fence::milliseconds(lifetime)).arg(entry.value),
        }
    }
}

impl<'k, T> Exchange<'k, T> {
    fn new(
        commands: Vec<Command<'k>>,
        access: Access,
        read: impl FnOnce(Vec<Reply>) -> Result<T, BackendError> + Send + 'static,
    ) -> Self {
        Exchange { commands, access, more_keys: Vec::new(), read: Box::new(read) }
    }
}

fn get(key: &str) -> Command<'_> {
    Command::new("GET", key, Expected::Value)
}

fn delete(key: &str) -> Command<'_> {
    Command::new("DEL", key, Expected::Integer)
}

/// Returns the value in a reply to `GET`. A key of another type, such as a list, is a miss, as with `MGET`.
fn value(reply: Reply) -> Result<Found, BackendError> {
    if reply.code() == Some("WRONGTYPE") { Ok(None) } else { reply.string() }
}

/// Returns an error if a script stored fewer values than it was given.
fn stored_all(stored: i64, given: usize) -> Result<(), BackendError> {
    let stored = usize::try_from(stored).unwrap_or(0);
    if stored >= given {
        return Ok(());
    }
    let message = format!(
        "did not store {} of {given} values: the locks of their creators expired or were taken over",
        given - stored
    );
    Err(BackendError::new(ErrorKind::Fenced, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_lifetime_replaces_that_of_the_region() {
        let seconds = Duration::from_secs;
        let exchanges = |expiration_time| Exchanges {
            expiration_time,
            value_limit: 1,
            is_spread: false,
            is_fencing: false,
        };
        let kept = StoreOptions::new().with_keep_for(seconds(5));
        assert_eq!(exchanges(None).lifetime(&kept), Some(seconds(5)));
        assert_eq!(exchanges(Some(seconds(600))).lifetime(&kept), Some(seconds(600)));
        assert_eq!(exchanges(Some(seconds(1))).lifetime(&kept), Some(seconds(1)));
        assert_eq!(exchanges(None).lifetime(&StoreOptions::new()), None);
    }
}
