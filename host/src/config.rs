//! Configurations of regions: a TOML document, or the flat names of an ini file.

mod flat;
mod spelling;
mod toml_document;

pub use self::flat::FlatError;
pub use self::toml_document::{Configuration, ConfigurationError, Regions};
