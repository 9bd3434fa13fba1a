//! [`LockTable`]: the table of locks. Each method is one statement, so that the server compares and changes in one step.

use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind};
use tokio::time::Instant;

use crate::command::{Command, seconds};
use crate::link::{Link, Repeat};
use crate::server::Server;
use crate::values::MOST_KEY_BYTES;

/// The locks of all keys.
///
/// They have a connection of their own, so that a renewal does not wait behind the values of other keys. It waits for a
/// fenced store of its own key.
#[derive(Debug)]
pub(crate) struct LockTable(Link);

impl LockTable {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        LockTable(Link::new(server))
    }

    /// Returns the time at which a call that begins now reaches its limit.
    pub(crate) fn deadline(&self) -> Instant {
        self.0.deadline()
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.0.is_stuck()
    }

    pub(crate) fn close(&self) {
        self.0.close();
    }

    pub(crate) async fn acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        if key.len() > MOST_KEY_BYTES {
            let message = format!("the key has {} bytes, but the limit is {MOST_KEY_BYTES}", key.len());
            return Err(BackendError::new(ErrorKind::InvalidKey, message).for_key(key));
        }
        let (key, seconds) = (key.as_bytes(), seconds(lease));
        self.0
            .run(deadline, Repeat::Harmless, |session| async move {
                session.execute(Command::Acquire, &[&key, &token, &seconds]).await
            })
            .await
            .map(|changed| changed > 0)
    }

    pub(crate) async fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        let (key, seconds) = (key.as_bytes(), seconds(lease));
        self.0
            .run(self.deadline(), Repeat::Harmless, |session| async move {
                session.execute(Command::Renew, &[&key, &token, &seconds]).await
            })
            .await
            .map(|changed| changed > 0)
    }

    /// Repeating it would not be harmless: the second reply would be that the lock is gone.
    pub(crate) async fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let key = key.as_bytes();
        self.0
            .run(self.deadline(), Repeat::Never, |session| async move {
                let rows = session.query(Command::Release, &[&key, &token]).await?;
                // An expired lock has a row until it is purged.
                rows.first().map_or(Ok(false), |row| row.try_get(0))
            })
            .await
    }

    pub(crate) async fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let key = key.as_bytes();
        self.0
            .run(self.deadline(), Repeat::Harmless, |session| async move {
                let rows = session.query(Command::Locked, &[&key]).await?;
                rows.first().map_or(Ok(false), |row| row.try_get(0))
            })
            .await
    }
}
