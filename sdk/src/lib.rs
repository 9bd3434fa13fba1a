//! The traits of backends, mutexes, and proxies, and the macros that register them.
//!
//! A backend is a type with three methods and one line that registers it under its entry-point name:
//!
//! ```
//! use std::{collections::HashMap, sync::Mutex};
//!
//! use dogpile_sdk::{BackendError, CacheBackend, CachedValue, NoArguments, StoreOptions};
//!
//! #[derive(Debug, Default)]
//! struct Shelf(Mutex<HashMap<String, CachedValue>>);
//!
//! impl CacheBackend for Shelf {
//!     fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
//!         Ok(self.0.lock().unwrap().get(key).cloned())
//!     }
//!     fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
//!         self.0.lock().unwrap().insert(key.to_owned(), value);
//!         Ok(())
//!     }
//!     fn delete(&self, key: &str) -> Result<(), BackendError> {
//!         self.0.lock().unwrap().remove(key);
//!         Ok(())
//!     }
//! }
//!
//! dogpile_sdk::register_backend! {
//!     name: "acme.shelf",
//!     config: NoArguments,
//!     build: |_| Ok::<_, BackendError>(Shelf::default()),
//! }
//! ```
//!
//! The same line serves an application that links the crate (`use acme_shelf as _;`) and one that loads it as a
//! library. For the latter, a wrapper crate of type `cdylib` depends on it and calls [`export_plugin!`].
//!
//! A backend that stores bytes implements [`BytesBackend`] instead. If its client is asynchronous, it implements
//! [`AsyncBytesBackend`], and `OnTokio` (feature `tokio`) runs it. A pipelining client implements [`Operations`], on an
//! `OwnedRuntime` (feature `tokio`) or on threads of its own. For mutexes of processes that share a server, see [`lease`].
//! A wrapper around other backends implements [`ProxyBackend`], or [`ValueProxy`] if it only transforms values.
//! `dogpile-conformance` checks that each keeps its contract.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod arguments;
mod async_backend;
mod async_mutex;
mod backend;
mod blocking;
mod bytes;
mod capabilities;
mod completion;
mod contained;
mod contained_mutex;
mod contained_operations;
mod entry;
pub mod envelope;
mod error;
mod error_chain;
mod ignoring;
pub mod lease;
mod log_limit;
mod mutex;
mod nearest;
mod no_mutex;
#[cfg(feature = "tokio")]
mod on_tokio;
mod operations;
mod options;
#[cfg(feature = "tokio")]
mod owned_runtime;
mod panicked;
mod pending;
mod per_process;
mod proxy;
mod running;
#[cfg(feature = "plugins")]
mod stable;
mod value;
mod value_proxy;
mod weak_registry;

pub use crate::arguments::{
    Arguments, Conversion, ForeignArgument, ForeignArguments, NoArguments, OSLO_CACHE, bounds, list, seconds,
};
pub use crate::async_backend::{AsyncBytesBackend, OwnedBytesEntry};
pub use crate::async_mutex::{AsyncMutex, BoxedMutex};
pub use crate::backend::{CacheBackend, KeyMangler};
pub use crate::bytes::{BytesBackend, Enveloped};
pub use crate::capabilities::{Capabilities, KeyBytes};
pub use crate::completion::Completion;
pub use crate::contained::ContainedBackend;
pub use crate::entry::{BackendEntry, BuildBackend, BuildProxy, IntoProxy, ProxyEntry, TranslateArguments};
pub use crate::error::{BackendError, ErrorKind};
pub use crate::error_chain::{ErrorChain, error_chain};
pub use crate::log_limit::{LogLimit, Suppressed};
pub use crate::mutex::CacheMutex;
pub use crate::nearest::{did_you_mean, nearest};
#[cfg(feature = "tokio")]
pub use crate::on_tokio::OnTokio;
pub use crate::operations::{MutexOperations, Operations};
pub use crate::options::{BytesEntry, Entry, Fence, StoreOptions};
#[cfg(feature = "tokio")]
pub use crate::owned_runtime::OwnedRuntime;
pub use crate::pending::Pending;
pub use crate::per_process::{PerProcess, process_id};
pub use crate::proxy::{ProxyBackend, proxy};
pub use crate::running::Running;
#[cfg(feature = "plugins")]
pub use crate::stable::{ExportedBackend, LoadedBackend};
pub use crate::value::{Attributes, Bytes, CachedValue, CreationTime, Metadata, Object, Payload};
pub use crate::value_proxy::{ValueProxy, value_proxy};
pub use crate::weak_registry::WeakRegistry;

/// The version of this crate.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the macros expand to; not for direct use.
#[doc(hidden)]
pub mod __private {
    pub use dogpile_abi as abi;
    pub use inventory;

    pub use crate::entry::{argument_names, build_backend, build_proxy, translate};
    #[cfg(feature = "plugins")]
    pub use crate::stable::{Exported, ExportedPlugin};
}

/// Compiles the program of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
