//! [`RangeFile`]: the lock file with a byte per stripe. All stripes of a process need only one descriptor.
//!
//! The file itself is held shared by flock, which excludes Python. A stripe is the byte of its number, locked by the
//! open file (OFD locks), so that processes exclude each other. [`CreatorLocks`](crate::mutex::CreatorLocks) excludes
//! the threads of a process.

use std::fs::{File, TryLockError};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dogpile_sdk::{BackendError, ErrorKind, process_id};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::create;
use crate::disk::Identity;

/// The open lock file of a process, which holds it shared.
#[derive(Debug)]
struct RangeFile {
    file: File,
    path: PathBuf,
    identity: Option<Identity>,
    /// The process that opened it. A child of it must not unlock it.
    process: u32,
}

/// The locks of one path. All stripes that are held at a time share one open file.
#[derive(Debug)]
pub(crate) struct RangeLocks {
    path: PathBuf,
    mode: u32,
    open: Mutex<Weak<RangeFile>>,
}

/// A stripe that is held. Dropping it releases it.
#[derive(Debug)]
pub(crate) struct Range {
    file: Arc<RangeFile>,
    number: usize,
    held: bool,
}

impl RangeLocks {
    pub(crate) fn new(path: PathBuf, mode: u32) -> Self {
        RangeLocks { path, mode, open: Mutex::default() }
    }

    /// Acquires a stripe that no thread of this process holds, or returns `None` if another process prevents it.
    pub(crate) fn acquire(&self, number: usize) -> Result<Option<Range>, BackendError> {
        let Some(file) = self.shared()? else { return Ok(None) };
        let acquired = file.set(number, libc::F_WRLCK)?;
        Ok(acquired.then_some(Range { file, number, held: true }))
    }

    /// Returns whether another process holds the stripe, or Python the file.
    pub(crate) fn is_held(&self, number: usize) -> Result<bool, BackendError> {
        match RangeFile::open(&self.path, self.mode)? {
            Some(file) => file.is_held(number),
            None => Ok(true),
        }
    }

    /// Returns the open file of this process, opening it if needed, or `None` if Python holds it.
    fn shared(&self) -> Result<Option<Arc<RangeFile>>, BackendError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.upgrade().filter(|file| file.is_current()) {
            return Ok(Some(file));
        }
        let file = RangeFile::open(&self.path, self.mode)?.map(Arc::new);
        *open = file.as_ref().map(Arc::downgrade).unwrap_or_default();
        Ok(file)
    }
}

impl RangeFile {
    /// Opens the file and holds it shared, or returns `None` if it is held exclusively.
    fn open(path: &Path, mode: u32) -> Result<Option<Self>, BackendError> {
        let file = create::lock_file(path, mode)?;
        let identity = file.metadata().ok().and_then(|found| Identity::of_file(&found));
        let file = RangeFile { file, path: path.to_owned(), identity, process: process_id() };
        loop {
            match file.file.try_lock_shared() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(file.failed(error)),
            }
        }
    }

    /// Returns whether the path still leads to this file, and this process opened it.
    fn is_current(&self) -> bool {
        self.process == process_id() && Identity::of(&self.path) == self.identity
    }

    /// Locks or unlocks a stripe without waiting, and returns whether it succeeded.
    fn set(&self, number: usize, kind: i32) -> Result<bool, BackendError> {
        let range = range(number, kind);
        loop {
            match fcntl(&self.file, FcntlArg::F_OFD_SETLK(&range)) {
                Ok(_) => return Ok(true),
                Err(Errno::EAGAIN | Errno::EACCES) => return Ok(false),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(self.failed(error.into())),
            }
        }
    }

    fn is_held(&self, number: usize) -> Result<bool, BackendError> {
        let mut range = range(number, libc::F_WRLCK);
        fcntl(&self.file, FcntlArg::F_OFD_GETLK(&mut range)).map_err(|error| self.failed(error.into()))?;
        Ok(i32::from(range.l_type) != libc::F_UNLCK)
    }

    fn failed(&self, error: io::Error) -> BackendError {
        let message = format!("cannot lock or unlock file {:?}: the system reported an error", self.path);
        BackendError::new(ErrorKind::Unavailable, message).with_source(error)
    }
}

impl Drop for RangeFile {
    /// Unlocks the file. Closing it is not enough, because another thread may be starting a program, and until the
    /// program begins, its process has the file open as well.
    fn drop(&mut self) {
        if self.process == process_id() {
            // The file is closed in any case.
            let _ = self.file.unlock();
        }
    }
}

impl Range {
    /// Releases the stripe, unless the process is a child of the one that acquired it.
    pub(crate) fn release(mut self) -> Result<(), BackendError> {
        self.unlock()
    }

    fn unlock(&mut self) -> Result<(), BackendError> {
        if !mem::take(&mut self.held) || self.file.process != process_id() {
            return Ok(());
        }
        self.file.set(self.number, libc::F_UNLCK).map(drop)
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        // The stripe is free at the latest when the file is closed.
        let _ = self.unlock();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the constants fit, and stripes have small numbers")]
fn range(number: usize, kind: i32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: number as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    #[test]
    fn stripes_exclude_each_other_between_open_files() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, theirs] = [(); 2].map(|()| RangeLocks::new(folder.path().join("lock"), 0o600));
        let (one, two) = (ours.acquire(1).unwrap().unwrap(), ours.acquire(2).unwrap().unwrap());
        assert!(Arc::ptr_eq(&one.file, &two.file));
        assert!(theirs.acquire(1).unwrap().is_none() && theirs.is_held(1).unwrap());
        assert!(!theirs.is_held(3).unwrap());
        one.release().unwrap();
        assert!(!theirs.is_held(1).unwrap() && theirs.is_held(2).unwrap());
        theirs.acquire(1).unwrap().unwrap().release().unwrap();
        two.release().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn holder_of_the_whole_file_excludes_all_stripes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let locks = RangeLocks::new(path.clone(), 0o600);
        let range = locks.acquire(7).unwrap().unwrap();
        let python = File::open(&path).unwrap();
        assert!(python.try_lock().is_err());
        range.release().unwrap();
        python.try_lock().unwrap();
        assert!(locks.acquire(7).unwrap().is_none() && locks.is_held(7).unwrap());
        python.unlock().unwrap();
        assert!(locks.acquire(7).unwrap().is_some());
    }

    #[test]
    fn deleted_lock_file_is_recreated_for_the_next_stripe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let locks = RangeLocks::new(path.clone(), 0o600);
        let one = locks.acquire(1).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        let two = locks.acquire(2).unwrap().unwrap();
        assert!(path.exists() && !Arc::ptr_eq(&one.file, &two.file));
    }
}
