//! [`Command`] and [`Reply`]: what is sent to a server, and what it returns.

use std::sync::Arc;

use dogpile_sdk::BackendError;
use redis::{Cmd, FromRedisValue, Value};

use crate::error;

/// A command, and the key that selects its server.
pub(crate) struct Command<'k> {
    pub(crate) key: &'k str,
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

/// The reply to a command, and the server that sent it.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) value: Value,
    pub(crate) server: Arc<str>,
}

impl Reply {
    /// Returns the code of an error reply, such as `MOVED`.
    pub(crate) fn code(&self) -> Option<&str> {
        match &self.value {
            Value::ServerError(error) => Some(error.code()),
            _ => None,
        }
    }

    /// Converts the reply to a `T`.
    ///
    /// # Errors
    /// If it is an error reply, or if it has another type.
    pub(crate) fn read<T: FromRedisValue>(self) -> Result<T, BackendError> {
        let Reply { value, server } = self;
        let value = value.extract_error().map_err(|failure| error::of(failure, &server))?;
        T::from_redis_value(value).map_err(|failure| error::of(failure.into(), &server))
    }
}

/// Packs `commands` for one write.
pub(crate) fn pack<'c, 'k: 'c>(commands: impl IntoIterator<Item = &'c Command<'k>>) -> Vec<u8> {
    let mut packed = Vec::new();
    for Command { command, .. } in commands {
        command.write_packed_command(&mut packed);
    }
    packed
}
