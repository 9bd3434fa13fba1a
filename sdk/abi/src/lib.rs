//! The stable binary interface between `dogpile` and its plugins.
//!
//! Everything that crosses the FFI boundary between a host and a loaded library is laid out here, and nowhere else: values
//! ([`CachedValue`]), backends ([`BackendObject`]), mutexes ([`MutexObject`]), the library's root module
//! ([`PluginRoot`]), and the log that the host lends to it ([`HostRef`]). It is also the only crate of the project with
//! `unsafe` code, and the only one that knows `abi_stable`.
//!
//! Plugin authors do not use it. They implement the traits of `dogpile-sdk`, which adapts them to these layouts. The version
//! of this crate is part of the layout that is checked when a library is opened, so it changes only with the interface.
//! Methods may be added at the end of a table (a minor version). Nothing else may change.

#![deny(unsafe_op_in_unsafe_fn)]
#![allow(unreachable_pub, reason = "the StableAbi derive makes public companions of the tables")]

mod attributes;
mod backend;
mod bytes;
mod completion;
mod contain;
mod error;
mod host;
mod interface;
mod library;
mod mutex;
mod mutex_operations;
mod object;
mod operations;
mod options;
mod plugin;
mod running;
mod value;
mod visitor;

pub use crate::attributes::Attributes;
pub use crate::backend::{BackendObject, StableBackend};
pub use crate::bytes::Bytes;
pub use crate::completion::{CompletionObject, StableCompletion};
pub use crate::contain::{panic_message, record_panic_location};
pub use crate::error::{AbiError, AbiErrorParts};
pub use crate::host::{Host, HostRef, LogRecord};
pub use crate::library::{OpenError, OpenLibrary};
pub use crate::mutex::{MutexObject, StableMutex};
pub use crate::mutex_operations::{MutexOperationsObject, StableMutexOperations};
pub use crate::object::Object;
pub use crate::operations::{OperationsObject, StableOperations};
pub use crate::options::{OptionsRef, StableEntry, StableOptions};
pub use crate::plugin::{
    EntryInfo, EntryKind, HEADER_SYMBOL, Plugin, PluginHeader, PluginRoot, PluginRootRef, plugin_header,
};
pub use crate::running::{RunningObject, StableRunning};
pub use crate::value::{CachedValue, CreationTime, Metadata, Payload};
pub use crate::visitor::Visitor;

/// The types of `abi_stable` that appear in the signatures of this crate.
pub mod std_types {
    pub use abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString, RVec, Tuple2};
}

/// The version of the binary interface that this crate was built as.
pub const ABI_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The compiler that this crate was built with.
pub const COMPILER: &str = env!("DOGPILE_COMPILER");
