//! [`Values`]: the table of values, with the asynchronous calls of the SDK.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use dogpile_sdk::{
    AsyncBytesBackend, BackendError, Capabilities, ErrorKind, OwnedBytesEntry, StoreOptions, bounds,
};
use futures_util::future::try_join_all;
use tokio_postgres::Error;

use crate::batch::{batches, sorted};
use crate::command::Command;
use crate::config::PostgresConfig;
use crate::fence;
use crate::link::{Link, Repeat};
use crate::purge::Purges;
use crate::server::Server;
use crate::session::Session;

/// The most bytes of a key. An entry of the index has at most 2704 bytes.
pub(crate) const MOST_KEY_BYTES: usize = 2000;

/// The values. Calls take turns on the connections.
#[derive(Debug)]
pub(crate) struct Values {
    links: Vec<Arc<Link>>,
    next: AtomicUsize,
    purges: Purges,
    time_to_live: Option<Duration>,
    max_value_bytes: usize,
    capabilities: Capabilities,
}

impl Values {
    pub(crate) fn new(server: &Arc<Server>, arguments: &PostgresConfig) -> Self {
        let capabilities = Capabilities::default()
            .with_key_limit(MOST_KEY_BYTES)
            .with_value_limit(arguments.max_value_bytes as u64)
            .with_native_expiry()
            .with_native_batch()
            .with_scope(server.scope());
        Values {
            links: (0..arguments.connections).map(|_| Arc::new(Link::new(Arc::clone(server)))).collect(),
            next: AtomicUsize::new(0),
            purges: Purges::new(arguments.purge_interval),
            time_to_live: arguments.time_to_live,
            max_value_bytes: arguments.max_value_bytes,
            capabilities: if arguments.distributed_lock { capabilities.with_fencing() } else { capabilities },
        }
    }

    fn link(&self) -> &Arc<Link> {
        &self.links[self.next.fetch_add(1, Relaxed) % self.links.len()]
    }

    /// Runs `call` on the next connection.
    async fn run<T, F>(&self, call: impl Fn(Arc<Session>) -> F + Send + Sync) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let link = self.link();
        link.run(link.deadline(), Repeat::Harmless, call).await
    }

    /// Returns an error if the store does not accept the key or the value.
    fn check(&self, entry: &OwnedBytesEntry) -> Result<(), BackendError> {
        let refused = |kind, what, size, most| {
            let message = format!("the {what} has {size} bytes, but the limit is {most}");
            Err(BackendError::new(kind, message).for_key(&*entry.key))
        };
        match (entry.key.len(), entry.value.len()) {
            (size, _) if size > MOST_KEY_BYTES => refused(ErrorKind::InvalidKey, "key", size, MOST_KEY_BYTES),
            (_, size) if size > self.max_value_bytes => {
                refused(ErrorKind::InvalidValue, "value", size, self.max_value_bytes)
            }
            _ => Ok(()),
        }
    }

    /// Returns the lifetime of a value in seconds, or `None` if it stays.
    fn lifetime(&self, options: &StoreOptions) -> Option<f64> {
        let lifetime = options.keep_for.or(self.time_to_live)?;
        Some(lifetime.min(bounds::LONGEST).as_secs_f64())
    }

    /// Stores entries without fences.
    async fn store(&self, link: &Link, entries: &[OwnedBytesEntry]) -> Result<(), BackendError> {
        let deadline = link.deadline();
        for batch in batches(entries) {
            let keys: &Vec<_> = &batch.iter().map(|entry| entry.key.as_bytes()).collect();
            let values: &Vec<_> = &batch.iter().map(|entry| &*entry.value).collect();
            let lifetimes: &Vec<_> = &batch.iter().map(|entry| self.lifetime(&entry.options)).collect();
            link.run(deadline, Repeat::Harmless, |session| async move {
                session.execute(Command::SetMulti, &[keys, values, lifetimes]).await
            })
            .await?;
        }
        Ok(())
    }

    /// Stores each entry in a statement of its own, if its lock is still held. The requests are sent together.
    async fn store_fenced(&self, link: &Link, entries: &[OwnedBytesEntry]) -> Result<(), BackendError> {
        let changed = link
            .run(link.deadline(), Repeat::Harmless, |session| async move {
                let stored = entries.iter().map(|entry| self.store_one(&session, entry));
                try_join_all(stored).await
            })
            .await?;
        let refused = changed.iter().zip(entries).find(|(changed, _)| **changed == 0);
        refused.map_or(Ok(()), |(_, entry)| Err(fenced(&entry.key)))
    }

    /// Returns the number of rows that were stored. It is 0 if the lock of a fence is no longer held.
    async fn store_one(&self, session: &Session, entry: &OwnedBytesEntry) -> Result<u64, Error> {
        let (key, lifetime) = (entry.key.as_bytes(), self.lifetime(&entry.options));
        let Some(fence) = &entry.options.fence else {
            return session.execute(Command::Set, &[&key, &entry.value, &lifetime]).await;
        };
        let (locked, token) = fence::read(fence);
        let locked = locked.as_bytes();
        session.execute(Command::SetFenced, &[&key, &entry.value, &lifetime, &locked, &token]).await
    }
}

impl AsyncBytesBackend for Values {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let key = key.as_bytes();
        self.run(|session| async move {
            let rows = session.query(Command::Get, &[&key]).await?;
            rows.first().map(|row| row.try_get(0)).transpose()
        })
        .await
    }

    async fn set(&self, key: &str, value: Vec<u8>, options: &StoreOptions) -> Result<(), BackendError> {
        self.set_multi(vec![OwnedBytesEntry::new(key, value, options.clone())]).await
    }

    async fn delete(&self, key: &str) -> Result<(), BackendError> {
        let key = key.as_bytes();
        self.run(|session| async move { session.execute(Command::Delete, &[&key]).await }).await.map(drop)
    }

    async fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let wanted: &Vec<_> = &keys.iter().map(|key| key.as_bytes()).collect();
        let found = self
            .run(|session| async move {
                let rows = session.query(Command::GetMulti, &[wanted]).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
            })
            .await?;
        let found: HashMap<Vec<u8>, Vec<u8>> = found;
        Ok(wanted.iter().map(|key| found.get(*key).cloned()).collect())
    }

    async fn set_multi(&self, entries: Vec<OwnedBytesEntry>) -> Result<(), BackendError> {
        entries.iter().try_for_each(|entry| self.check(entry))?;
        let link = self.link();
        if entries.iter().any(|entry| entry.options.fence.is_some()) {
            self.store_fenced(link, &entries).await?;
        } else {
            self.store(link, &sorted(entries)).await?;
        }
        self.purges.after_set(link);
        Ok(())
    }

    async fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let keys: &Vec<_> = &keys.iter().map(|key| key.as_bytes()).collect();
        self.run(|session| async move { session.execute(Command::DeleteMulti, &[keys]).await })
            .await
            .map(drop)
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn health(&self) -> Result<(), BackendError> {
        self.run(|session| async move { session.ping().await }).await
    }

    async fn close(&self) -> Result<(), BackendError> {
        self.links.iter().for_each(|link| link.close());
        Ok(())
    }
}

fn fenced(key: &str) -> BackendError {
    BackendError::new(ErrorKind::Fenced, "the value was not stored: its lock is no longer held").for_key(key)
}
