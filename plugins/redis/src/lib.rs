//! The Redis and Valkey backends of dogpile.
//!
//! | entry point | keeps values on |
//! |---|---|
//! | `dogpile.cache.redis` | one Redis server |
//! | `dogpile.cache.redis_sentinel` | a master and its replicas, which sentinels tell |
//! | `dogpile.cache.redis_cluster` | the masters of a cluster, each with a part of the keys |
//! | `dogpile.cache.valkey`, `.._sentinel`, `.._cluster` | Valkey servers; the same code, the same arguments |
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
mod servers;
mod wakeup;

pub use crate::backend::RedisBackend;
pub use crate::config::{ConnectionOptions, KeepaliveOptions, Node, RedisConfig};
