//! [`Folder`]: a backend whose mutexes are files.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use dogpile_sdk::{
    BackendError, CacheBackend, CacheMutex, CachedValue, Capabilities, ErrorKind, Fence, StoreOptions,
};

/// The lease that the setups claim.
pub(crate) const LEASE: Duration = Duration::from_millis(900);

const POLL: Duration = Duration::from_millis(5);

/// The fault of the mutexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// A lock is a file that stays after its holder died.
    OutlivesItsHolder,
    /// A lock expires after its lease, although its holder lives.
    IsNotRenewed,
    /// A process can release the lock of another.
    IsReleasedByAnybody,
    /// Not a fault: a lock expires after its lease. Its former holder knows that, and cannot store a value.
    Expires,
    /// As `Expires`, but a lock expires 30 times later than claimed.
    LivesTooLong,
    /// As `Expires`, but the former holder does not know that it lost its lock.
    DoesNotNoticeItsLoss,
    /// As `Expires`, but the former holder can store a value.
    IgnoresTheFence,
}

impl Fault {
    pub(crate) const ALL: [Fault; 8] = [
        Fault::None,
        Fault::OutlivesItsHolder,
        Fault::IsNotRenewed,
        Fault::IsReleasedByAnybody,
        Fault::Expires,
        Fault::LivesTooLong,
        Fault::DoesNotNoticeItsLoss,
        Fault::IgnoresTheFence,
    ];

    /// Returns whether the backend says that its locks expire, and that it checks fences.
    fn is_honest(self) -> bool {
        use Fault::*;
        matches!(self, Expires | LivesTooLong | DoesNotNoticeItsLoss | IgnoresTheFence)
    }

    fn lease(self) -> Duration {
        match self {
            Fault::OutlivesItsHolder => Duration::MAX,
            Fault::LivesTooLong => LEASE * 30,
            _ => LEASE,
        }
    }
}

/// A backend with values in this process and mutexes in a folder.
#[derive(Debug)]
pub(crate) struct Folder {
    fault: Fault,
    path: PathBuf,
    kept: Mutex<HashMap<String, CachedValue>>,
}

impl Folder {
    pub(crate) fn new(fault: Fault, path: &Path) -> Self {
        Folder { fault, path: path.to_owned(), kept: Mutex::default() }
    }

    fn lock_file(&self, key: &str) -> PathBuf {
        // A key may be too long for a file name. The hash is the same in every process.
        let number = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        self.path.join(format!("{number:016x}"))
    }

    fn present(&self, key: &str) -> Present {
        Present { fault: self.fault, path: self.lock_file(key), held: Mutex::default() }
    }
}

impl CacheBackend for Folder {
    fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
        Ok(self.kept.lock().unwrap().get(key).cloned())
    }

    fn set(&self, key: &str, value: CachedValue, options: &StoreOptions) -> Result<(), BackendError> {
        let is_checked = self.fault.is_honest() && self.fault != Fault::IgnoresTheFence;
        if let Some(fence) = options.fence.as_ref().filter(|_| is_checked) {
            let lock = self.present(key);
            let _guard = lock.guard();
            if lock.token().as_deref().map(str::as_bytes) != Some(fence.as_bytes()) {
                return Err(BackendError::new(ErrorKind::Fenced, "the mutex is no longer held"));
            }
        }
        self.kept.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), BackendError> {
        self.kept.lock().unwrap().remove(key);
        Ok(())
    }

    fn get_mutex(&self, key: &str) -> Option<Arc<dyn CacheMutex>> {
        Some(match self.fault {
            Fault::None => Arc::new(Locked { path: self.lock_file(key), held: Mutex::default() }),
            _ => Arc::new(self.present(key)),
        })
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_lock_timeout(self.fault.is_honest());
        if self.fault.is_honest() { capabilities.with_fencing() } else { capabilities }
    }
}

/// A file that this process has locked.
#[derive(Debug)]
struct LockedFile(File);

impl Drop for LockedFile {
    /// Unlocks the file. Closing it is not enough: a program that another test starts has it open as well until it begins.
    fn drop(&mut self) {
        self.0.unlock().unwrap();
    }
}

/// A file lock of the operating system, which ends with its process.
#[derive(Debug)]
struct Locked {
    path: PathBuf,
    held: Mutex<Option<LockedFile>>,
}

impl Locked {
    fn lock(&self) -> Option<LockedFile> {
        let file = opened(&self.path);
        file.try_lock().is_ok().then(|| LockedFile(file))
    }
}

fn opened(path: &Path) -> File {
    OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap()
}

impl CacheMutex for Locked {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        self.acquire_until(Instant::now())
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        let mut locked = self.lock();
        while locked.is_none() && Instant::now() < deadline {
            thread::sleep(POLL);
            locked = self.lock();
        }
        let acquired = locked.is_some();
        if acquired {
            *self.held.lock().unwrap() = locked;
        }
        Ok(acquired)
    }

    fn release(&self) -> Result<(), BackendError> {
        self.held.lock().unwrap().take().map(drop).ok_or_else(not_held)
    }

    fn locked(&self) -> Result<bool, BackendError> {
        Ok(self.lock().is_none())
    }
}

/// A mutex that is held while its file exists. The file has the token of the holder.
#[derive(Debug)]
struct Present {
    fault: Fault,
    path: PathBuf,
    /// The token of this object while it holds the mutex, and the end of its lease.
    held: Mutex<Option<(String, Instant)>>,
}

impl Present {
    /// Keeps other threads and processes from the file.
    fn guard(&self) -> LockedFile {
        let file = opened(&self.path.with_extension("guard"));
        file.lock().unwrap();
        LockedFile(file)
    }

    /// Returns the token of the holder. Removes an expired lock.
    fn token(&self) -> Option<String> {
        let made = fs::metadata(&self.path).and_then(|found| found.modified()).ok()?;
        if SystemTime::now().duration_since(made).is_ok_and(|age| age > self.fault.lease()) {
            fs::remove_file(&self.path).unwrap();
        }
        fs::read_to_string(&self.path).ok()
    }
}

impl CacheMutex for Present {
    fn try_acquire(&self) -> Result<bool, BackendError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        let _guard = self.guard();
        if self.token().is_some() {
            return Ok(false);
        }
        let token = format!("{} {}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        fs::write(&self.path, &token).unwrap();
        let ends =
            Instant::now().checked_add(self.fault.lease()).unwrap_or_else(|| Instant::now() + LEASE * 99);
        *self.held.lock().unwrap() = Some((token, ends));
        Ok(true)
    }

    fn acquire_until(&self, deadline: Instant) -> Result<bool, BackendError> {
        while !self.try_acquire()? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(POLL);
        }
        Ok(true)
    }

    fn release(&self) -> Result<(), BackendError> {
        let (held, _guard) = (self.held.lock().unwrap().take(), self.guard());
        let is_ours = match (self.fault, &held) {
            (Fault::IsReleasedByAnybody, _) => true,
            // It does not compare the tokens.
            (Fault::IsNotRenewed, held) => held.is_some(),
            (_, held) => held.as_ref().is_some_and(|(token, _)| self.token().as_ref() == Some(token)),
        };
        if is_ours { fs::remove_file(&self.path).map_err(|_| not_held()) } else { Err(not_held()) }
    }

    fn locked(&self) -> Result<bool, BackendError> {
        let _guard = self.guard();
        Ok(self.token().is_some())
    }

    fn is_lost(&self) -> bool {
        let held = self.held.lock().unwrap();
        let is_over = held.as_ref().is_some_and(|(_, ends)| Instant::now() >= *ends);
        is_over && self.fault != Fault::DoesNotNoticeItsLoss
    }

    fn fence(&self) -> Option<Fence> {
        let held = self.held.lock().unwrap();
        held.as_ref()
            .filter(|_| self.fault.is_honest())
            .map(|(token, _)| Fence::new(token.clone().into_bytes()))
    }
}

fn not_held() -> BackendError {
    BackendError::new(ErrorKind::NotHeld, "the mutex is not held")
}
