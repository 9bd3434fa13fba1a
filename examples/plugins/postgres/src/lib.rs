//! A worked example of a third party's plugin: the backend `postgres.table`.
//!
//! Values are rows of a table on a PostgreSQL server, and so are the locks of their creators. An application links this
//! crate with `use postgres_dogpile as _;`, or loads the library that `dylib/` makes of it.
//!
//! * `config.rs` reads the arguments, and `server.rs` keeps what they say about the server.
//! * `schema.rs` and `command.rs` contain all SQL.
//! * `session.rs` is one connection, and `link.rs` keeps one open. `failure.rs` explains errors.
//! * `values.rs` and `values/storing.rs` implement the SDK's `AsyncBytesBackend`, with `batch.rs`, and `purge.rs` removes
//!   expired rows.
//! * `locks.rs` implements the SDK's `LeaseStore` by the commands in `lock_table.rs`. `fence.rs` ties the two tables.
//! * `backend.rs` joins values and locks, and registers the backend.

#![forbid(unsafe_code)]

mod backend;
mod batch;
mod command;
mod config;
mod failure;
mod fence;
mod link;
mod lock_table;
mod locks;
mod purge;
mod schema;
mod server;
mod session;
mod values;

pub use crate::backend::Postgres;
pub use crate::config::PostgresConfig;
