//! The values that backends store.
//!
//! The types are defined in `dogpile-abi`, so that a value crosses the FFI boundary without being copied or converted.

pub use dogpile_abi::{Attributes, Bytes, CachedValue, CreationTime, Metadata, Object, Payload};
