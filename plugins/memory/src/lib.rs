//! The in-process backends of dogpile.
//!
//! | entry point | stores |
//! |---|---|
//! | `dogpile.cache.memory` | the values themselves, shared and never serialized |
//! | `dogpile.cache.memory_pickle` | a serialized copy of each value |
//! | `dogpile.cache.null` | nothing |
//!
//! [`MemoryConfig`] documents the arguments. The null backend has none. In code, [`MemoryBackend`] can also use the
//! caller's own map ([`CacheMap`]).

// Source: dogpile.cache `backends/memory.py` and `backends/null.py`.

#![forbid(unsafe_code)]

mod backend;
mod bounded;
mod config;
mod key;
mod map;
mod null;
mod thread_end;
mod unbounded;

pub use crate::backend::MemoryBackend;
pub use crate::config::{FOREIGN, MemoryConfig};
pub use crate::map::CacheMap;
pub use crate::null::{NullBackend, NullMutex};
