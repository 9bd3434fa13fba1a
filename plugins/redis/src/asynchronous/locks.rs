//! [`LockOperations`]: the asynchronous calls of locks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::lease::LeaseOperations;
use dogpile_sdk::{BackendError, Completion, ErrorKind, Running};

use super::client::{Client, Commands, Pause};
use crate::command::{Access, Command, Repeat, Reply};
use crate::lock_command;
use crate::servers::Servers;

/// The asynchronous calls of locks, for one mutex.
#[derive(Debug)]
pub(crate) struct LockOperations {
    client: Arc<Client>,
    servers: Arc<dyn Servers>,
    prefix: String,
    /// Returns the channel on which the release of a lock is published, unless none is.
    channel: Option<fn(&str) -> String>,
    /// When the last attempt began. A release that was published since then ends the next pause.
    ///
    /// If several tasks wait through one mutex, a task may miss a release during its attempt, and then polls.
    asked: Mutex<Instant>,
}

impl LockOperations {
    pub(crate) fn new(
        client: Arc<Client>,
        servers: Arc<dyn Servers>,
        prefix: String,
        channel: Option<fn(&str) -> String>,
    ) -> Self {
        LockOperations { client, servers, prefix, channel, asked: Mutex::new(Instant::now()) }
    }

    fn asked(&self) -> MutexGuard<'_, Instant> {
        // Ignore poison: no code panics while it holds this lock.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Runs `command`, whose reply is an integer, on the master. The outcome is whether the integer is not 0.
    fn run(
        &self,
        command: Command<'_>,
        repeat: Repeat,
        complete: impl FnOnce(Result<bool, BackendError>) + Send + 'static,
    ) -> Running {
        let receive = move |replies: Result<Vec<Reply>, _>| complete(replies.and_then(is_done));
        let commands = Commands { commands: &[command], access: Access::Write, repeat, more_keys: &[] };
        self.client.run(&commands, receive)
    }
}

fn is_done(replies: Vec<Reply>) -> Result<bool, BackendError> {
    let none = || BackendError::new(ErrorKind::Other, "a Redis server sent no reply");
    Ok(replies.into_iter().next().ok_or_else(none)?.integer()? != 0)
}

impl LeaseOperations for LockOperations {
    fn begin_acquire(
        &self,
        key: &str,
        token: &str,
        lease: Duration,
        completion: Completion<bool>,
    ) -> Running {
        *self.asked() = Instant::now();
        let (servers, name, key) = (Arc::clone(&self.servers), self.name(key), key.to_owned());
        let complete = move |taken| {
            if let Ok(true) = taken {
                servers.catch_up(&key);
            }
            completion.complete(taken);
        };
        self.run(lock_command::acquire(&name, token, lease), Repeat::Harmless, complete)
    }

    fn begin_release(&self, key: &str, token: &str, completion: Completion<bool>) -> Running {
        let name = self.name(key);
        let channel = self.channel.map(|channel| channel(&name));
        let removal = lock_command::release(&name, token, channel.as_deref());
        self.run(removal, Repeat::Never, |outcome| completion.complete(outcome))
    }

    fn begin_pause(&self, key: &str, limit: Duration, completion: Completion<bool>) -> Running {
        let lock = self.name(key);
        let channel = self.channel.map(|channel| channel(&lock));
        let pause = Pause { lock: &lock, channel: channel.as_deref(), since: *self.asked(), limit };
        self.client.pause(&pause, move |outcome| completion.complete(outcome))
    }
}
