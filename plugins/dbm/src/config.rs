//! [`DbmConfig`]: the arguments of the file backend.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind};
use serde::{Deserialize, Serialize};

/// Arguments of the `dogpile.cache.dbm` entry point.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DbmConfig {
    /// The file; it is created when it is missing, its folder is not.
    pub filename: PathBuf,
    /// The file whose lock is shared by readers and exclusive to writers. Default: `filename` + `.rw.lock`.
    #[serde(default)]
    pub rw_lockfile: Option<Lockfile>,
    /// The file whose lock keeps creators apart. Default: `filename` + `.dogpile.lock`.
    #[serde(default)]
    pub dogpile_lockfile: Option<Lockfile>,
    /// How many creators, of different keys, may run side by side, at least 1. Default: 64. With 1 it is one creator
    /// for the whole file, as in Python.
    #[serde(default = "default_stripes")]
    pub lock_stripes: u32,
    /// When written values are brought to the disk. Default: `normal`.
    #[serde(default)]
    pub synchronous: Synchronous,
    /// For how many seconds a call waits for other processes. Default: 5.
    #[serde(default = "default_busy_timeout")]
    pub busy_timeout: f64,
}

/// Where a lock file lies: a path, or `false` for none; `true` is the default path.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Lockfile {
    /// Whether there is one, at the default path.
    Switch(bool),
    /// The path.
    Path(PathBuf),
}

/// When written values are brought to the disk; SQLite's `synchronous`. A killed process loses nothing with any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// When the system does; a crash of the machine may damage the file.
    Off,
    /// At checkpoints; a crash of the machine may lose the last writes.
    #[default]
    Normal,
    /// At each write.
    Full,
}

impl Synchronous {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Synchronous::Off => "off",
            Synchronous::Normal => "normal",
            Synchronous::Full => "full",
        }
    }
}

fn default_stripes() -> u32 {
    64
}

fn default_busy_timeout() -> f64 {
    5.0
}

impl DbmConfig {
    /// The defaults for `filename`.
    pub fn new(filename: impl Into<PathBuf>) -> Self {
        DbmConfig {
            filename: filename.into(),
            rw_lockfile: None,
            dogpile_lockfile: None,
            lock_stripes: default_stripes(),
            synchronous: Synchronous::default(),
            busy_timeout: default_busy_timeout(),
        }
    }

    pub(crate) fn wait(&self) -> Result<Duration, BackendError> {
        Duration::try_from_secs_f64(self.busy_timeout).map_err(|error| {
            let message = format!(
                "argument \"busy_timeout\" of the dbm backend is {}, and must be seconds: {error}",
                self.busy_timeout
            );
            BackendError::new(ErrorKind::Configuration, message)
        })
    }

    pub(crate) fn check(&self) -> Result<(), BackendError> {
        if self.lock_stripes == 0 {
            let message = "argument \"lock_stripes\" of the dbm backend is 0, and must be at least 1; set \
                           \"dogpile_lockfile\" to false to have no lock file";
            return Err(BackendError::new(ErrorKind::Configuration, message));
        }
        Ok(())
    }

    pub(crate) fn rw_path(&self) -> Option<PathBuf> {
        path_of(self.rw_lockfile.as_ref(), &self.filename, ".rw.lock")
    }

    pub(crate) fn dogpile_path(&self) -> Option<PathBuf> {
        path_of(self.dogpile_lockfile.as_ref(), &self.filename, ".dogpile.lock")
    }
}

fn path_of(asked: Option<&Lockfile>, filename: &Path, ending: &str) -> Option<PathBuf> {
    match asked {
        Some(Lockfile::Switch(false)) => None,
        // An ini file has texts only.
        Some(Lockfile::Path(path)) if path.to_string_lossy().eq_ignore_ascii_case("false") => None,
        Some(Lockfile::Path(path)) => Some(path.clone()),
        Some(Lockfile::Switch(true)) | None => Some(with_ending(filename, ending)),
    }
}

/// `path` with `ending` after its last letter.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(ending);
    longer.into()
}
