//! [`MemcachedOperations`]: the asynchronous calls of a backend.

use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::envelope::{open, seal};
use dogpile_sdk::{
    BackendError, BytesEntry, CachedValue, Completion, Entry, Operations, Running, StoreOptions,
};

use super::client::{AsyncClient, Outcomes};
use super::owned::Owned;
use crate::calls::Calls;
use crate::client::{Operation, Outcome};

/// The asynchronous calls of a backend.
#[derive(Debug)]
pub(crate) struct MemcachedOperations {
    calls: Arc<Calls>,
    client: Arc<AsyncClient>,
}

impl MemcachedOperations {
    pub(crate) fn new(calls: Arc<Calls>, client: Arc<AsyncClient>) -> Self {
        MemcachedOperations { calls, client }
    }

    /// Checks the keys and runs `operations`.
    fn run(
        &self,
        operations: Vec<Arc<Owned>>,
        deadline: Instant,
        receive: impl FnOnce(Outcomes) + Send + 'static,
    ) -> Running {
        if let Err(error) = Calls::check(operations.iter().map(|operation| operation.operation().key())) {
            receive(Err(error));
            return Running::done();
        }
        self.client.run_repeatedly(&self.calls, operations, deadline, receive)
    }

    fn get(
        &self,
        keys: &[&str],
        complete: impl FnOnce(Result<Vec<Option<CachedValue>>, BackendError>) + Send + 'static,
    ) -> Running {
        let gets = keys.iter().map(|key| Owned::new(&Operation::Get { key })).collect();
        let (calls, client) = (Arc::clone(&self.calls), Arc::clone(&self.client));
        self.run(gets, self.client.deadline(), move |outcomes| match outcomes {
            Ok(outcomes) if Calls::is_long(&outcomes) => {
                client.aside(move || complete(opened(&calls, outcomes)));
            }
            outcomes => complete(outcomes.and_then(|outcomes| opened(&calls, outcomes))),
        })
    }

    fn store(
        &self,
        entries: &[BytesEntry<'_>],
        complete: impl FnOnce(Result<(), BackendError>) + Send + 'static,
    ) -> Running {
        let (calls, client) = (Arc::clone(&self.calls), Arc::clone(&self.client));
        let stored = entries.iter().map(|entry| {
            let encoded = calls.values().encoded(entry.value);
            (Owned::new(&calls.store(entry, &encoded)), encoded.0.len())
        });
        let (operations, lengths): (Vec<_>, Vec<_>) = stored.unzip();
        let (sent, deadline) = (operations.clone(), self.client.deadline());
        self.run(operations, deadline, move |outcomes| match outcomes {
            Ok(outcomes) => {
                let keys = sent.iter().map(|operation| operation.operation().key());
                let rejected = Calls::rejected(keys, &outcomes).into_iter();
                let deletes = rejected.map(|key| Owned::new(&Operation::Delete { key, cas: None }));
                let deletes: Vec<_> = deletes.collect();
                let logging = Arc::clone(&calls);
                let end = move || complete(all_stored(&calls, &sent, &lengths, outcomes));
                if deletes.is_empty() {
                    return end();
                }
                // It goes on even if its caller no longer waits.
                drop(client.run(deletes, deadline, move |deleted| {
                    logging.log_remaining(deleted.unwrap_or_default());
                    end();
                }));
            }
            Err(error) => complete(Err(error)),
        })
    }

    fn delete(
        &self,
        keys: &[&str],
        complete: impl FnOnce(Result<(), BackendError>) + Send + 'static,
    ) -> Running {
        let deletes = keys.iter().map(|key| Owned::new(&Operation::Delete { key, cas: None })).collect();
        self.run(deletes, self.client.deadline(), |outcomes| {
            complete(outcomes.and_then(|outcomes| outcomes.into_iter().try_for_each(Calls::deleted)));
        })
    }
}

/// Returns the values of the replies.
fn opened(calls: &Calls, outcomes: Vec<Outcome>) -> Result<Vec<Option<CachedValue>>, BackendError> {
    let mut left = calls.values().total();
    let found = outcomes.into_iter().map(|outcome| calls.found(outcome, &mut left));
    found.map(|found| found.map(|found| found.and_then(open))).collect()
}

/// Returns the first error of values that were not stored.
fn all_stored(
    calls: &Calls,
    operations: &[Arc<Owned>],
    lengths: &[usize],
    outcomes: Vec<Outcome>,
) -> Result<(), BackendError> {
    let mut stored = operations.iter().zip(lengths).zip(outcomes);
    stored.try_for_each(|((operation, length), outcome)| {
        let operation = operation.operation();
        calls.stored(&operation, *length, outcome).map_err(|error| error.for_key(operation.key()))
    })
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

impl Operations for MemcachedOperations {
    fn begin_get(&self, key: &str, completion: Completion<Option<CachedValue>>) -> Running {
        let complete = for_key("get", key, completion);
        self.get(&[key], |found| complete(found.map(|mut found| found.pop().flatten())))
    }

    fn begin_get_multi(&self, keys: &[&str], completion: Completion<Vec<Option<CachedValue>>>) -> Running {
        if keys.is_empty() {
            return done(completion, Ok(Vec::new()));
        }
        self.get(keys, during("get_multi", completion))
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
        self.delete(&[key], for_key("delete", key, completion))
    }

    fn begin_delete_multi(&self, keys: &[&str], completion: Completion<()>) -> Running {
        if keys.is_empty() {
            return done(completion, Ok(()));
        }
        self.delete(keys, during("delete_multi", completion))
    }
}
