//! A plugin-extensible caching framework: regions, the dogpile lock, backends and proxies by name.
//!
//! An application names *regions*; a region sits on a *backend* found by its entry-point name, under a stack of
//! *proxies*. Values are made by *creators* under the *dogpile lock*: one caller creates, the others get the old
//! value at once or, if there is none, wait for the new one.
//!
//! ```
//! use std::time::Duration;
//!
//! use dogpile::{CacheRegion, RegionConfig};
//!
//! static PRICES: CacheRegion = CacheRegion::new("prices");
//!
//! PRICES.configure(RegionConfig::new("dogpile.cache.memory").expiration_time(Duration::from_secs(60)))?;
//! let price = PRICES.get_or_create("tea", || 350)?;
//! assert_eq!(price, 350);
//! # Ok::<(), dogpile::RegionError>(())
//! ```
//!
//! * [`CacheRegion`] and [`RegionConfig`]: what applications call, and how it is set up from code.
//! * [`Configuration`]: the same from a TOML file; [`RegionConfig::from_flat`] from an ini file's section.
//! * [`Registry`]: where entry points come from: linked crates, plugin libraries, code.
//! * [`lock`]: the dogpile lock on its own.
//! * [`sdk`]: what backends and proxies implement.

#![forbid(unsafe_code)]

mod bundled;
mod clock;
mod config;
mod decision;
mod error;
mod expiration;
mod invalidation;
mod key;
pub mod lock;
pub mod proxy;
mod region;
pub mod registry;
mod runner;
pub mod serializer;
mod shorten;
mod value;

pub use dogpile_sdk as sdk;

pub use crate::clock::{Clock, ManualClock, SystemClock};
pub use crate::config::{Configuration, ConfigurationError, FlatError, Regions};
pub use crate::error::{CreateError, RegionError};
pub use crate::expiration::{Expiration, InvalidExpiration};
pub use crate::invalidation::{DefaultInvalidationStrategy, RegionInvalidationStrategy, Validity};
pub use crate::key::{length_conditional_mangler, sha1_mangle_key};
pub use crate::region::{
    BackgroundCall, CacheAll, CacheRegion, CallOptions, RegionConfig, ShouldCache, ValueMetadata,
};
pub use crate::registry::Registry;
pub use crate::runner::{AsyncCreationRunner, Creation, PoolRunner, ThreadRunner};
pub use crate::value::{CacheValue, InMemory};

/// Keeps the programs of the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
