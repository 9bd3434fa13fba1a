//! What a backend stores. The types are laid out in `dogpile-abi`, so that a value crosses to a library and
//! back without being taken apart.

pub use dogpile_abi::{Bytes, CachedValue, CreationTime, Metadata, Object, Payload};
