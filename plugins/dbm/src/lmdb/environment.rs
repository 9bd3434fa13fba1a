//! [`Environment`]: an open LMDB file, which all backends of this process share.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, TryLockError};
use std::thread;
use std::time::Duration;

use dogpile_sdk::{BackendError, ErrorKind, WeakRegistry, process_id};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, Error, MdbError};

use super::map;
use super::writers::{Writer, Writers};
use crate::config::{LmdbConfig, Synchronous, with_ending};
use crate::create;
use crate::deadline::Deadline;
use crate::disk::{self, Companions, Identity, Open, Watch};
use crate::error::{NOT_ACCESSIBLE, unusable};

/// How often a call is tried. It is repeated after the map grew, and after the file was reopened.
const TRIES: usize = 64;

/// The endings of the files beside an LMDB file.
const COMPANIONS: [&str; 1] = ["-lock"];

/// Keys and values, in the file's one unnamed table.
pub(super) type Table = Database<'static, Bytes, Bytes>;

/// An open LMDB file. Calls share it; resizing the map and reopening the file need it exclusively.
pub(super) struct Environment {
    path: PathBuf,
    map_size: usize,
    synchronous: Synchronous,
    mode: u32,
    busy_timeout: Duration,
    opened: RwLock<Option<Opened>>,
    writers: Writers,
}

struct Opened {
    env: Env,
    table: Table,
    watch: Watch,
    companions: Companions,
    /// The process that opened it. A forked child must not use it.
    process: u32,
    /// Declared after the environment, which must be closed first.
    _open: Open,
}

impl Opened {
    /// Returns whether this process can go on using it.
    fn is_current(&self, process: u32) -> bool {
        self.process == process && !(self.watch.is_due() && self.watch.is_outdated())
    }
}

impl Environment {
    /// Returns the environment of the file that `config` names, opening it if needed.
    pub(super) fn of(config: &LmdbConfig) -> Result<Arc<Self>, BackendError> {
        static SHARED: WeakRegistry<PathBuf, Environment> = WeakRegistry::new();
        let path = canonical(&config.filename).map_err(|error| failed(&config.filename, Error::Io(error)))?;
        SHARED.get_or_try_create(path.clone(), || {
            let environment = Environment::new(path, config);
            environment.reopen(process_id(), None)?;
            Ok(environment)
        })
    }

    fn new(path: PathBuf, config: &LmdbConfig) -> Self {
        Environment {
            map_size: usize::try_from(config.map_size).unwrap_or(usize::MAX),
            synchronous: config.synchronous,
            mode: config.file_mode,
            busy_timeout: config.busy_timeout,
            opened: RwLock::new(None),
            writers: Writers::new(&path, with_ending(&path, ".rw.lock"), config.file_mode),
            path,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the error of a read whose turn did not come in time.
    pub(super) fn timed_out(&self) -> BackendError {
        let why = "earlier reads waited for it to be reopened for the whole \"busy_timeout\"; retry later";
        unusable(&self.path, ErrorKind::Timeout, why)
    }

    /// Returns the deadline of a call that begins now.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.busy_timeout)
    }

    /// Runs `call`, which only reads.
    #[inline]
    pub(super) fn read<T>(
        &self,
        call: impl FnMut(&Env, &Table) -> heed::Result<T>,
    ) -> Result<T, BackendError> {
        self.run(process_id(), None, call)
    }

    /// Runs `call`, which only reads, if the file can be used at once. Returns `None` otherwise, and if the call fails.
    #[inline]
    pub(super) fn read_now<T>(
        &self,
        call: impl FnOnce(&Env, &Table) -> heed::Result<Option<T>>,
    ) -> Option<T> {
        let guard = match self.opened.try_read() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let opened = guard.as_ref()?;
        if !opened.is_current(process_id()) {
            // The call that follows on another thread has to see it, too.
            opened.watch.check_again();
            return None;
        }
        call(&opened.env, &opened.table).ok().flatten()
    }

    /// Runs `call` as the only writer of all processes. It begins before `deadline`.
    pub(super) fn write<T>(
        &self,
        deadline: Deadline,
        call: impl FnMut(&Env, &Table) -> heed::Result<T>,
    ) -> Result<T, BackendError> {
        let process = process_id();
        // Acquire the lock first. A call that waits for it must not keep others from resizing the map.
        let writer = self.writers.acquire(process, deadline)?;
        self.run(process, Some(&writer), call)
    }

    /// Runs `call`, and repeats it after the map grew. Checks from time to time whether the file was replaced.
    #[inline]
    fn run<T>(
        &self,
        process: u32,
        writer: Option<&Writer<'_>>,
        mut call: impl FnMut(&Env, &Table) -> heed::Result<T>,
    ) -> Result<T, BackendError> {
        for _ in 0..TRIES {
            let guard = self.opened.read().unwrap_or_else(PoisonError::into_inner);
            let Some(opened) = guard.as_ref().filter(|opened| opened.is_current(process)) else {
                drop(guard);
                self.reopen(process, writer)?;
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
        let why = format!("it changed {TRIES} times during one call; retry later");
        Err(unusable(&self.path, ErrorKind::Timeout, &why))
    }

    /// Reopens the file as its only writer, because LMDB's own locks start later.
    ///
    /// The lock of the writers always comes before that of the environment.
    #[cold]
    fn reopen(&self, process: u32, writer: Option<&Writer<'_>>) -> Result<(), BackendError> {
        let deadline = self.deadline();
        let _writer = match writer {
            Some(_) => None,
            None => Some(self.writers.acquire(process, deadline)?),
        };
        let mut guard = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if guard.as_ref().is_some_and(|opened| opened.process == process && !opened.watch.is_outdated()) {
            return Ok(());
        }
        // Close the file first, because LMDB refuses to open it twice. A child closes what it inherited, which does
        // not affect its parent.
        if let Some(Opened { companions, process: opener, .. }) = guard.take()
            && opener == process
        {
            log::warn!("cache file {:?} was deleted or replaced; reopening it", self.path);
            companions.remove();
        }
        if Identity::of(&self.path).is_none() {
            Companions::of(&self.path, &COMPANIONS).remove();
        }
        *guard = Some(self.open_in_time(process, deadline)?);
        Ok(())
    }

    /// Opens the file. Retries while another thread is closing it.
    fn open_in_time(&self, process: u32, deadline: Deadline) -> Result<Opened, BackendError> {
        loop {
            match self.open(process) {
                Err(error) if error.kind() == ErrorKind::Timeout && !deadline.left().is_zero() => {
                    thread::sleep(Duration::from_millis(1));
                }
                opened => return opened,
            }
        }
    }

    fn open(&self, process: u32) -> Result<Opened, BackendError> {
        let connect = || {
            create::cache_file(&self.path, self.mode)?;
            create::companion(&with_ending(&self.path, COMPANIONS[0]), self.mode)?;
            map::open(&self.path, self.map_size, self.synchronous).map_err(|error| failed(&self.path, error))
        };
        let (env, open) = disk::open_alone(&self.path, connect)?;
        let table = table(&env).map_err(|error| failed(&self.path, error))?;
        clears_readers(&env);
        let watch = Watch::new(&self.path);
        let companions = Companions::of(&self.path, &COMPANIONS);
        Ok(Opened { env, table, watch, companions, process, _open: open })
    }

    /// Grows the map if it was full at `size` bytes. Returns any other error.
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
            // Another thread has already resized it.
            return Ok(());
        };
        let resized = map::resize(&mut opened.env, size);
        if resized.is_err() {
            // A failed resize leaves the environment without a map.
            *guard = None;
        }
        resized.map_err(|error| failed(&self.path, error))
    }
}
/// Frees the slots of readers that were killed, and returns whether there were any.
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

/// Returns the canonical path of a file that need not exist yet.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
            Ok(fs::canonicalize(folder)?.join(name))
        }
        found => found,
    }
}

/// Returns `error`, which LMDB reported for the file `path`, as the error of a backend.
fn failed(path: &Path, error: Error) -> BackendError {
    let (kind, why) = meaning(&error);
    unusable(path, kind, why).with_source(error)
}

fn meaning(error: &Error) -> (ErrorKind, &'static str) {
    use io::ErrorKind::{
        FileTooLarge, NotFound, OutOfMemory, PermissionDenied, ReadOnlyFilesystem, StorageFull,
    };
    match error {
        Error::Mdb(MdbError::Invalid | MdbError::VersionMismatch | MdbError::Incompatible) => {
            (ErrorKind::Configuration, "it is not an LMDB file of keys and values; name another file")
        }
        Error::Mdb(MdbError::Corrupted | MdbError::PageNotFound | MdbError::Panic) => (
            ErrorKind::Unavailable,
            "it is damaged or was cut off; stop its users, and remove it with its -lock file",
        ),
        Error::Mdb(MdbError::BadValSize) => {
            (ErrorKind::InvalidValue, "the value is larger than LMDB accepts")
        }
        Error::Mdb(MdbError::ReadersFull) => {
            (ErrorKind::Unavailable, "too many threads are reading it; retry later")
        }
        Error::EnvAlreadyOpened => (ErrorKind::Timeout, "this process is closing it; retry later"),
        Error::Io(error) => match error.kind() {
            StorageFull => (ErrorKind::Unavailable, "the disk is full; free some space"),
            FileTooLarge => {
                (ErrorKind::Unavailable, "no larger file is allowed; raise the limit on file sizes")
            }
            NotFound | PermissionDenied | ReadOnlyFilesystem => (ErrorKind::Unavailable, NOT_ACCESSIBLE),
            OutOfMemory => {
                (ErrorKind::Unavailable, "the process has no address space for it; lower \"map_size\"")
            }
            _ => (ErrorKind::Unavailable, "the system reported an error"),
        },
        _ => (ErrorKind::Unavailable, "LMDB reported an error"),
    }
}
