//! [`RedisLocks`]: locks on the server, each a key that expires.

// Source: dogpile.cache `backends/redis.py`, `_RedisLockWrapper`, and redis-py `lock.py`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::{Asleep, LeaseStore, LeaseWait};
use dogpile_sdk::{BackendError, Fence, PerProcess};

use crate::command::{Access, Command, Repeat};
use crate::fence;
use crate::resp::Expected;
use crate::servers::{Servers, only};
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
    /// The threads and connections of a parent process are not those of its child.
    wakeups: Option<PerProcess<Arc<Wakeups>>>,
}

impl RedisLocks {
    pub(crate) fn new(servers: Arc<dyn Servers>, prefix: String, wakeup: bool) -> Self {
        let wakeups = wakeup.then(|| {
            let servers = Arc::clone(&servers);
            PerProcess::new(move || Arc::new(Wakeups::new(Arc::clone(&servers))), |_| {})
        });
        RedisLocks { servers, prefix, wakeups }
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Runs `command`, whose reply is an integer, on the master. Returns whether the integer is not 0.
    fn run(&self, command: Command<'_>, repeat: Repeat) -> Result<bool, BackendError> {
        self.run_until(command, repeat, self.servers.next_deadline())
    }

    fn run_until(
        &self,
        command: Command<'_>,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        // A replica may lag, so that even a read goes to the master.
        let replies = self.servers.run_until(&[command], Access::Write, repeat, deadline)?;
        Ok(only(replies)?.integer()? != 0)
    }
}

fn millis(lease: Duration) -> u64 {
    u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl LeaseStore for RedisLocks {
    fn acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        let name = self.name(key);
        let attempt = Command::script(ACQUIRE, &name).arg(token).arg(millis(lease));
        let taken = self.run_until(attempt, Repeat::Harmless, deadline)?;
        if taken {
            self.servers.catch_up(key);
        }
        Ok(taken)
    }

    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        let name = self.name(key);
        self.run(Command::script(RENEW, &name).arg(token).arg(millis(lease)), Repeat::Harmless)
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let name = self.name(key);
        let channel = Wakeups::channel(&name);
        let removal = match &self.wakeups {
            Some(_) => Command::script(RELEASE_AND_NOTIFY, &name).arg(token).arg(&*channel),
            None => Command::script(RELEASE, &name).arg(token),
        };
        self.run(removal, Repeat::Never)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        self.run(Command::new("EXISTS", &self.name(key), Expected::Integer), Repeat::Harmless)
    }

    fn fence(&self, key: &str, token: &str) -> Option<Fence> {
        // In a cluster, a lock and its value are on different servers.
        (!self.servers.is_sharded()).then(|| fence::fence(&self.name(key), token))
    }

    fn server<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Owned(self.servers.server(&self.name(key)))
    }

    fn is_stuck(&self, key: &str) -> bool {
        self.servers.is_stuck(&self.name(key))
    }

    fn wait<'w>(&'w self, key: &'w str) -> Box<dyn LeaseWait + 'w> {
        match &self.wakeups {
            Some(wakeups) => wakeups.get().wait(self.name(key)),
            None => Box::new(Asleep),
        }
    }
}
