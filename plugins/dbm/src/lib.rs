//! The file backends of dogpile: one file that many processes share.
//!
//! To share a `dogpile.cache.dbm` file with Python, set `serializer = "pickle"` in the region: Python's dogpile.cache pickles
//! values unless its region names a serializer, and dogpile for Rust writes JSON.
//!
//! | entry point | stores values in |
//! |---|---|
//! | `dogpile.cache.dbm` | one SQLite file with the table of Python 3.13's default dbm |
//! | `dogpile.cache.lmdb` | one LMDB file |
//!
//! The lock files are those of dogpile.cache. [`DbmConfig`] and [`LmdbConfig`] document the arguments.

// Source: dogpile.cache `backends/file.py`.

#![deny(unsafe_code)]

mod backend;
mod config;
mod connection;
mod create;
mod deadline;
mod disk;
mod error;
mod file_lock;
mod lane;
mod limits;
mod lmdb;
mod lock;
mod lock_factory;
mod mode;
mod mutex;
mod pool;
#[cfg(target_os = "linux")]
mod range_lock;
mod schema;
mod stripe_lock;
mod thread_lock;

pub use crate::backend::DbmBackend;
pub use crate::config::{DbmConfig, FOREIGN, LmdbConfig, LockKind, Lockfile, Synchronous};
pub use crate::file_lock::FileLock;
pub use crate::lmdb::LmdbBackend;
pub use crate::lock::AbstractFileLock;
pub use crate::lock_factory::LockFactory;
pub use crate::thread_lock::ThreadLock;
