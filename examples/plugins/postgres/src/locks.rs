//! The table of locks, with the asynchronous calls of the SDK. Each is one statement, so that the server compares and
//! changes in one step.

use std::borrow::Cow;
use std::time::Duration;

use dogpile_sdk::lease::AsyncLeaseStore;
use dogpile_sdk::{BackendError, ErrorKind, Fence};

use crate::backend::{MOST_KEY_BYTES, Postgres};
use crate::command::{Command, seconds};
use crate::fence;
use crate::link::Repeat;

impl AsyncLeaseStore for Postgres {
    async fn acquire(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        if key.len() > MOST_KEY_BYTES {
            let message = format!("the key has {} bytes, but the limit is {MOST_KEY_BYTES}", key.len());
            return Err(BackendError::new(ErrorKind::InvalidKey, message).for_key(key));
        }
        let (key, seconds) = (key.as_bytes(), seconds(lease));
        self.locks
            .run(self.locks.deadline(), Repeat::Harmless, |session| async move {
                session.execute(Command::Acquire, &[&key, &token, &seconds]).await
            })
            .await
            .map(|changed| changed > 0)
    }

    async fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        let (key, seconds) = (key.as_bytes(), seconds(lease));
        self.locks
            .run(self.locks.deadline(), Repeat::Harmless, |session| async move {
                session.execute(Command::Renew, &[&key, &token, &seconds]).await
            })
            .await
            .map(|changed| changed > 0)
    }

    /// Repeating it would not be harmless: the second reply would be that the lock is gone.
    async fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let key = key.as_bytes();
        self.locks
            .run(self.locks.deadline(), Repeat::Never, |session| async move {
                let rows = session.query(Command::Release, &[&key, &token]).await?;
                // An expired lock has a row until it is purged.
                rows.first().map_or(Ok(false), |row| row.try_get(0))
            })
            .await
    }

    async fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let key = key.as_bytes();
        self.locks
            .run(self.locks.deadline(), Repeat::Harmless, |session| async move {
                let rows = session.query(Command::Locked, &[&key]).await?;
                rows.first().map_or(Ok(false), |row| row.try_get(0))
            })
            .await
    }

    fn fence(&self, key: &str, token: &str) -> Option<Fence> {
        Some(fence::fence(key, token))
    }

    /// All locks are on one server.
    fn server<'k>(&self, _key: &'k str) -> Cow<'k, str> {
        Cow::Borrowed("postgresql")
    }

    fn is_stuck(&self, _key: &str) -> bool {
        self.locks.is_stuck()
    }
}
