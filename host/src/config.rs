//! Configurations of regions: a TOML document, or the flat names of an ini file.

#[cfg(feature = "toml")]
mod document;
#[cfg(feature = "toml")]
mod error;
mod flat;
#[cfg(feature = "toml")]
mod place;
#[cfg(feature = "toml")]
mod spelling;
#[cfg(feature = "toml")]
mod toml_document;

pub use self::flat::FlatError;
#[cfg(feature = "toml")]
pub use self::{
    error::ConfigurationError,
    toml_document::{Configuration, Regions},
};
