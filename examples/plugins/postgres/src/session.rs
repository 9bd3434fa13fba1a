//! [`Session`]: one open connection, with its prepared statements.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use dogpile_sdk::BackendError;
use futures_util::future::try_join_all;
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, NoTls, Row, Statement};

use crate::command::Command;
use crate::failure;
use crate::schema::Schema;
use crate::server::Server;

/// The parameters of a statement.
pub(crate) type Parameters<'p> = &'p [&'p (dyn ToSql + Sync)];

/// An open connection. Any number of calls share it: the client sends each request at once, and the server replies in
/// their order.
///
/// A call that is dropped leaves the connection usable. The client still receives the reply, and discards it.
pub(crate) struct Session {
    client: Client,
    /// One statement per command, in the order of [`Command::ALL`].
    statements: Vec<Statement>,
    /// Whether a call has used the connection.
    is_used: AtomicBool,
    _driver: Driver,
}

/// The task that sends and receives. It ends with the session, even if the server hangs.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    /// Connects, prepares the statements, and creates the tables if they are missing.
    ///
    /// It has no time limit of its own, so the caller sets one.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses the user or a statement.
    pub(crate) async fn open(server: &Server) -> Result<Self, BackendError> {
        let connected = server.config.connect(NoTls).await;
        let (client, connection) = connected.map_err(|error| failure::cannot_connect(&server.name, error))?;
        let name = server.name.clone();
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!("the connection to PostgreSQL server {name} ended: {error}");
            }
        });
        let driver = Driver(driver.abort_handle());
        let failed = |error| failure::failed(&server.name, error);
        client.batch_execute(&server.session_settings()).await.map_err(failed)?;
        let statements = match prepare(&client, &server.schema).await {
            Err(error) if is_table_missing(&error) && server.schema.is_created() => {
                server.schema.create(&client).await.map_err(failed)?;
                prepare(&client, &server.schema).await
            }
            prepared => prepared,
        };
        let statements = statements.map_err(failed)?;
        if !has_bytes(&statements) {
            return Err(failure::other_tables(&server.name));
        }
        Ok(Session { client, statements, is_used: AtomicBool::new(false), _driver: driver })
    }

    /// Returns whether the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Records that a call uses the connection, and returns whether another one did before.
    pub(crate) fn begin_use(&self) -> bool {
        self.is_used.swap(true, Relaxed)
    }

    /// Runs `command`, and returns the number of rows that it changed.
    pub(crate) async fn execute(&self, command: Command, parameters: Parameters<'_>) -> Result<u64, Error> {
        self.client.execute(self.statement(command), parameters).await
    }

    /// Runs `command`, and returns its rows.
    pub(crate) async fn query(
        &self,
        command: Command,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        self.client.query(self.statement(command), parameters).await
    }

    /// Sends an empty statement, to which a server that works replies.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.client.batch_execute("").await
    }

    fn statement(&self, command: Command) -> &Statement {
        &self.statements[command as usize]
    }
}

/// Prepares all statements. The requests are sent together.
async fn prepare(client: &Client, schema: &Schema) -> Result<Vec<Statement>, Error> {
    let texts = Command::ALL.map(|command| command.text(schema));
    try_join_all(texts.iter().map(|text| client.prepare(text))).await
}

/// Returns whether keys and values are bytes. The server converts the bytes that are stored to text if a column is text, so
/// that it refuses no statement then.
fn has_bytes(statements: &[Statement]) -> bool {
    let reading = [Command::Get, Command::GetMulti].map(|command| &statements[command as usize]);
    reading.iter().flat_map(|statement| statement.columns()).all(|column| *column.type_() == Type::BYTEA)
}

fn is_table_missing(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNDEFINED_TABLE)
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Session { client, statements: _, is_used, _driver: _ } = self;
        f.debug_struct("Session")
            .field("is_closed", &client.is_closed())
            .field("is_used", is_used)
            .finish_non_exhaustive()
    }
}
