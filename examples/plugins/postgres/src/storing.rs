//! How values are stored: checked, divided into statements, and tied to their locks.

use dogpile_sdk::{BackendError, ErrorKind, OwnedBytesEntry, StoreOptions};
use futures_util::future::try_join_all;
use tokio_postgres::Error;

use crate::backend::{MOST_KEY_BYTES, Postgres};
use crate::batch::{batches, sorted};
use crate::command::{Command, seconds};
use crate::fence;
use crate::link::{Link, Repeat};
use crate::session::Session;

impl Postgres {
    /// Stores `entries`, and starts a purge if it is time.
    pub(crate) async fn store(&self, entries: Vec<OwnedBytesEntry>) -> Result<(), BackendError> {
        entries.iter().try_for_each(|entry| self.check(entry))?;
        let link = self.link();
        if entries.iter().any(|entry| entry.options.fence.is_some()) {
            self.store_fenced(link, &entries).await?;
        } else {
            self.store_unfenced(link, &sorted(entries)).await?;
        }
        self.purges.after_set();
        Ok(())
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
        Some(seconds(options.keep_for.or(self.time_to_live)?))
    }

    /// Stores entries without fences.
    async fn store_unfenced(&self, link: &Link, entries: &[OwnedBytesEntry]) -> Result<(), BackendError> {
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

fn fenced(key: &str) -> BackendError {
    BackendError::new(ErrorKind::Fenced, "the value was not stored: its lock is no longer held").for_key(key)
}
