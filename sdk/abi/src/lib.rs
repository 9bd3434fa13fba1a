//! The stable binary interface between `dogpile` and its plugins.
//!
//! Everything that crosses the FFI boundary between a host and a loaded library is laid out here, and nowhere else:
//! values ([`CachedValue`]), backends (`BackendObject`), mutexes (`MutexObject`), asynchronous calls
//! (`OperationsObject`, `CompletionObject`, `RunningObject`), the library's root module (`PluginRoot`), and the log that
//! the host lends to it (`HostRef`). It is also the only crate of the project with `unsafe` code, and the only one that
//! knows `abi_stable`.
//!
//! Without the feature `plugins`, which is off by default, this crate has only the types of values, facts about processes
//! ([`process_id`], [`is_secure_execution`], `peer_of`), and no dependencies. The feature adds all that crosses as a table of functions.
//!
//! Plugin authors do not use it. They implement the traits of `dogpile-sdk`, which adapts them to these layouts. The
//! version of this crate is part of the layout that is checked when a library is opened, so it changes only with the
//! interface.
//!
//! # Frozen as version 1
//! Libraries that were built against any version 1 work in any later host of version 1, and the reverse. Therefore:
//! * A function may be added at the end of a table, with a fallback for tables without it. That is a new minor version.
//! * Nothing else may change: no type, no field, no order, no parameter. Anything else is a new major version, which no
//!   older library works with.
//!
//! `layout.txt` records the layouts, and a test fails if they differ.

#![deny(unsafe_op_in_unsafe_fn)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(unreachable_pub, reason = "the StableAbi derive makes public companions of the tables")]

mod attributes;
#[cfg(feature = "plugins")]
mod backend;
mod bytes;
#[cfg(feature = "plugins")]
mod completion;
mod contain;
#[cfg(feature = "plugins")]
mod error;
#[cfg(feature = "plugins")]
mod host;
#[cfg(feature = "plugins")]
mod interface;
#[cfg(feature = "plugins")]
mod library;
#[cfg(feature = "plugins")]
mod mutex;
#[cfg(feature = "plugins")]
mod mutex_operations;
mod object;
#[cfg(feature = "plugins")]
mod operations;
#[cfg(feature = "plugins")]
mod options;
#[cfg(unix)]
mod peer;
#[cfg(feature = "plugins")]
mod plugin;
mod process;
#[cfg(feature = "plugins")]
mod running;
mod value;
#[cfg(feature = "plugins")]
mod visitor;

pub use crate::attributes::Attributes;
pub use crate::bytes::Bytes;
pub use crate::contain::{panic_message, record_panic_location, take_panic_location};
pub use crate::object::Object;
#[cfg(unix)]
pub use crate::peer::{Peer, peer_of};
pub use crate::process::{is_secure_execution, process_id};
pub use crate::value::{CachedValue, CreationTime, Metadata, Payload};
#[cfg(feature = "plugins")]
pub use crate::{
    backend::{BackendObject, StableBackend},
    completion::{CompletionObject, StableCompletion},
    error::{AbiError, AbiErrorParts},
    host::{Host, HostRef, LogRecord},
    library::{OpenError, OpenLibrary},
    mutex::{MutexObject, StableMutex},
    mutex_operations::{MutexOperationsObject, StableMutexOperations},
    operations::{OperationsObject, StableOperations},
    options::{OptionsRef, StableEntry, StableOptions},
    plugin::{
        EntryInfo, EntryKind, HEADER_SYMBOL, Plugin, PluginHeader, PluginRoot, PluginRootRef, plugin_header,
    },
    running::{RunningObject, StableRunning},
    visitor::Visitor,
};

/// The types of `abi_stable` that appear in the signatures of this crate.
#[cfg(feature = "plugins")]
pub mod std_types {
    pub use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString, RVec, Tuple2};
}

/// The version of the binary interface that this crate was built as.
pub const ABI_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The compiler that this crate was built with.
#[cfg(feature = "plugins")]
pub const COMPILER: &str = env!("DOGPILE_COMPILER");
