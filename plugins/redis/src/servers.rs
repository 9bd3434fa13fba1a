//! [`Servers`]: where commands go.

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

/// A command, and the key that says which server it is for.
pub(crate) struct Command<'k> {
    key: &'k str,
    command: Cmd,
}

impl<'k> Command<'k> {
    /// `name` with `key` as its first argument.
    pub(crate) fn new(name: &str, key: &'k str) -> Self {
        let mut command = redis::cmd(name);
        command.arg(key);
        Command { key, command }
    }

    /// `script`, whose only key is `key`.
    pub(crate) fn script(script: &str, key: &'k str) -> Self {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(key);
        Command { key, command }
    }

    pub(crate) fn arg(mut self, argument: impl redis::ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }
}

/// Whether a command changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Whether a command may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is doing it once.
    Harmless,
    /// It must not be done twice.
    Never,
}

/// The server or servers of a backend.
pub(crate) trait Servers: fmt::Debug + Send + Sync + 'static {
    /// Runs `commands`, in one round trip to each server that has a part in it. Answers in their order; a refusal by the
    /// server is an answer.
    ///
    /// # Errors
    /// If a server cannot be reached or asked. Some of the commands may have been run.
    fn run(
        &self,
        commands: &[Command<'_>],
        access: Access,
        repeat: Repeat,
    ) -> Result<Vec<Value>, BackendError>;

    /// Whether each command has a key of its own: what names several may be for several servers.
    fn is_spread(&self) -> bool;

    /// Returns the backend's scope, which names the servers and the database, and contains no password.
    fn scope(&self) -> String;

    /// A connection to the server of `key` on which it may tell what nobody asked it.
    ///
    /// # Errors
    /// If the server is not known, or cannot be reached.
    fn listen(&self, key: &str) -> Result<Connection, BackendError>;

    /// Reads of `key` must see, from now on, all that was written before.
    fn catch_up(&self, key: &str) {
        let _ = key;
    }
}

/// The servers that `config` names.
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

/// Runs one command, whose answer is a `T`.
pub(crate) fn run_one<T: FromRedisValue>(
    servers: &dyn Servers,
    command: Command<'_>,
    access: Access,
    repeat: Repeat,
) -> Result<T, BackendError> {
    let answers = servers.run(&[command], access, repeat)?;
    let answer = answers.into_iter().next();
    read(answer.ok_or_else(|| BackendError::new(ErrorKind::Other, "the Redis server did not answer"))?)
}

/// An answer as a `T`.
///
/// # Errors
/// If it is a refusal, or something else.
pub(crate) fn read<T: FromRedisValue>(answer: Value) -> Result<T, BackendError> {
    let answer = answer.extract_error().map_err(error::of)?;
    T::from_redis_value(answer).map_err(|error| error::of(error.into()))
}

/// The code of a refusal.
fn refusal(answer: &Value) -> Option<&str> {
    match answer {
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
