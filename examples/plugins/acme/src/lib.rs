//! An example of a third party's plugin: the backend `acme.shelf` and the proxy `acme.hit_counter`.
//!
//! An application links it with `use acme_dogpile as _;`, or loads the library that `dylib/` makes of it.

#![forbid(unsafe_code)]

mod hit_counter;
mod shelf;

pub use crate::hit_counter::{HitCounter, HitCounterConfig};
pub use crate::shelf::Shelf;

/// The guide to plugins. Its code is compiled and run here, where everything that it needs is available.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../../docs/plugins.md")]
    mod plugins {}
}
