//! The Redis and Valkey backends of dogpile.
//!
//! | entry point | keeps values on |
//! |---|---|
//! | `dogpile.cache.redis` | one Redis server |
//! | `dogpile.cache.valkey` | one Valkey server; the same code, the same arguments |
//!
//! Arguments: [`RedisConfig`]. Keys, values and locks are those of Python's dogpile.cache.
//!
//! Source: dogpile.cache `backends/redis.py` and `backends/valkey.py`.

#![forbid(unsafe_code)]

mod backend;
mod config;
mod error;
mod mutex;
mod pool;

pub use crate::backend::RedisBackend;
pub use crate::config::RedisConfig;
