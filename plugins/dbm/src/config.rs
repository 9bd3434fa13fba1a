//! [`DbmConfig`] and [`LmdbConfig`]: the arguments of the file backends.

use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use dogpile_sdk::bounds::invalid;
use dogpile_sdk::{BackendError, ForeignArguments, OSLO_CACHE, seconds};
use serde::{Deserialize, Serialize};

use crate::lock_factory::LockFactory;
use crate::mode;

/// The options of oslo.cache for servers, which the entry points accept without effect.
pub const FOREIGN: ForeignArguments =
    ForeignArguments::new(&[]).with_others(OSLO_CACHE, "it is for a store on a server");

/// Arguments of the `dogpile.cache.dbm` entry point.
///
/// A configuration gives times in seconds, or as durations such as `"3s"`.
// Source: dogpile.cache `backends/file.py`, `DBMBackend`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DbmConfig {
    /// Path of the file. The file is created if it is missing; its directory must exist. Required.
    pub filename: PathBuf,
    /// Lock file that writers hold exclusively, and that Python's readers share. Default: `filename` + `.rw.lock`.
    #[serde(default)]
    pub rw_lockfile: Option<Lockfile>,
    /// Lock file that excludes creators in other processes. Default: `filename` + `.dogpile.lock`.
    #[serde(default)]
    pub dogpile_lockfile: Option<Lockfile>,
    /// Kind of the locks. Default: `file`.
    #[serde(default)]
    pub lock_factory: LockKind,
    /// Number of creators of different keys that may run at once, from 1 to 4096. Default: 64. With 1, one creator
    /// holds the whole file, as in Python. All processes must use the same number.
    #[serde(default = "default_stripes")]
    pub lock_stripes: u32,
    /// Permissions of created files, including lock files, in octal: `"0660"`, or `0o660` in TOML. Existing files keep
    /// theirs. Default: `"0600"`, so that only the owner can read the cache.
    #[serde(default = "mode::default", with = "mode")]
    pub file_mode: u32,
    /// When written values are flushed to the disk. Default: `normal`.
    #[serde(default)]
    pub synchronous: Synchronous,
    /// Time limit of a call for all its waits. A call that takes longer, or a second if that is more, is interrupted.
    /// Default: 5.
    #[serde(default = "default_busy_timeout", with = "seconds")]
    pub busy_timeout: Duration,
    /// Most bytes that keys and values may take, at least 64 KiB. The values that were stored first are dropped first.
    /// Default: no limit.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// Most values that are kept, at least 1. The values that were stored first are dropped first. Default: no limit.
    #[serde(default)]
    pub max_entries: Option<u64>,
    /// Shrink the file when it is opened, if at least a quarter is empty. Default: false.
    #[serde(default)]
    pub vacuum: bool,
}

/// Arguments of the `dogpile.cache.lmdb` entry point.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LmdbConfig {
    /// Path of the file. The file is created if it is missing; its directory must exist. LMDB keeps a `-lock` file
    /// beside it. Required.
    pub filename: PathBuf,
    /// Lock file that excludes creators in other processes. Default: `filename` + `.dogpile.lock`.
    #[serde(default)]
    pub dogpile_lockfile: Option<Lockfile>,
    /// Kind of the lock. Default: `file`.
    #[serde(default)]
    pub lock_factory: LockKind,
    /// Number of creators of different keys that may run at once, from 1 to 4096. Default: 64.
    #[serde(default = "default_stripes")]
    pub lock_stripes: u32,
    /// Permissions of created files, including lock files, in octal: `"0660"`, or `0o660` in TOML. Existing files keep
    /// theirs. Default: `"0600"`, so that only the owner can read the cache.
    #[serde(default = "mode::default", with = "mode")]
    pub file_mode: u32,
    /// When written values are flushed to the disk. Default: `normal`, which waits for the disk at each write. `off`
    /// does not wait.
    #[serde(default)]
    pub synchronous: Synchronous,
    /// Time limit of a call for waiting for other writers. Default: 5.
    #[serde(default = "default_busy_timeout", with = "seconds")]
    pub busy_timeout: Duration,
    /// Initial size limit of the file in bytes. The limit is doubled whenever the file is full. Default: 64 MiB.
    #[serde(default = "default_map_size")]
    pub map_size: u64,
}

/// A lock file: a path, `false` for none, or `true` for the default path.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Lockfile {
    /// Whether to use a lock file at the default path.
    Switch(bool),
    /// The path of the lock file.
    Path(PathBuf),
}

/// The kinds of locks that a configuration can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LockKind {
    /// Locks on files, shared with other processes: [`FileLock`](crate::FileLock).
    #[default]
    File,
    /// Locks within this process: [`ThreadLock`](crate::ThreadLock).
    Thread,
}

impl LockKind {
    /// Returns the factory of such locks. `mode` is that of created files.
    pub(crate) fn factory(self, mode: u32) -> LockFactory {
        match self {
            LockKind::File => LockFactory::file_with_mode(mode),
            LockKind::Thread => LockFactory::thread(),
        }
    }
}

/// When written values are flushed to the disk. A killed process never loses stored values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Synchronous {
    /// Whenever the system does it. A crash of the machine may damage the file.
    Off,
    /// From time to time. A crash of the machine may lose the last writes.
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

/// The longest `busy_timeout`. SQLite counts milliseconds in 31 bits.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(2_000_000);

fn default_stripes() -> u32 {
    64
}

fn default_busy_timeout() -> Duration {
    Duration::from_secs(5)
}

fn default_map_size() -> u64 {
    64 << 20
}

impl DbmConfig {
    /// Creates a configuration for `filename` with default settings.
    pub fn new(filename: impl Into<PathBuf>) -> Self {
        DbmConfig {
            filename: filename.into(),
            rw_lockfile: None,
            dogpile_lockfile: None,
            lock_factory: LockKind::default(),
            lock_stripes: default_stripes(),
            file_mode: mode::default(),
            synchronous: Synchronous::default(),
            busy_timeout: default_busy_timeout(),
            max_bytes: None,
            max_entries: None,
            vacuum: false,
        }
    }

    /// Returns an error if an argument is invalid. Makes the path absolute, because the process may change its
    /// directory.
    pub(crate) fn checked(mut self) -> Result<Self, BackendError> {
        check_timeout(self.busy_timeout)?;
        check_stripes(self.lock_stripes)?;
        check_mode(self.file_mode)?;
        if let Some(bytes) = self.max_bytes.filter(|bytes| *bytes < LEAST_BYTES) {
            let why = format!("{bytes} is too low; use at least 65536, or remove it for no limit");
            return Err(invalid("max_bytes", why));
        }
        if self.max_entries == Some(0) {
            return Err(invalid("max_entries", "0 is too low; use at least 1, or remove it for no limit"));
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
    /// Creates a configuration for `filename` with default settings.
    pub fn new(filename: impl Into<PathBuf>) -> Self {
        LmdbConfig {
            filename: filename.into(),
            dogpile_lockfile: None,
            lock_factory: LockKind::default(),
            lock_stripes: default_stripes(),
            file_mode: mode::default(),
            synchronous: Synchronous::default(),
            busy_timeout: default_busy_timeout(),
            map_size: default_map_size(),
        }
    }

    /// Returns an error if an argument is invalid. Makes the path absolute.
    pub(crate) fn checked(mut self) -> Result<Self, BackendError> {
        check_timeout(self.busy_timeout)?;
        check_stripes(self.lock_stripes)?;
        check_mode(self.file_mode)?;
        if self.map_size < LEAST_BYTES {
            let why = format!("{} is too low; use at least 65536", self.map_size);
            return Err(invalid("map_size", why));
        }
        self.filename = checked_path("filename", &self.filename)?;
        Ok(self)
    }

    pub(crate) fn dogpile_path(&self) -> Result<Option<PathBuf>, BackendError> {
        path_of("dogpile_lockfile", self.dogpile_lockfile.as_ref(), &self.filename, ".dogpile.lock")
    }
}

fn check_timeout(timeout: Duration) -> Result<(), BackendError> {
    if timeout <= LONGEST_TIMEOUT {
        return Ok(());
    }
    let (given, most) = (seconds::display(timeout), LONGEST_TIMEOUT.as_secs());
    Err(invalid("busy_timeout", format_args!("{given} is too long; use at most {most} seconds")))
}

fn check_stripes(stripes: u32) -> Result<(), BackendError> {
    if (1..=MOST_STRIPES).contains(&stripes) {
        return Ok(());
    }
    let hint = "use 1 to 4096, or set \"dogpile_lockfile\" to false to have no lock file";
    Err(invalid("lock_stripes", format_args!("{stripes} is out of range; {hint}")))
}

fn check_mode(mode: u32) -> Result<(), BackendError> {
    if mode::is_valid(mode) {
        return Ok(());
    }
    let hint = "use octal digits from \"0600\" to \"0777\" that let the owner read and write";
    Err(invalid("file_mode", format_args!("\"{mode:04o}\" is not usable; {hint}")))
}

fn path_of(
    name: &str,
    asked: Option<&Lockfile>,
    filename: &Path,
    ending: &str,
) -> Result<Option<PathBuf>, BackendError> {
    match asked {
        Some(Lockfile::Switch(false)) => Ok(None),
        // The values in an ini file are strings.
        Some(Lockfile::Path(path)) if path.to_string_lossy().eq_ignore_ascii_case("false") => Ok(None),
        Some(Lockfile::Path(path)) => checked_path(name, path).map(Some),
        Some(Lockfile::Switch(true)) | None => Ok(Some(with_ending(filename, ending))),
    }
}

fn checked_path(name: &str, path: &Path) -> Result<PathBuf, BackendError> {
    let usable = !path.as_os_str().is_empty() && !path.as_os_str().as_encoded_bytes().contains(&0);
    let absolute = usable.then(|| absolute(path).ok()).flatten();
    absolute.ok_or_else(|| invalid(name, format_args!("{path:?} is not a valid path of a file")))
}

/// Appends `ending` to `path`.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(ending);
    longer.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::collections::BTreeMap;

    use dogpile_sdk::Arguments;

    use dogpile_sdk::ErrorKind;

    use super::*;

    #[test]
    fn lock_files_are_beside_the_file_by_default() {
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
    fn invalid_argument_is_refused_and_named() {
        let refused = |change: fn(&mut DbmConfig)| {
            let mut config = DbmConfig::new("cache.db");
            change(&mut config);
            let error = config.checked().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(&format!("{:?}", error.argument().unwrap())), "{error}");
            error.to_string()
        };
        assert_eq!(
            refused(|config| config.lock_stripes = 0),
            "invalid argument \"lock_stripes\": 0 is out of range; use 1 to 4096, or set \"dogpile_lockfile\" to \
             false to have no lock file"
        );
        assert!(refused(|config| config.max_bytes = Some(1)).contains("\"max_bytes\": 1 is too low"));
        assert!(refused(|config| config.max_entries = Some(0)).contains("use at least 1, or remove it"));
        assert_eq!(
            refused(|config| config.busy_timeout = Duration::from_secs(86_400 * 30)),
            "invalid argument \"busy_timeout\": 30d is too long; use at most 2000000 seconds"
        );
        assert!(refused(|config| config.filename = PathBuf::new()).contains("\"filename\""));
        assert!(refused(|config| config.filename = "a\0b".into()).contains("is not a valid path of a file"));
        let mut lmdb = LmdbConfig::new("cache.mdb");
        lmdb.map_size = 0;
        assert!(lmdb.checked().unwrap_err().to_string().contains("\"map_size\": 0 is too low"));
    }

    #[test]
    fn busy_timeout_is_seconds_or_a_duration() {
        let parsed = |arguments: Arguments| arguments.parse::<DbmConfig>().unwrap().busy_timeout;
        for (text, expected) in [("3", 3000), ("0.5", 500), ("3s", 3000), ("0", 0)] {
            let texts = BTreeMap::from([("filename", "cache.db"), ("busy_timeout", text)]);
            let arguments = Arguments::from_serialize(texts).unwrap();
            assert_eq!(parsed(arguments), Duration::from_millis(expected));
        }
        let mut config = DbmConfig::new("cache.db");
        config.busy_timeout = Duration::from_millis(1500);
        assert_eq!(parsed(Arguments::from_serialize(&config).unwrap()), config.busy_timeout);
    }

    #[test]
    fn file_mode_is_octal_digits_or_a_number() {
        let parsed = |mode: serde_json::Value| {
            let arguments = serde_json::json!({ "filename": "cache.db", "file_mode": mode });
            Arguments::from_serialize(arguments).unwrap().parse::<DbmConfig>()
        };
        for given in ["0660", "660", "0o660"] {
            assert_eq!(parsed(given.into()).unwrap().file_mode, 0o660);
        }
        assert_eq!(parsed(0o660.into()).unwrap().file_mode, 0o660);
        assert!(parsed("rw-rw----".into()).is_err());
        // A decimal number that was meant to be octal has other bits.
        let error = parsed(660.into()).unwrap().checked().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid argument \"file_mode\": \"1224\" is not usable; use octal digits from \"0600\" to \"0777\" that let \
             the owner read and write"
        );
        let mut config = DbmConfig::new("cache.db");
        config.file_mode = 0o640;
        assert_eq!(Arguments::from_serialize(&config).unwrap().parse::<DbmConfig>().unwrap(), config);
    }

    #[test]
    fn paths_are_absolute() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(DbmConfig::new("cache.db").checked().unwrap().filename, here.join("cache.db"));
    }
}
