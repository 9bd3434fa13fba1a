//! The file backend of dogpile: `dogpile.cache.dbm`, one SQLite file that many processes share.
//!
//! The table is that of Python 3.13's default dbm, and the lock files are those of dogpile.cache. Arguments:
//! [`DbmConfig`].
//!
//! Source: dogpile.cache `backends/file.py`.

#![forbid(unsafe_code)]

mod backend;
mod config;
mod connection;
mod file_lock;
mod mutex;

pub use crate::backend::DbmBackend;
pub use crate::config::{DbmConfig, Lockfile, Synchronous};
pub use crate::file_lock::FileLock;
