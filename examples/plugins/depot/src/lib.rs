//! An example of a third party's plugin over another crate: the backend `depot.moka`.
//!
//! An application links it with `use depot_dogpile as _;`, or loads the library that `dylib/` makes of it.

#![forbid(unsafe_code)]

mod backend;
mod config;

pub use crate::backend::MokaBackend;
pub use crate::config::MokaConfig;
