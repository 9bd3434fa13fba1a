//! [`RedisLocks`]: locks on the server, each a key that vanishes by itself.
//!
//! Source: dogpile.cache `backends/redis.py`, `_RedisLockWrapper`, and redis-py `lock.py`.

use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::BackendError;
use dogpile_sdk::lease::LeaseStore;

use crate::pool::{Pool, Repeat};

const RELEASE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
const RENEW: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";

#[derive(Debug)]
pub(crate) struct RedisLocks {
    pool: Arc<Pool>,
    prefix: String,
}

impl RedisLocks {
    pub(crate) fn new(pool: Arc<Pool>, prefix: String) -> Self {
        RedisLocks { pool, prefix }
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

fn millis(lease: Duration) -> u64 {
    u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl LeaseStore for RedisLocks {
    fn acquire(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        // The second command, in the same round trip, finds a lock of ours whose answer was lost.
        let mut attempt = redis::pipe();
        attempt.cmd("SET").arg(self.name(key)).arg(token).arg("NX").arg("PX").arg(millis(lease));
        attempt.cmd("GET").arg(self.name(key));
        let (set, holder): (bool, Option<Vec<u8>>) =
            self.pool.run(Repeat::Harmless, |connection| attempt.query(connection))?;
        Ok(set || holder.as_deref() == Some(token.as_bytes()))
    }

    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        let mut renewal = redis::cmd("EVAL");
        renewal.arg(RENEW).arg(1).arg(self.name(key)).arg(token).arg(millis(lease));
        self.pool.run(Repeat::Harmless, |connection| renewal.query(connection))
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let mut removal = redis::cmd("EVAL");
        removal.arg(RELEASE).arg(1).arg(self.name(key)).arg(token);
        self.pool.run(Repeat::Never, |connection| removal.query(connection))
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let exists = redis::cmd("EXISTS").arg(self.name(key)).clone();
        self.pool.run(Repeat::Harmless, |connection| exists.query(connection))
    }
}
