//! The table of values, with the asynchronous calls of the SDK.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use dogpile_sdk::{AsyncBytesBackend, BackendError, Capabilities, OwnedBytesEntry, StoreOptions};
use tokio_postgres::Error;

use crate::backend::Postgres;
use crate::command::Command;
use crate::link::Repeat;
use crate::session::Session;

impl Postgres {
    /// Runs `call` on the next connection.
    async fn run<T, F>(&self, call: impl Fn(Arc<Session>) -> F + Send + Sync) -> Result<T, BackendError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let link = self.link();
        link.run(link.deadline(), Repeat::Harmless, call).await
    }
}

impl AsyncBytesBackend for Postgres {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let bytes = key.as_bytes();
        self.run(|session| async move {
            let rows = session.query(Command::Get, &[&bytes]).await?;
            // A table that was made by hand may allow `NULL`, which counts as missing.
            rows.first().map_or(Ok(None), |row| row.try_get(0))
        })
        .await
        .map_err(|error| error.during("get").for_key(key))
    }

    async fn set(&self, key: &str, value: Vec<u8>, options: &StoreOptions) -> Result<(), BackendError> {
        let stored = self.store(vec![OwnedBytesEntry::new(key, value, options.clone())]).await;
        stored.map_err(|error| error.during("set").for_key(key))
    }

    async fn delete(&self, key: &str) -> Result<(), BackendError> {
        let bytes = key.as_bytes();
        self.run(|session| async move { session.execute(Command::Delete, &[&bytes]).await })
            .await
            .map(drop)
            .map_err(|error| error.during("delete").for_key(key))
    }

    async fn get_multi(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        let wanted: &Vec<_> = &keys.iter().map(|key| key.as_bytes()).collect();
        let found: HashMap<Vec<u8>, Option<Vec<u8>>> = self
            .run(|session| async move {
                let rows = session.query(Command::GetMulti, &[wanted]).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
            })
            .await
            .map_err(|error| error.during("get_multi"))?;
        Ok(wanted.iter().map(|key| found.get(*key).cloned().flatten()).collect())
    }

    async fn set_multi(&self, entries: Vec<OwnedBytesEntry>) -> Result<(), BackendError> {
        self.store(entries).await.map_err(|error| error.during("set_multi"))
    }

    async fn delete_multi(&self, keys: &[&str]) -> Result<(), BackendError> {
        let keys: &Vec<_> = &keys.iter().map(|key| key.as_bytes()).collect();
        self.run(|session| async move { session.execute(Command::DeleteMulti, &[keys]).await })
            .await
            .map(drop)
            .map_err(|error| error.during("delete_multi"))
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn health(&self) -> Result<(), BackendError> {
        let checked = self.run(|session| async move { session.ping().await }).await;
        checked.map_err(|error| error.during("health"))
    }

    async fn close(&self) -> Result<(), BackendError> {
        self.close_all();
        Ok(())
    }
}
