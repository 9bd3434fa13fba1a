//! A single server as [`Servers`].

use std::time::Instant;

use dogpile_sdk::BackendError;

use super::run::Servers;
use crate::command::{Access, Command, Repeat, Reply, Request};
use crate::connection::Connection;
use crate::pool::Pool;

impl Servers for Pool {
    fn run_until(
        &self,
        commands: &[Command<'_>],
        _access: Access,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Vec<Reply>, BackendError> {
        self.ask(&Request::new(commands), repeat, deadline.min(self.deadline()))
    }

    fn next_deadline(&self) -> Instant {
        self.deadline()
    }

    fn is_spread(&self) -> bool {
        false
    }

    fn scope(&self) -> String {
        format!("redis://{}", self.name())
    }

    fn listen(&self, _key: &str, request: &Request) -> Result<Connection, BackendError> {
        Pool::listen(self, request, self.deadline())
    }

    fn is_stuck(&self, _key: &str) -> bool {
        Pool::is_stuck(self)
    }

    fn abandon(&self) {
        Pool::abandon(self);
    }
}
