//! Opens the objects of a subcommand: a configured region, or the plugins of a registry.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, Configuration, ConfigurationError, RegionConfig, Registry};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::arguments::{Folders, Region};
use crate::document;
use crate::error::CommandError;
use crate::servers::Servers;

/// Opens the region given on the command line.
pub(crate) fn open(asked: &Region) -> Result<CacheRegion, CommandError> {
    let configuration = configuration(&asked.config)?;
    let region = CacheRegion::with_defaults(&asked.region, RegionConfig::default());
    configuration.configure(&region)?;
    Ok(region)
}

/// The longest wait for servers that are queried directly.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns the configuration in the file at `path`, without its statistics socket, which is that of the application.
pub(crate) fn configuration(path: &Path) -> Result<Configuration, CommandError> {
    of_application(path).map(Configuration::without_statistics_socket)
}

/// Returns the configuration in the file at `path`. Its regions would open the statistics socket.
pub(crate) fn of_application(path: &Path) -> Result<Configuration, CommandError> {
    Configuration::from_file(path).map_err(refused)
}

/// Returns the text of the configuration at `path`.
pub(crate) fn read_configuration(path: &Path) -> Result<String, CommandError> {
    Configuration::text_of_file(path).map_err(refused)
}

/// Returns `error` with what to do if there is no configuration.
fn refused(error: ConfigurationError) -> CommandError {
    match error {
        ConfigurationError::Unreadable { path, source } if source.kind() == io::ErrorKind::NotFound => {
            CommandError::NoConfiguration { path }
        }
        error => error.into(),
    }
}

/// What is said of a region whose values end with the process.
pub(crate) const IN_PROCESS: &str = ": the backend of the region keeps values in its process only, so that this command \
                                     has none of those of others";

/// Returns whether the values of `region` are only in this process. Other stores have a name that processes share.
pub(crate) fn is_in_process(region: &CacheRegion) -> Result<bool, CommandError> {
    let capabilities = region.actual_backend()?.capabilities();
    let is_in_memory = capabilities.scope.is_none_or(|scope| scope.starts_with("memory:"));
    Ok(!capabilities.stores || capabilities.immediate && is_in_memory)
}

/// Returns why a server of `region` cannot be reached, if one cannot.
///
/// Ask if a value is missing: a client of memcached treats a server that is down as empty.
pub(crate) fn unreachable(region: &CacheRegion) -> Result<Option<String>, CommandError> {
    let scope = region.actual_backend()?.capabilities().scope;
    let servers = scope.and_then(|scope| Servers::of(&scope, &toml::Table::new()));
    let findings = servers.map(|servers| servers.query("", Instant::now() + PATIENCE)).unwrap_or_default();
    Ok(findings.unreachable.into_iter().next())
}

/// Returns a registry with the linked crates and the plugin folders of the command line and the environment.
///
/// The returned errors are those of folders that cannot be used.
pub(crate) fn registry(asked: &Folders) -> Result<(Registry, Vec<CommandError>), CommandError> {
    let registry = Registry::new();
    let mut refused = Vec::new();
    for folder in &asked.folders {
        if let Err(error) = registry.add_folder(folder) {
            refused.push(error.into());
        }
    }
    if let Some(config) = &asked.config
        && let Err(error) = Configuration::from_file_with(config, registry.clone())
    {
        refused.push(error.into());
    }
    Ok((registry, refused))
}

/// Creates a temporary folder that only its owner can use, regardless of the umask.
pub(crate) fn temporary_folder() -> Result<TempDir, CommandError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("dogpile-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir().map_err(CommandError::file("made", &std::env::temp_dir()))
}

/// Returns the text of the file at `path`. Its limits are those of a configuration.
fn read(path: &Path) -> Result<String, CommandError> {
    Configuration::text_of_file(path).map_err(|error| match error {
        ConfigurationError::Unreadable { path, source } => CommandError::file("read", &path)(source),
        error => error.into(),
    })
}

/// Reads the TOML file at `path`.
///
/// # Errors
/// If it cannot be read, or its text is not valid. The error names the place.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, CommandError> {
    let text = read(path)?;
    toml::from_str(&text).map_err(|error| {
        let (document::Place { line, column }, problem) = document::told(&text, &error);
        CommandError::other(format!("{}, line {line}, column {column}: {problem}", path.display()))
    })
}

/// Writes `text` to the file at `path`.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), CommandError> {
    let opened = open_to_write(path, OpenOptions::new().write(true).create(true).truncate(true));
    opened.and_then(|mut file| file.write_all(text.as_ref())).map_err(CommandError::file("written", path))
}

/// Returns an error if `path` cannot be written, before the time for a result is spent.
pub(crate) fn check_writable(path: Option<&Path>) -> Result<(), CommandError> {
    let Some(path) = path else { return Ok(()) };
    let checked = match File::create_new(path) {
        // A failure must not leave an empty file.
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            open_to_write(path, OpenOptions::new().append(true)).map(drop)
        }
        Err(error) => Err(error),
    };
    checked.map_err(CommandError::file("written", path))
}

/// Opens the file at `path`. Does not wait for a process that reads it, if it is a pipe.
#[cfg(unix)]
fn open_to_write(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path).map_err(|error| {
        let is_unread = error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error());
        if is_unread { io::Error::other("it is a pipe that no process reads; name a file") } else { error }
    })?;
    rustix::io::ioctl_fionbio(&file, false)?;
    Ok(file)
}

#[cfg(not(unix))]
fn open_to_write(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.open(path)
}

/// Opens the regular file at `path`. Others may never end, and a pipe may wait for its writer.
///
/// # Errors
/// If it is not a regular file, or cannot be opened.
pub(crate) fn open_regular(path: &Path) -> Result<File, CommandError> {
    let is_regular = std::fs::metadata(path).map(|found| found.is_file());
    match is_regular.map_err(CommandError::file("read", path))? {
        true => File::open(path).map_err(CommandError::file("read", path)),
        false => Err(CommandError::other(format!("{path:?} cannot be read: it is not a file; name a file"))),
    }
}
