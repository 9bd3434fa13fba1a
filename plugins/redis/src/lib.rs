//! The Redis and Valkey backends of dogpile.
//!
//! To share a cache with Python, set `serializer = "pickle"` in the region: Python's dogpile.cache pickles values unless its
//! region names a serializer, and dogpile for Rust writes JSON. Keys and locks are compatible as they are.
//!
//! | entry point | stores values on |
//! |---|---|
//! | `dogpile.cache.redis` | one Redis server |
//! | `dogpile.cache.redis_sentinel` | a master and its replicas, discovered through sentinels |
//! | `dogpile.cache.redis_cluster` | the masters of a cluster, each with a share of the keys |
//! | `dogpile.cache.valkey`, `.._sentinel`, `.._cluster` | Valkey servers, with the same arguments |
//!
//! With the feature `tokio`, the backends have asynchronous calls, on a runtime that they own. Without it, a host runs their
//! blocking calls on threads.
//!
//! See [`RedisConfig`] for the arguments. Keys, values, and locks are compatible with Python's dogpile.cache.

// Source: dogpile.cache `backends/redis.py` and `backends/valkey.py`.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "tokio")]
mod asynchronous;
mod backend;
mod command;
mod config;
mod connection;
mod error;
mod exchange;
mod fence;
mod guards;
mod lock_command;
mod mutex;
mod pool;
mod resp;
mod servers;
mod wakeup;

pub use crate::backend::RedisBackend;
pub use crate::config::{
    ConnectionOptions, KeepaliveOptions, Node, RedisConfig, SENTINEL_FOREIGN, SINGLE_FOREIGN,
};
