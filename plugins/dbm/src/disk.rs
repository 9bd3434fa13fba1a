//! The identity of files: whether a path leads to the opened file, and its companions.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dogpile_sdk::{BackendError, ErrorKind};

use crate::config::with_ending;
use crate::deadline::coarse_now;
use crate::error::unusable;

/// The time in milliseconds after which a reader checks whether its file was deleted or replaced.
const CHECK_EVERY: u64 = 100;

/// The identity of a file, independent of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    /// Returns the identity of the file at `path`, or `None` if it is missing.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        Self::of_file(&fs::metadata(path).ok()?)
    }

    /// Returns the identity of an open file.
    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
    pub(crate) fn of_file(metadata: &fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Identity(metadata.dev(), metadata.ino()))
    }

    /// Other systems do not let an open file be deleted or replaced.
    #[cfg(not(unix))]
    pub(crate) fn of_file(_metadata: &fs::Metadata) -> Option<Self> {
        None
    }
}

/// An open file, and the time of the last check of its path.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    opened: Option<Identity>,
    checked: AtomicU64,
}

impl Watch {
    /// Starts watching `path`, which has just been opened.
    pub(crate) fn new(path: &Path) -> Self {
        Watch { path: path.to_owned(), opened: Identity::of(path), checked: AtomicU64::new(coarse_now()) }
    }

    /// Returns whether the last check was long ago, and if so, counts this call as a check.
    pub(crate) fn is_due(&self) -> bool {
        let time = coarse_now();
        let due = time.saturating_sub(self.checked.load(Ordering::Relaxed)) >= CHECK_EVERY;
        if due {
            self.checked.store(time, Ordering::Relaxed);
        }
        due
    }

    /// Makes the next check due at once, for a call that found the file outdated and cannot reopen it.
    pub(crate) fn check_again(&self) {
        self.checked.store(0, Ordering::Relaxed);
    }

    /// Returns whether the path leads to another file, or to none.
    pub(crate) fn is_outdated(&self) -> bool {
        Identity::of(&self.path) != self.opened
    }
}

/// The files beside a database at the time when it was opened.
#[derive(Debug)]
pub(crate) struct Companions(Vec<(PathBuf, Option<Identity>)>);

impl Companions {
    /// Returns the files whose paths are `path` and one of `endings`.
    pub(crate) fn of(path: &Path, endings: &[&str]) -> Self {
        let companion = |ending| {
            let path = with_ending(path, ending);
            let identity = Identity::of(&path);
            (path, identity)
        };
        Companions(endings.iter().copied().map(companion).collect())
    }

    /// Removes the files that are still the same ones.
    ///
    /// Their database is gone, and the next one at its path would use them as its own.
    pub(crate) fn remove(&self) {
        for (path, identity) in &self.0 {
            if identity.is_some() && Identity::of(path) == *identity {
                // Another process may already have removed it.
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The files that this copy of the crate has open.
static OPEN: Mutex<Option<HashMap<Identity, Users>>> = Mutex::new(None);

/// The path under which a file is open, and the number of its connections.
struct Users {
    path: PathBuf,
    connections: usize,
}

fn open_files() -> MutexGuard<'static, Option<HashMap<Identity, Users>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An entry in [`OPEN`]. Dropping it removes the entry.
#[derive(Debug)]
pub(crate) struct Open(Option<Identity>);

impl Drop for Open {
    fn drop(&mut self) {
        let (Some(identity), Some(open)) = (self.0, &mut *open_files()) else { return };
        if let Some(users) = open.get_mut(&identity) {
            users.connections -= 1;
            if users.connections == 0 {
                open.remove(&identity);
            }
        }
    }
}

/// Runs `connect`, which opens `path`, unless another library in this process has the file open, or this one under
/// another name.
///
/// The locks of a database belong to the process, and are lost when any library in it closes the file. The files beside
/// it belong to one name.
pub(crate) fn open_alone<T>(
    path: &Path,
    connect: impl FnOnce() -> Result<T, BackendError>,
) -> Result<(T, Open), BackendError> {
    // Hold this lock meanwhile, so that a file that another thread is opening does not look foreign.
    let mut open = open_files();
    let open = open.get_or_insert_default();
    if let Some(identity) = Identity::of(path) {
        check_users(&canonical(path), identity, open.get(&identity))?;
    }
    let connected = connect()?;
    let identity = Identity::of(path);
    if let Some(identity) = identity {
        let users = open.entry(identity).or_insert_with(|| Users { path: canonical(path), connections: 0 });
        users.connections += 1;
    }
    Ok((connected, Open(identity)))
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn check_users(path: &Path, identity: Identity, ours: Option<&Users>) -> Result<(), BackendError> {
    match ours {
        Some(users) if users.path != path => {
            let why = format!("this process has it open under another name, {:?}; use one name", users.path);
            Err(unusable(path, ErrorKind::Configuration, &why))
        }
        None if is_open_in_this_process(identity) => {
            let why = "another copy of the database library, such as that of a plugin library, has it open in this \
                       process, and two copies would release each other's locks; use only one of them, or another file";
            Err(unusable(path, ErrorKind::Configuration, why))
        }
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn is_open_in_this_process(identity: Identity) -> bool {
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else { return false };
    descriptors.flatten().any(|descriptor| Identity::of(&descriptor.path()) == Some(identity))
}

/// Other systems do not list the open files of a process.
#[cfg(not(target_os = "linux"))]
fn is_open_in_this_process(_identity: Identity) -> bool {
    false
}

/// Returns the name of the file system of `path` if it is a network file system.
///
/// Processes on different machines share no memory there, and often no locks.
#[cfg(target_os = "linux")]
pub(crate) fn network_file_system(path: &Path) -> Option<&'static str> {
    let system = rustix::fs::statfs(path).ok()?;
    network_name(u32::try_from(system.f_type & 0xffff_ffff).ok()?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn network_file_system(_path: &Path) -> Option<&'static str> {
    None
}

/// Returns the name for a file system type of Linux.
#[cfg(target_os = "linux")]
fn network_name(number: u32) -> Option<&'static str> {
    match number {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9P"),
        0x00c3_6400 => Some("Ceph"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x7461_636f => Some("OCFS2"),
        0x0116_1970 => Some("GFS2"),
        _ => None,
    }
}

/// Logs a warning if `path` is on a network file system.
pub(crate) fn warn_of_network(path: &Path) {
    if let Some(name) = network_file_system(path) {
        log::warn!("{}", network_hint(path, name));
    }
}

fn network_hint(path: &Path, name: &str) -> String {
    format!(
        "cache file {path:?} is on {name}, a network file system: only processes on one machine may share it, and \
         locks may not work; use a local disk, or a server such as Redis"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    #[test]
    fn network_file_system_is_recognized() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(network_file_system(folder.path()), None);
        for (number, name) in [(0x6969, "NFS"), (0xff53_4d42, "SMB"), (0x0102_1997, "9P")] {
            assert_eq!(network_name(number), Some(name));
        }
        // ext4 and tmpfs.
        assert_eq!((network_name(0xef53), network_name(0x0102_1994)), (None, None));
        let hint = network_hint(Path::new("/mnt/cache.db"), "NFS");
        assert!(hint.starts_with("cache file \"/mnt/cache.db\" is on NFS, a network file system"), "{hint}");
    }

    #[test]
    fn only_unchanged_companions_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let (old, new) = (with_ending(&path, "-old"), with_ending(&path, "-new"));
        fs::write(&old, "").unwrap();
        fs::write(&new, "").unwrap();
        let companions = Companions::of(&path, &["-old", "-new", "-none"]);
        let moved = with_ending(&path, "-moved");
        fs::write(&moved, "").unwrap();
        fs::rename(&moved, &new).unwrap();
        companions.remove();
        assert!(!old.exists() && new.exists());
    }

    #[test]
    fn file_open_in_another_library_copy_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let foreign = fs::File::create(&path).unwrap();
        let open = || open_alone(&path, || Ok(()));
        let error = open().unwrap_err();
        assert!(error.to_string().contains("another copy of the database library"), "{error}");
        drop(foreign);
        let (_, ours) = open().unwrap();
        let _also_ours = fs::File::open(&path).unwrap();
        let (_, ours_too) = open().unwrap();
        drop(ours);
        let (_, again) = open().unwrap();
        drop((ours_too, again));
        assert!(open().is_err());
    }
}
