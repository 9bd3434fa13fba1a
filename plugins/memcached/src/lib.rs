//! The memcached backends of dogpile.
//!
//! To share a cache with Python, name a serializer in the Python region, and the same one here. Without one, a Python client
//! pickles a Python class, which cannot be read here.
//!
//! | entry point | Python client whose protocol, distribution, flags, and compression it follows |
//! |---|---|
//! | `dogpile.cache.memcached` | python-memcached |
//! | `dogpile.cache.pymemcache` | pymemcache |
//! | `dogpile.cache.pylibmc` | pylibmc |
//! | `dogpile.cache.bmemcached` | python-binary-memcached |
//!
//! With the feature `tokio`, the backends have asynchronous calls, on a runtime that they own. Without it, a host runs their
//! blocking calls on threads.
//!
//! [`MemcachedConfig`] documents the arguments. The [`client`] can be used on its own.

// Source: dogpile.cache `backends/memcached.py`.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "tokio")]
mod asynchronous;
mod backend;
mod calls;
pub mod client;
mod compression;
mod config;
mod error;
mod expiry;
mod lock_items;
mod mutex;
mod values;

pub use crate::backend::MemcachedBackend;
pub use crate::config::{
    Behaviors, Failure, KeepaliveOptions, MEMCACHED_FOREIGN, MemcachedConfig, OTHER_FOREIGN,
    PYMEMCACHE_FOREIGN, Switch, TlsContext, Urls,
};
