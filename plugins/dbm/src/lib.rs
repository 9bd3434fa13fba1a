//! The file backends of dogpile: one file that many processes share.
//!
//! | entry point | keeps values in |
//! |---|---|
//! | `dogpile.cache.dbm` | one SQLite file, the table of Python 3.13's default dbm |
//! | `dogpile.cache.lmdb` | one LMDB file |
//!
//! The lock files are those of dogpile.cache. Arguments: [`DbmConfig`] and [`LmdbConfig`].
//!
//! Source: dogpile.cache `backends/file.py`.

#![deny(unsafe_code)]

mod backend;
mod config;
mod connection;
mod disk;
mod error;
mod file_lock;
mod limits;
mod lmdb;
mod mutex;
mod thread_lock;

pub use crate::backend::DbmBackend;
pub use crate::config::{DbmConfig, LmdbConfig, LockKind, Lockfile, Synchronous};
pub use crate::file_lock::{AbstractFileLock, FileLock, LockFactory};
pub use crate::lmdb::LmdbBackend;
pub use crate::thread_lock::ThreadLock;
