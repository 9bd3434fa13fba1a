//! The memcached backends of dogpile.
//!
//! | entry point | follows, in protocol, choice of server, flags and compression |
//! |---|---|
//! | `dogpile.cache.memcached` | python-memcached |
//! | `dogpile.cache.pymemcache` | pymemcache |
//! | `dogpile.cache.pylibmc` | pylibmc |
//! | `dogpile.cache.bmemcached` | python-binary-memcached |
//!
//! Arguments: [`MemcachedConfig`]. The [`client`] can be used by itself.
//!
//! Source: dogpile.cache `backends/memcached.py`.

#![forbid(unsafe_code)]

mod backend;
pub mod client;
mod compression;
mod config;
mod error;
mod expiry;
mod mutex;

pub use crate::backend::MemcachedBackend;
pub use crate::config::{Behaviors, Failure, KeepaliveOptions, MemcachedConfig, TlsContext, Urls};
