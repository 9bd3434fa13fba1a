//! [`RedisLocks`]: locks on the server, each a key that expires.

// Source: dogpile.cache `backends/redis.py`, `_RedisLockWrapper`, and redis-py `lock.py`.

use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::lease::{Asleep, LeaseStore, LeaseWait};
use dogpile_sdk::{BackendError, Fence};

use crate::command::{Access, Command, Repeat};
use crate::fence;
use crate::servers::{Servers, run_one};
use crate::wakeup::Wakeups;

/// Sets the lock. An existing lock with our token counts as acquired: the reply to an earlier attempt was lost.
const ACQUIRE: &str = "if redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('get', KEYS[1]) == ARGV[1] then return 1 else return 0 end";
const RELEASE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
/// Does what [`RELEASE`] does and notifies waiters. `pcall` lets a user without the right to publish release, too.
const RELEASE_AND_NOTIFY: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) redis.pcall('publish', ARGV[2], '') return 1 else return 0 end";
const RENEW: &str = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";

/// The lease store of a Redis server: its locks are keys with an expiration time.
#[derive(Debug)]
pub(crate) struct RedisLocks {
    servers: Arc<dyn Servers>,
    prefix: String,
    wakeups: Option<Wakeups>,
}

impl RedisLocks {
    pub(crate) fn new(servers: Arc<dyn Servers>, prefix: String, wakeup: bool) -> Self {
        let wakeups = wakeup.then(|| Wakeups::new(Arc::clone(&servers)));
        RedisLocks { servers, prefix, wakeups }
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
        let name = self.name(key);
        let attempt = Command::script(ACQUIRE, &name).arg(token).arg(millis(lease));
        let taken = run_one(&*self.servers, attempt, Access::Write, Repeat::Harmless)?;
        if taken {
            self.servers.catch_up(key);
        }
        Ok(taken)
    }

    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        let name = self.name(key);
        let renewal = Command::script(RENEW, &name).arg(token).arg(millis(lease));
        run_one(&*self.servers, renewal, Access::Write, Repeat::Harmless)
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let name = self.name(key);
        let removal = match &self.wakeups {
            Some(_) => Command::script(RELEASE_AND_NOTIFY, &name).arg(token).arg(Wakeups::channel(&name)),
            None => Command::script(RELEASE, &name).arg(token),
        };
        run_one(&*self.servers, removal, Access::Write, Repeat::Never)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let name = self.name(key);
        // `Access::Write` asks the master, because a replica may lag.
        run_one(&*self.servers, Command::new("EXISTS", &name), Access::Write, Repeat::Harmless)
    }

    fn fence(&self, key: &str, token: &str) -> Option<Fence> {
        // In a cluster, a lock and its value are on different servers.
        (!self.servers.is_sharded()).then(|| fence::fence(&self.name(key), token))
    }

    fn wait<'w>(&'w self, key: &'w str) -> Box<dyn LeaseWait + 'w> {
        match &self.wakeups {
            Some(wakeups) => wakeups.wait(self.name(key)),
            None => Box::new(Asleep),
        }
    }
}
