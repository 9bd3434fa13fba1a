//! [`Environment`]: an LMDB file that is open, once for all backends of this process.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, Error, MdbError};

use super::map;
use crate::config::{LmdbConfig, Synchronous, with_ending};
use crate::disk::{self, Companions, Identity, Open, Watch};
use crate::file_lock::FileLock;
use crate::lock::AbstractFileLock;

/// How often a call is tried: after the file got more room, and after it was opened anew.
const TRIES: usize = 64;

/// How long to wait for others that open the file at the same moment.
const OPENING: Duration = Duration::from_secs(5);

/// What lies beside an LMDB file.
const COMPANIONS: [&str; 1] = ["-lock"];

/// Keys and values, in the file's one unnamed table.
pub(super) type Table = Database<'static, Bytes, Bytes>;

/// Calls share it; whoever gives the map more room, or opens the file anew, has it alone.
pub(super) struct Environment {
    path: PathBuf,
    map_size: usize,
    synchronous: Synchronous,
    opened: RwLock<Option<Opened>>,
}

struct Opened {
    env: Env,
    table: Table,
    watch: Watch,
    companions: Companions,
    /// Behind the environment, which is closed first.
    _open: Open,
}

type Shared = HashMap<PathBuf, Weak<Environment>>;

impl Environment {
    /// That of the file that `config` names: the one that is open, or a new one.
    pub(super) fn of(config: &LmdbConfig) -> Result<Arc<Self>, BackendError> {
        static SHARED: Mutex<Option<Shared>> = Mutex::new(None);
        let path = canonical(&config.filename).map_err(|error| failed(&config.filename, Error::Io(error)))?;
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = shared.get_or_insert_default();
        if let Some(environment) = shared.get(&path).and_then(Weak::upgrade) {
            return Ok(environment);
        }
        shared.retain(|_, environment| environment.strong_count() > 0);
        let map_size = usize::try_from(config.map_size).unwrap_or(usize::MAX);
        let (synchronous, opened) = (config.synchronous, RwLock::new(None));
        let environment = Arc::new(Environment { path: path.clone(), map_size, synchronous, opened });
        environment.open_anew()?;
        shared.insert(path, Arc::downgrade(&environment));
        Ok(environment)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `call`, again after the file got more room. Looks now and then whether the file is still the one of that
    /// name.
    #[inline]
    pub(super) fn run<T>(
        &self,
        mut call: impl FnMut(&Env, &Table) -> heed::Result<T>,
    ) -> Result<T, BackendError> {
        for _ in 0..TRIES {
            let guard = self.opened.read().unwrap_or_else(PoisonError::into_inner);
            let Some(opened) = guard.as_ref().filter(|opened| !opened.watch.is_outdated(false)) else {
                drop(guard);
                self.open_anew()?;
                continue;
            };
            let error = match call(&opened.env, &opened.table) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let size = opened.env.info().map_size;
            if matches!(error, Error::Mdb(MdbError::ReadersFull)) && clears_readers(&opened.env) {
                continue;
            }
            drop(guard);
            self.mend(error, size)?;
        }
        let message =
            format!("cache file {}: it changed {TRIES} times while it was used", self.path.display());
        Err(BackendError::new(ErrorKind::Timeout, message))
    }

    /// Gives the file more room, if that is what was missing when it had `size` bytes.
    #[cold]
    fn mend(&self, error: Error, size: usize) -> Result<(), BackendError> {
        match error {
            Error::Mdb(MdbError::MapFull) => self.resize(size, size.saturating_mul(2)),
            Error::Mdb(MdbError::MapResized) => self.resize(size, 0),
            other => Err(failed(&self.path, other)),
        }
    }

    fn resize(&self, seen: usize, size: usize) -> Result<(), BackendError> {
        let mut guard = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        let Some(opened) = guard.as_mut().filter(|opened| opened.env.info().map_size == seen) else {
            // Another thread was quicker.
            return Ok(());
        };
        let resized = map::resize(&mut opened.env, size);
        if resized.is_err() {
            // It has no map at all now.
            *guard = None;
        }
        resized.map_err(|error| failed(&self.path, error))
    }

    #[cold]
    fn open_anew(&self) -> Result<(), BackendError> {
        let mut guard = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if guard.as_ref().is_some_and(|opened| !opened.watch.is_outdated(true)) {
            return Ok(());
        }
        let outdated = guard.take().map(|Opened { companions, .. }| companions);
        // Opening, and what is removed before, belong together; LMDB's own locks begin later.
        let door = FileLock::open(with_ending(&self.path, ".rw.lock"))?;
        if !door.acquire_write_lock(OPENING)? {
            let message = format!("cache file {}: others open it for too long", self.path.display());
            return Err(BackendError::new(ErrorKind::Timeout, message));
        }
        if let Some(companions) = outdated {
            log::warn!("cache file {} was deleted or replaced; it is opened anew", self.path.display());
            companions.remove();
        }
        if Identity::of(&self.path).is_none() {
            Companions::of(&self.path, &COMPANIONS).remove();
        }
        *guard = Some(self.open_in_time()?);
        Ok(())
    }

    /// Opens the file, for as long as another thread is about to close it.
    fn open_in_time(&self) -> Result<Opened, BackendError> {
        let start = Instant::now();
        loop {
            match self.open() {
                Err(error) if error.kind() == ErrorKind::Timeout && start.elapsed() < OPENING => {
                    thread::sleep(Duration::from_millis(1));
                }
                opened => return opened,
            }
        }
    }

    fn open(&self) -> Result<Opened, BackendError> {
        let open = || map::open(&self.path, self.map_size, self.synchronous);
        let (env, open) = disk::open_alone(&self.path, open, |error| failed(&self.path, error))?;
        let table = table(&env).map_err(|error| failed(&self.path, error))?;
        clears_readers(&env);
        let watch = Watch::new(&self.path);
        let companions = Companions::of(&self.path, &COMPANIONS);
        Ok(Opened { env, table, watch, companions, _open: open })
    }
}

/// Frees the places of readers that were killed; answers whether there were any.
fn clears_readers(env: &Env) -> bool {
    env.clear_stale_readers().is_ok_and(|cleared| cleared > 0)
}

fn table(env: &Env) -> heed::Result<Table> {
    let opened = env.open_databases_and_commit(env.read_txn()?, |opener, transaction| {
        opener.open_database::<Bytes, Bytes>(transaction, None).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    match opened {
        CommitOrAbort::Commit(Some(table)) => Ok(table),
        _ => Err(Error::Mdb(MdbError::Invalid)),
    }
}

/// The one name of the file, whether or not it is there yet.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
            Ok(fs::canonicalize(folder)?.join(name))
        }
        found => found,
    }
}

/// `error`, which LMDB answered for the file `path`.
fn failed(path: &Path, error: Error) -> BackendError {
    let (kind, hint) = meaning(&error);
    let message = format!("cache file {}: {hint} ({error})", path.display());
    BackendError::new(kind, message).with_source(error)
}

fn meaning(error: &Error) -> (ErrorKind, &'static str) {
    use io::ErrorKind::{NotFound, OutOfMemory, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    match error {
        Error::Mdb(MdbError::Invalid | MdbError::VersionMismatch | MdbError::Incompatible) => (
            ErrorKind::Configuration,
            "it is no LMDB file of keys and values; name another file, or remove it",
        ),
        Error::Mdb(MdbError::Corrupted | MdbError::PageNotFound | MdbError::Panic) => (
            ErrorKind::Unavailable,
            "it is damaged; stop its users and remove it, with its -lock, to begin anew",
        ),
        Error::Mdb(MdbError::BadValSize) => (ErrorKind::InvalidValue, "the value is larger than LMDB takes"),
        Error::Mdb(MdbError::ReadersFull) => (ErrorKind::Unavailable, "too many threads read it"),
        Error::EnvAlreadyOpened => (ErrorKind::Timeout, "this process is about to close it"),
        Error::Io(error) => match error.kind() {
            StorageFull => (ErrorKind::Unavailable, "the disk is full; make room"),
            NotFound | PermissionDenied | ReadOnlyFilesystem => {
                (ErrorKind::Unavailable, "its folder must exist, and both must be writable")
            }
            OutOfMemory => (ErrorKind::Unavailable, "the process has no room to map it"),
            _ => (ErrorKind::Unavailable, "the system refused"),
        },
        _ => (ErrorKind::Unavailable, "LMDB refused"),
    }
}
