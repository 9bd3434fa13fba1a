//! Configurations of regions: a TOML document, or the flat names of an ini file.

#[cfg(feature = "toml")]
mod document;
#[cfg(feature = "toml")]
mod error;
#[cfg(feature = "toml")]
mod file;
mod flat;
mod flat_policy;
mod names;
mod oslo;
#[cfg(feature = "toml")]
mod place;
#[cfg(feature = "toml")]
mod spelling;
#[cfg(feature = "toml")]
mod toml_document;

pub use self::flat::FlatError;
pub use self::oslo::{OSLO_CACHE_BACKENDS, OSLO_CACHE_REGION};
#[cfg(feature = "toml")]
pub use self::{
    error::ConfigurationError,
    toml_document::{Configuration, Regions},
};
