//! A worked example of a third party's plugin: the backend `postgres.table`.
//!
//! Values are rows of a table on a PostgreSQL server, and so are the locks of their creators. An application links this
//! crate with `use postgres_dogpile as _;`, or loads the library that `dylib/` makes of it.
//!
//! * `config.rs` reads the arguments, and `server.rs` keeps what they say about the server.
//! * `schema.rs` and `command.rs` contain all SQL.
//! * `session.rs` is one connection, and `link.rs` keeps one open. `failure.rs` explains errors.
//! * `backend.rs` has the connections, and registers the backend.
//! * `values.rs` implements the SDK's `AsyncBytesBackend`, with `storing.rs` and `batch.rs`. `purge.rs` removes expired rows.
//! * `locks.rs` implements the SDK's `AsyncLeaseStore`. `fence.rs` ties the two tables.

#![forbid(unsafe_code)]

mod backend;
mod batch;
mod command;
mod config;
mod failure;
mod fence;
mod link;
mod locks;
mod purge;
mod schema;
mod server;
mod session;
mod storing;
mod values;

pub use crate::backend::Postgres;
pub use crate::config::PostgresConfig;
