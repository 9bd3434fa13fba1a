//! [`RedisLocks`]: locks on the server, each a key that expires.

// Source: dogpile.cache `backends/redis.py`, `_RedisLockWrapper`, and redis-py `lock.py`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "tokio")]
use dogpile_sdk::lease::LeaseOperations;
use dogpile_sdk::lease::{Asleep, LeaseStore, LeaseWait};
use dogpile_sdk::{BackendError, Fence, PerProcess};

#[cfg(feature = "tokio")]
use crate::asynchronous::{Client, LockOperations};
use crate::command::{Access, Command, Repeat};
use crate::fence;
use crate::lock_command;
use crate::resp::Expected;
use crate::servers::{Servers, only};
use crate::wakeup::Wakeups;

/// The lease store of a Redis server: its locks are keys with an expiration time.
#[derive(Debug)]
pub(crate) struct RedisLocks {
    servers: Arc<dyn Servers>,
    prefix: String,
    /// The threads and connections of a parent process are not those of its child.
    wakeups: Option<PerProcess<Arc<Wakeups>>>,
    #[cfg(feature = "tokio")]
    client: Arc<Client>,
}

impl RedisLocks {
    pub(crate) fn new(
        servers: Arc<dyn Servers>,
        prefix: String,
        wakeup: bool,
        #[cfg(feature = "tokio")] client: Arc<Client>,
    ) -> Self {
        let wakeups = wakeup.then(|| {
            let servers = Arc::clone(&servers);
            PerProcess::new(move || Arc::new(Wakeups::new(Arc::clone(&servers))), |_| {})
        });
        RedisLocks {
            servers,
            prefix,
            wakeups,
            #[cfg(feature = "tokio")]
            client,
        }
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

impl LeaseStore for RedisLocks {
    fn acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        let name = self.name(key);
        let taken = self.run_until(lock_command::acquire(&name, token, lease), Repeat::Harmless, deadline)?;
        if taken {
            self.servers.catch_up(key);
        }
        Ok(taken)
    }

    fn renew(&self, key: &str, token: &str, lease: Duration) -> Result<bool, BackendError> {
        let name = self.name(key);
        self.run(lock_command::renew(&name, token, lease), Repeat::Harmless)
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let name = self.name(key);
        let channel = self.wakeups.as_ref().map(|_| Wakeups::channel(&name));
        let removal = lock_command::release(&name, token, channel.as_deref());
        self.run(removal, Repeat::Never)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        self.run(Command::new("EXISTS", &self.name(key), Expected::Verdict), Repeat::Harmless)
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

    #[cfg(feature = "tokio")]
    fn operations(&self) -> Option<Arc<dyn LeaseOperations>> {
        let (client, servers) = (Arc::clone(&self.client), Arc::clone(&self.servers));
        let channel = self.wakeups.as_ref().map(|_| Wakeups::channel as fn(&str) -> String);
        Some(Arc::new(LockOperations::new(client, servers, self.prefix.clone(), channel)))
    }

    fn wait<'w>(&'w self, key: &'w str) -> Box<dyn LeaseWait + 'w> {
        match &self.wakeups {
            Some(wakeups) => wakeups.get().wait(self.name(key)),
            None => Box::new(Asleep),
        }
    }
}
