//! The in-process backends of dogpile.
//!
//! | entry point | keeps |
//! |---|---|
//! | `dogpile.cache.memory` | the values themselves, shared and never serialised |
//! | `dogpile.cache.memory_pickle` | a serialised copy of each value |
//! | `dogpile.cache.null` | nothing |
//!
//! Arguments: [`MemoryConfig`]; the null backend takes none. From code, [`MemoryBackend`] also works on a map of
//! the caller's ([`CacheMap`]).
//!
//! Source: dogpile.cache `backends/memory.py` and `backends/null.py`.

#![forbid(unsafe_code)]

mod backend;
mod bounded;
mod config;
mod key;
mod map;
mod null;
mod unbounded;

pub use crate::backend::MemoryBackend;
pub use crate::config::MemoryConfig;
pub use crate::map::CacheMap;
pub use crate::null::{NullBackend, NullMutex};
