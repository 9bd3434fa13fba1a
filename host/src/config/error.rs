//! [`ConfigurationError`]: an error in a configuration file, with its position.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::causes::with_causes;
use crate::error::RegionError;
use crate::registry::RegistryError;

/// An error in a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The file cannot be read.
    #[error(fmt = show_unreadable)]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The document is not valid TOML or contains an invalid entry.
    #[error("{origin}, line {line}, column {column}: {problem}")]
    #[non_exhaustive]
    Document {
        /// The path of the file, or a description of the string.
        origin: String,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
        /// The region, if the position belongs to one.
        region: Option<String>,
        /// The setting, without its region, such as `wrap`, `arguments.max_entries`, or `plugins.allow`.
        setting: Option<String>,
        /// The problem at this position.
        problem: String,
    },
    /// A plugin folder cannot be used.
    #[error(fmt = show_plugins)]
    Plugins {
        /// The path of the file, or a description of the string.
        origin: String,
        /// The reason.
        source: Box<RegistryError>,
    },
    /// The statistics socket cannot be opened.
    #[error(fmt = show_statistics)]
    #[non_exhaustive]
    Statistics {
        /// The path of the file, or a description of the string.
        origin: String,
        /// The line of the path, counted from 1.
        line: usize,
        /// The path of the socket in this process.
        path: PathBuf,
        /// The reason. It states what to do.
        source: std::io::Error,
    },
    /// The configuration has no region of this name.
    #[error("{origin} configures no region {name:?} (configured: {}){hint}", if known.is_empty() { "none" } else { known })]
    UnknownRegion {
        /// The path of the file, or a description of the string.
        origin: String,
        /// The requested name.
        name: String,
        /// The names of the configured regions.
        known: String,
        /// A suggestion of the most similar name, or an empty string.
        hint: String,
    },
    /// The region rejected its configuration.
    #[error(fmt = show_region)]
    #[non_exhaustive]
    Region {
        /// The path of the file, or a description of the string.
        origin: String,
        /// The line of the invalid argument or setting, or that of the region's table, counted from 1.
        line: usize,
        /// The name of the region.
        region: String,
        /// The reason.
        source: Box<RegionError>,
    },
}

fn show_unreadable(path: &Path, source: &std::io::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    with_causes(f, format_args!("the configuration {path:?} cannot be read"), source)
}

fn show_plugins(origin: &str, source: &RegistryError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    with_causes(f, format_args!("{origin}: a plugin folder cannot be used"), source)
}

fn show_statistics(
    origin: &str,
    line: &usize,
    path: &Path,
    source: &std::io::Error,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    with_causes(f, format_args!("{origin}, line {line}: cannot open the statistics socket {path:?}"), source)
}

fn show_region(
    origin: &str,
    line: &usize,
    region: &str,
    source: &RegionError,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    with_causes(f, format_args!("{origin}, line {line}: region {region:?} cannot be configured"), source)
}

impl ConfigurationError {
    /// Returns the region to which the error belongs, if it belongs to one.
    pub fn region(&self) -> Option<&str> {
        match self {
            ConfigurationError::Document { region, .. } => region.as_deref(),
            ConfigurationError::UnknownRegion { name, .. } => Some(name),
            ConfigurationError::Region { region, .. } => Some(region),
            ConfigurationError::Unreadable { .. }
            | ConfigurationError::Plugins { .. }
            | ConfigurationError::Statistics { .. } => None,
        }
    }

    /// Returns the invalid setting, such as `expiration_time` or `plugins.allow`, if it is known.
    pub fn setting(&self) -> Option<&str> {
        match self {
            ConfigurationError::Document { setting, .. } => setting.as_deref(),
            ConfigurationError::Region { source, .. } => source.setting(),
            ConfigurationError::Statistics { .. } => Some("statistics.socket"),
            _ => None,
        }
    }

    /// Returns the invalid argument of the backend or proxy, if it is known. An example is `max_entries`.
    pub fn argument(&self) -> Option<&str> {
        match self {
            ConfigurationError::Document { setting, .. } => {
                setting.as_deref()?.strip_prefix("arguments.")?.split('.').next()
            }
            ConfigurationError::Region { source, .. } => source.argument(),
            _ => None,
        }
    }

    /// Returns the line of the error or of the region's table, counted from 1.
    pub fn line(&self) -> Option<usize> {
        match self {
            ConfigurationError::Document { line, .. }
            | ConfigurationError::Region { line, .. }
            | ConfigurationError::Statistics { line, .. } => Some(*line),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternate_form_includes_the_causes() {
        let source = std::io::Error::other("no such disk");
        let error = ConfigurationError::Unreadable { path: "a.toml".into(), source };
        assert_eq!(error.to_string(), "the configuration \"a.toml\" cannot be read");
        assert_eq!(format!("{error:#}"), "the configuration \"a.toml\" cannot be read: no such disk");
    }
}
