//! [`DbmConfig`] and [`LmdbConfig`]: the arguments of the file backends.

use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::lock_factory::LockFactory;

/// Arguments of the `dogpile.cache.dbm` entry point.
///
/// Source: dogpile.cache `backends/file.py`, `DBMBackend`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DbmConfig {
    /// The file; it is created when it is missing, its folder is not.
    pub filename: PathBuf,
    /// The file whose lock writers hold exclusively, which Python's readers share. Default: `filename` + `.rw.lock`.
    #[serde(default)]
    pub rw_lockfile: Option<Lockfile>,
    /// The file whose lock keeps creators apart. Default: `filename` + `.dogpile.lock`.
    #[serde(default)]
    pub dogpile_lockfile: Option<Lockfile>,
    /// What the locks are. Default: `file`.
    #[serde(default)]
    pub lock_factory: LockKind,
    /// How many creators, of different keys, may run side by side, from 1 to 4096. Default: 64. With 1 it is one
    /// creator for the whole file, as in Python.
    #[serde(default = "default_stripes")]
    pub lock_stripes: u32,
    /// When written values are brought to the disk. Default: `normal`.
    #[serde(default)]
    pub synchronous: Synchronous,
    /// For how many seconds a call waits for other processes. Default: 5.
    #[serde(default = "default_busy_timeout")]
    pub busy_timeout: f64,
    /// The most bytes that the file's values and keys may take, at least 64 KiB; what was stored first is dropped
    /// first. Default: no limit.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// The most values that are kept, at least 1; what was stored first is dropped first. Default: no limit.
    #[serde(default)]
    pub max_entries: Option<u64>,
    /// Whether a file that is a quarter or more empty is made smaller when it is opened. Default: no.
    #[serde(default)]
    pub vacuum: bool,
}

/// Arguments of the `dogpile.cache.lmdb` entry point.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LmdbConfig {
    /// The file; it is created when it is missing, its folder is not. LMDB keeps a `-lock` file beside it.
    pub filename: PathBuf,
    /// The file whose lock keeps creators apart. Default: `filename` + `.dogpile.lock`.
    #[serde(default)]
    pub dogpile_lockfile: Option<Lockfile>,
    /// What the lock is. Default: `file`.
    #[serde(default)]
    pub lock_factory: LockKind,
    /// How many creators, of different keys, may run side by side, from 1 to 4096. Default: 64.
    #[serde(default = "default_stripes")]
    pub lock_stripes: u32,
    /// When written values are brought to the disk. Default: `normal`, which waits for the disk at each write; `off`
    /// does not.
    #[serde(default)]
    pub synchronous: Synchronous,
    /// How many bytes the file may take at first; it is doubled whenever it is full. Default: 64 MiB.
    #[serde(default = "default_map_size")]
    pub map_size: u64,
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

/// The locks that a configuration can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LockKind {
    /// Locks on files, shared with other processes: [`FileLock`](crate::FileLock).
    #[default]
    File,
    /// Locks within this process: [`ThreadLock`](crate::ThreadLock).
    Thread,
}

impl LockKind {
    pub(crate) fn factory(self) -> LockFactory {
        match self {
            LockKind::File => LockFactory::file(),
            LockKind::Thread => LockFactory::thread(),
        }
    }
}

/// When written values are brought to the disk. A killed process loses nothing with any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// When the system does; a crash of the machine may damage the file.
    Off,
    /// Now and then; a crash of the machine may lose the last writes.
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

const MOST_STRIPES: u32 = 4096;
const LEAST_BYTES: u64 = 64 << 10;

fn default_stripes() -> u32 {
    64
}

fn default_busy_timeout() -> f64 {
    5.0
}

fn default_map_size() -> u64 {
    64 << 20
}

impl DbmConfig {
    /// The defaults for `filename`.
    pub fn new(filename: impl Into<PathBuf>) -> Self {
        DbmConfig {
            filename: filename.into(),
            rw_lockfile: None,
            dogpile_lockfile: None,
            lock_factory: LockKind::default(),
            lock_stripes: default_stripes(),
            synchronous: Synchronous::default(),
            busy_timeout: default_busy_timeout(),
            max_bytes: None,
            max_entries: None,
            vacuum: false,
        }
    }

    pub(crate) fn wait(&self) -> Result<Duration, BackendError> {
        let wait = Duration::try_from_secs_f64(self.busy_timeout).ok();
        // SQLite counts milliseconds in 31 bits.
        let usable = wait.filter(|wait| wait.as_millis() <= i32::MAX as u128);
        usable.ok_or_else(|| refused("busy_timeout", self.busy_timeout, "seconds, from 0 to 2000000"))
    }

    /// The same, its paths absolute: a process may go elsewhere later.
    pub(crate) fn checked(mut self) -> Result<Self, BackendError> {
        self.wait()?;
        check_stripes(self.lock_stripes)?;
        if let Some(bytes) = self.max_bytes.filter(|bytes| *bytes < LEAST_BYTES) {
            return Err(refused("max_bytes", bytes, "at least 65536; leave it out to have no limit"));
        }
        if self.max_entries == Some(0) {
            return Err(refused("max_entries", 0, "at least 1; leave it out to have no limit"));
        }
        self.filename = checked_path("filename", &self.filename)?;
        Ok(self)
    }

    pub(crate) fn rw_path(&self) -> Result<Option<PathBuf>, BackendError> {
        path_of("rw_lockfile", self.rw_lockfile.as_ref(), &self.filename, ".rw.lock")
    }

    pub(crate) fn dogpile_path(&self) -> Result<Option<PathBuf>, BackendError> {
        path_of("dogpile_lockfile", self.dogpile_lockfile.as_ref(), &self.filename, ".dogpile.lock")
    }
}

impl LmdbConfig {
    /// The defaults for `filename`.
    pub fn new(filename: impl Into<PathBuf>) -> Self {
        LmdbConfig {
            filename: filename.into(),
            dogpile_lockfile: None,
            lock_factory: LockKind::default(),
            lock_stripes: default_stripes(),
            synchronous: Synchronous::default(),
            map_size: default_map_size(),
        }
    }

    /// The same, its paths absolute.
    pub(crate) fn checked(mut self) -> Result<Self, BackendError> {
        check_stripes(self.lock_stripes)?;
        if self.map_size < LEAST_BYTES {
            return Err(refused("map_size", self.map_size, "at least 65536"));
        }
        self.filename = checked_path("filename", &self.filename)?;
        Ok(self)
    }

    pub(crate) fn dogpile_path(&self) -> Result<Option<PathBuf>, BackendError> {
        path_of("dogpile_lockfile", self.dogpile_lockfile.as_ref(), &self.filename, ".dogpile.lock")
    }
}

fn check_stripes(stripes: u32) -> Result<(), BackendError> {
    if (1..=MOST_STRIPES).contains(&stripes) {
        return Ok(());
    }
    let must = "from 1 to 4096; set \"dogpile_lockfile\" to false to have no lock file";
    Err(refused("lock_stripes", stripes, must))
}

fn refused(name: &str, given: impl std::fmt::Display, must: &str) -> BackendError {
    let message = format!("argument {name:?} of a file backend is {given}, and must be {must}");
    BackendError::new(ErrorKind::Configuration, message)
}

fn path_of(
    name: &str,
    asked: Option<&Lockfile>,
    filename: &Path,
    ending: &str,
) -> Result<Option<PathBuf>, BackendError> {
    match asked {
        Some(Lockfile::Switch(false)) => Ok(None),
        // An ini file has texts only.
        Some(Lockfile::Path(path)) if path.to_string_lossy().eq_ignore_ascii_case("false") => Ok(None),
        Some(Lockfile::Path(path)) => checked_path(name, path).map(Some),
        Some(Lockfile::Switch(true)) | None => Ok(Some(with_ending(filename, ending))),
    }
}

fn checked_path(name: &str, path: &Path) -> Result<PathBuf, BackendError> {
    let usable = !path.as_os_str().is_empty() && !path.as_os_str().as_encoded_bytes().contains(&0);
    let absolute = usable.then(|| absolute(path).ok()).flatten();
    absolute.ok_or_else(|| refused(name, format_args!("{path:?}"), "the path of a file"))
}

/// `path` with `ending` after its last letter.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(ending);
    longer.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn lock_files_lie_beside_the_file_unless_told_otherwise() {
        let mut config = DbmConfig::new("/data/cache.db");
        assert_eq!(config.rw_path().unwrap(), Some("/data/cache.db.rw.lock".into()));
        assert_eq!(config.dogpile_path().unwrap(), Some("/data/cache.db.dogpile.lock".into()));
        config.rw_lockfile = Some(Lockfile::Switch(false));
        config.dogpile_lockfile = Some(Lockfile::Path("False".into()));
        assert_eq!((config.rw_path().unwrap(), config.dogpile_path().unwrap()), (None, None));
        config.rw_lockfile = Some(Lockfile::Path("/elsewhere".into()));
        config.dogpile_lockfile = Some(Lockfile::Switch(true));
        assert_eq!(config.rw_path().unwrap(), Some("/elsewhere".into()));
        assert_eq!(config.dogpile_path().unwrap(), Some("/data/cache.db.dogpile.lock".into()));
    }

    #[test]
    fn a_wrong_argument_is_refused_and_named() {
        let refused = |change: fn(&mut DbmConfig)| {
            let mut config = DbmConfig::new("cache.db");
            change(&mut config);
            let error = config.checked().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            error.to_string()
        };
        assert_eq!(
            refused(|config| config.lock_stripes = 0),
            "argument \"lock_stripes\" of a file backend is 0, and must be from 1 to 4096; set \
             \"dogpile_lockfile\" to false to have no lock file"
        );
        assert!(
            refused(|config| config.max_bytes = Some(1)).contains("\"max_bytes\" of a file backend is 1")
        );
        assert!(refused(|config| config.max_entries = Some(0)).contains("must be at least 1"));
        assert!(refused(|config| config.busy_timeout = -1.0).contains("is -1, and must be seconds"));
        assert!(refused(|config| config.busy_timeout = f64::NAN).contains("is NaN"));
        assert!(refused(|config| config.filename = PathBuf::new()).contains("\"filename\""));
        assert!(refused(|config| config.filename = "a\0b".into()).contains("must be the path of a file"));
        let mut lmdb = LmdbConfig::new("cache.mdb");
        lmdb.map_size = 0;
        assert!(lmdb.checked().unwrap_err().to_string().contains("\"map_size\" of a file backend is 0"));
    }

    #[test]
    fn paths_are_absolute_before_the_process_goes_elsewhere() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(DbmConfig::new("cache.db").checked().unwrap().filename, here.join("cache.db"));
    }
}
