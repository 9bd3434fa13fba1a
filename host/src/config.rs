//! Regions from a configuration: a TOML document, or an ini file's flat names.

mod flat;
mod spelling;
mod toml_document;

pub use self::flat::FlatError;
pub use self::toml_document::{Configuration, ConfigurationError, Regions};
