//! A single server as [`Servers`].

use dogpile_sdk::BackendError;
use redis::Connection;

use super::run::Servers;
use crate::command::{Access, Command, Repeat, Reply, pack};
use crate::pool::Pool;

impl Servers for Pool {
    fn run(
        &self,
        commands: &[Command<'_>],
        _access: Access,
        repeat: Repeat,
    ) -> Result<Vec<Reply>, BackendError> {
        self.ask(&pack(commands), commands.len(), repeat)
    }

    fn is_spread(&self) -> bool {
        false
    }

    fn scope(&self) -> String {
        format!("redis://{}", self.server())
    }

    fn listen(&self, _key: &str) -> Result<Connection, BackendError> {
        self.connect_to_listen().map_err(|error| self.error(error))
    }
}
