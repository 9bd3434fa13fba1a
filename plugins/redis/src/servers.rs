//! [`Servers`]: sends commands to the server or servers of a backend.

mod cluster;
mod recent;
mod sentinel;
mod slots;

use std::fmt;
use std::sync::Arc;

use dogpile_sdk::{BackendError, ErrorKind};
use redis::{Cmd, Connection, FromRedisValue, Value};

pub(crate) use self::cluster::Cluster;
pub(crate) use self::sentinel::Sentinel;
use crate::config::{Deployment, RedisConfig};
use crate::error;
use crate::pool::{Limits, Pool};

/// A command, and the key that selects its server.
pub(crate) struct Command<'k> {
    key: &'k str,
    command: Cmd,
}

impl<'k> Command<'k> {
    /// Creates the command `name` with `key` as its first argument.
    pub(crate) fn new(name: &str, key: &'k str) -> Self {
        let mut command = redis::cmd(name);
        command.arg(key);
        Command { key, command }
    }

    /// Creates a command that runs `script` with `key` as its only key.
    pub(crate) fn script(script: &str, key: &'k str) -> Self {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(key);
        Command { key, command }
    }

    /// Creates a command that runs `script` with pairs of keys. `key` selects its server.
    pub(crate) fn script_of(script: &str, key: &'k str, keys: &[(&str, &str)]) -> Self {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(keys.len() * 2);
        keys.iter().for_each(|(first, second)| {
            command.arg(first).arg(second);
        });
        Command { key, command }
    }

    pub(crate) fn arg(mut self, argument: impl redis::ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }
}

/// Whether a command only reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Whether a command may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Sending it twice has the same effect as sending it once.
    Harmless,
    /// It must not be sent twice.
    Never,
}

/// The server or servers of a backend.
pub(crate) trait Servers: fmt::Debug + Send + Sync + 'static {
    /// Runs `commands` in one round trip per server, and returns the replies in order.
    ///
    /// An error reply from a server is a reply, not an error of this call.
    ///
    /// # Errors
    /// If a server cannot be reached, or if a connection fails. Some of the commands may have been run.
    fn run(
        &self,
        commands: &[Command<'_>],
        access: Access,
        repeat: Repeat,
    ) -> Result<Vec<Value>, BackendError>;

    /// Returns whether keys may be on different servers.
    ///
    /// If so, each command must have a single key.
    fn is_spread(&self) -> bool;

    /// Returns the backend's scope, which names the servers and the database, and contains no password.
    fn scope(&self) -> String;

    /// Opens a connection to the server of `key` that can receive published messages.
    ///
    /// # Errors
    /// If the server is unknown or cannot be reached.
    fn listen(&self, key: &str) -> Result<Connection, BackendError>;

    /// Makes later reads of `key` see everything that was written before this call.
    fn catch_up(&self, key: &str) {
        let _ = key;
    }
}

/// Creates the servers that `config` names, without connecting.
pub(crate) fn servers(
    config: &RedisConfig,
    deployment: Deployment,
) -> Result<Arc<dyn Servers>, BackendError> {
    config.check(deployment)?;
    let options = config.options(deployment);
    let limits = Limits::new(config, &options)?;
    Ok(match deployment {
        Deployment::Single => Arc::new(Pool::new(config.server(&options)?, limits)?),
        Deployment::Sentinel => Arc::new(Sentinel::new(config, options, limits)?),
        Deployment::Cluster => Arc::new(Cluster::new(config, options, limits)?),
    })
}

impl Servers for Pool {
    fn run(
        &self,
        commands: &[Command<'_>],
        _access: Access,
        repeat: Repeat,
    ) -> Result<Vec<Value>, BackendError> {
        self.ask(&pack(commands), commands.len(), repeat)
    }

    fn is_spread(&self) -> bool {
        false
    }

    fn scope(&self) -> String {
        format!("redis://{}", self.server())
    }

    fn listen(&self, _key: &str) -> Result<Connection, BackendError> {
        self.connect_to_listen().map_err(error::of)
    }
}

/// Runs one command and converts its reply.
pub(crate) fn run_one<T: FromRedisValue>(
    servers: &dyn Servers,
    command: Command<'_>,
    access: Access,
    repeat: Repeat,
) -> Result<T, BackendError> {
    let replies = servers.run(&[command], access, repeat)?;
    let reply = replies.into_iter().next();
    read(reply.ok_or_else(|| BackendError::new(ErrorKind::Other, "the Redis server did not answer"))?)
}

/// Converts a reply to a `T`.
///
/// # Errors
/// If it is an error reply, or if it has another type.
pub(crate) fn read<T: FromRedisValue>(reply: Value) -> Result<T, BackendError> {
    let reply = reply.extract_error().map_err(error::of)?;
    T::from_redis_value(reply).map_err(|error| error::of(error.into()))
}

/// Returns the code of an error reply, such as `MOVED`.
fn refusal(reply: &Value) -> Option<&str> {
    match reply {
        Value::ServerError(error) => Some(error.code()),
        _ => None,
    }
}

fn pack<'c, 'k: 'c>(commands: impl IntoIterator<Item = &'c Command<'k>>) -> Vec<u8> {
    let mut packed = Vec::new();
    for Command { command, .. } in commands {
        command.write_packed_command(&mut packed);
    }
    packed
}
