//! [`RedisOperations`]: the asynchronous calls of a backend.

use std::sync::Arc;

use dogpile_sdk::envelope::{open, seal};
use dogpile_sdk::{
    BackendError, BytesEntry, CachedValue, Completion, Entry, Operations, Running, StoreOptions,
};

use super::client::{Client, Commands};
use crate::command::Repeat;
use crate::exchange::{Exchange, Exchanges, Found};

/// The asynchronous calls of a backend.
#[derive(Debug)]
pub(crate) struct RedisOperations {
    exchanges: Exchanges,
    client: Arc<Client>,
}

impl RedisOperations {
    pub(crate) fn new(exchanges: Exchanges, client: Arc<Client>) -> Self {
        RedisOperations { exchanges, client }
    }

    /// Carries an exchange to the servers. What it returns is passed to `complete` as the outcome.
    fn run<T: 'static>(
        &self,
        exchange: Exchange<'_, T>,
        complete: impl FnOnce(Result<T, BackendError>) + Send + 'static,
    ) -> Running {
        let Exchange { commands, access, more_keys, read } = exchange;
        let receive = move |replies: Result<_, _>| complete(replies.and_then(read));
        let (commands, more_keys) = (&commands[..], &more_keys[..]);
        self.client.run(&Commands { commands, access, repeat: Repeat::Harmless, more_keys }, receive)
    }

    fn store(
        &self,
        entries: &[BytesEntry<'_>],
        complete: impl FnOnce(Result<(), BackendError>) + Send + 'static,
    ) -> Running {
        match self.exchanges.set_multi(entries) {
            Ok(exchange) => self.run(exchange, complete),
            Err(error) => {
                complete(Err(error));
                Running::done()
            }
        }
    }
}

/// Completes a call of one key.
fn for_key<T>(
    operation: &'static str,
    key: &str,
    completion: Completion<T>,
) -> impl FnOnce(Result<T, BackendError>) + Send + 'static
where
    T: Send + 'static,
{
    let key: Box<str> = key.into();
    move |outcome| completion.complete(outcome.map_err(|error| error.during(operation).for_key(&*key)))
}

/// Completes a call of many keys.
fn during<T: Send + 'static>(
    operation: &'static str,
    completion: Completion<T>,
) -> impl FnOnce(Result<T, BackendError>) + Send + 'static {
    move |outcome| completion.complete(outcome.map_err(|error| error.during(operation)))
}

/// Completes a call that has nothing to do.
fn done<T>(completion: Completion<T>, outcome: Result<T, BackendError>) -> Running {
    completion.complete(outcome);
    Running::done()
}

impl Operations for RedisOperations {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        let complete = for_key("get", key, completion);
        self.run(Exchanges::get(key), |found| complete(found.map(|found| found.and_then(open))))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        if keys.is_empty() {
            return done(completion, Ok(Vec::new()));
        }
        let complete = during("get_multi", completion);
        let open_all = |found: Vec<Found>| found.into_iter().map(|found| found.and_then(open)).collect();
        self.run(self.exchanges.get_multi(keys), move |found| complete(found.map(open_all)))
    }

    fn begin_set(
        &self,
        key: &str,
        value: CachedValue,
        options: &StoreOptions,
        completion: Completion<()>,
    ) -> Running {
        match seal(key, &value) {
            Ok(sealed) => {
                let complete = for_key("set", key, completion);
                self.store(&[BytesEntry::new(key, &sealed, options)], complete)
            }
            Err(error) => done(completion, Err(error)),
        }
    }

    fn begin_set_multi(&self, entries: Vec<Entry>, completion: Completion<()>) -> Running {
        if entries.is_empty() {
            return done(completion, Ok(()));
        }
        let sealed = entries.iter().map(|entry| seal(&entry.key, &entry.value));
        let sealed = match sealed.collect::<Result<Vec<Vec<u8>>, BackendError>>() {
            Ok(sealed) => sealed,
            Err(error) => return done(completion, Err(error)),
        };
        let entries = entries.iter().zip(&sealed);
        let entries: Vec<_> =
            entries.map(|(entry, value)| BytesEntry::new(&entry.key, value, &entry.options)).collect();
        self.store(&entries, during("set_multi", completion))
    }

    fn begin_delete(&self, key: &str, completion: Completion<()>) -> Running {
        self.run(self.exchanges.delete_multi(&[key]), for_key("delete", key, completion))
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        if keys.is_empty() {
            return done(completion, Ok(()));
        }
        self.run(self.exchanges.delete_multi(keys), during("delete_multi", completion))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use dogpile_sdk::{Bytes, CreationTime, ErrorKind, Metadata, Payload};

    use super::*;
    use crate::config::{Deployment, RedisConfig};
    use crate::fence;
    use crate::servers::{Deployed, deploy};

    fn entry(key: &str) -> Entry {
        let payload = Payload::Bytes(Bytes::from(&b"1"[..]));
        let value = CachedValue { payload, metadata: Metadata::new(CreationTime::from_seconds(1.0)) };
        let fence = fence::fence(&format!("_lock{key}"), "0123");
        Entry::new(key, value).with_options(StoreOptions::new().with_fence(fence))
    }

    #[test]
    fn keys_of_a_fenced_store_are_read_from_the_master_afterwards() {
        // The script that stores them is one command, whose key is the first one. Nothing listens on port 1.
        let config = r#"{"sentinels": ["127.0.0.1:1"], "socket_timeout": 0.5}"#;
        let config: RedisConfig = serde_json::from_str(config).unwrap();
        let deployed = deploy(&config, Deployment::Sentinel).unwrap();
        let Deployed::Sentinel(sentinel) = deployed.clone() else { panic!("it was not deployed so") };
        let exchanges =
            Exchanges { expiration_time: None, value_limit: 1000, is_spread: false, is_fencing: true };
        let operations = RedisOperations::new(exchanges, Arc::new(Client::new(deployed)));
        let recent = || ["first", "second", "third", "other"].map(|key| sentinel.get().is_recent(key));
        assert_eq!(recent(), [false; 4]);
        let (send, outcome) = channel();
        let entries = ["first", "second", "third"].map(entry).into();
        let _running =
            operations.begin_set_multi(entries, Completion::new(move |outcome| send.send(outcome).unwrap()));
        // The master may run it at any time from now on.
        assert_eq!(recent(), [true, true, true, false]);
        let error = outcome.recv_timeout(Duration::from_secs(30)).unwrap().unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some("set_multi")));
    }
}
