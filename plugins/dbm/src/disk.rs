//! The file as the system has it: whether its name still means the file that was opened, and what lies beside it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dogpile_sdk::{BackendError, ErrorKind};

use crate::config::with_ending;

/// For how long a reader goes on with a file that was deleted or replaced, in milliseconds.
const LOOKS_EVERY: u64 = 100;

/// Which file a name means, however it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    /// That of `path`; none if there is no such file.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        identity(&fs::metadata(path).ok()?)
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere there is none")]
fn identity(metadata: &fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some(Identity(metadata.dev(), metadata.ino()))
}

/// A file that is open cannot be deleted or replaced there.
#[cfg(not(unix))]
fn identity(_metadata: &fs::Metadata) -> Option<Identity> {
    None
}

/// Milliseconds since some moment, a few exactly, and cheap to ask for.
#[cfg(target_os = "linux")]
fn coarse_now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    now.tv_sec.unsigned_abs() * 1000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn coarse_now() -> u64 {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A file that is open, and when it was last looked at by its name.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    opened: Option<Identity>,
    looked: AtomicU64,
}

impl Watch {
    /// `path` has just been opened.
    pub(crate) fn new(path: &Path) -> Self {
        Watch { path: path.to_owned(), opened: Identity::of(path), looked: AtomicU64::new(coarse_now()) }
    }

    /// Whether the name means another file by now, or none. Looks `now`, or else if it has not for a while.
    pub(crate) fn is_outdated(&self, now: bool) -> bool {
        let time = coarse_now();
        if !now && time.saturating_sub(self.looked.load(Ordering::Relaxed)) < LOOKS_EVERY {
            return false;
        }
        self.looked.store(time, Ordering::Relaxed);
        Identity::of(&self.path) != self.opened
    }
}

/// The files that lie beside a database, and were there when it was opened.
#[derive(Debug)]
pub(crate) struct Companions(Vec<(PathBuf, Option<Identity>)>);

impl Companions {
    /// Those of `path`, which are called as it is, with one of `endings` each.
    pub(crate) fn of(path: &Path, endings: &[&str]) -> Self {
        let companion = |ending| {
            let path = with_ending(path, ending);
            let identity = Identity::of(&path);
            (path, identity)
        };
        Companions(endings.iter().copied().map(companion).collect())
    }

    /// Removes those that are still the same: the database that they belong to is gone, and they would be taken for
    /// the next one's.
    pub(crate) fn remove(&self) {
        for (path, identity) in &self.0 {
            if identity.is_some() && Identity::of(path) == *identity {
                // Whoever else noticed may have been quicker.
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The files that this copy of the crate has open, and how often.
static OPEN: Mutex<Option<HashMap<Identity, usize>>> = Mutex::new(None);

fn open_files() -> MutexGuard<'static, Option<HashMap<Identity, usize>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That a file is open here, until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Option<Identity>);

impl Drop for Open {
    fn drop(&mut self) {
        let (Some(identity), Some(open)) = (self.0, &mut *open_files()) else { return };
        if let Some(count) = open.get_mut(&identity) {
            *count -= 1;
            if *count == 0 {
                open.remove(&identity);
            }
        }
    }
}

/// Runs `connect`, which opens `path`, unless something else in this process has it open: a database's locks belong to
/// the process, and are lost when anybody closes the file.
pub(crate) fn open_alone<T, E>(
    path: &Path,
    connect: impl FnOnce() -> Result<T, E>,
    failed: impl FnOnce(E) -> BackendError,
) -> Result<(T, Open), BackendError> {
    // Kept, so that what another thread of this copy is about to open is not taken for a stranger's.
    let mut open = open_files();
    let open = open.get_or_insert_default();
    if let Some(identity) = Identity::of(path)
        && !open.contains_key(&identity)
        && is_open_in_this_process(identity)
    {
        let message = format!(
            "cache file {} is open in this process already, through another copy of its database's library, such \
             as a plugin library's; two copies would undo each other's locks, so use one of them, or another file",
            path.display()
        );
        return Err(BackendError::new(ErrorKind::Configuration, message));
    }
    let connected = connect().map_err(failed)?;
    let identity = Identity::of(path);
    if let Some(identity) = identity {
        *open.entry(identity).or_default() += 1;
    }
    Ok((connected, Open(identity)))
}

#[cfg(target_os = "linux")]
fn is_open_in_this_process(identity: Identity) -> bool {
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else { return false };
    descriptors.flatten().any(|descriptor| Identity::of(&descriptor.path()) == Some(identity))
}

/// Elsewhere it cannot be found out.
#[cfg(not(target_os = "linux"))]
fn is_open_in_this_process(_identity: Identity) -> bool {
    false
}

/// What the file system of `path` is called, if it is one of the network, where processes of different machines
/// neither share memory nor, often, locks.
#[cfg(target_os = "linux")]
pub(crate) fn network_file_system(path: &Path) -> Option<&'static str> {
    let system = rustix::fs::statfs(path).ok()?;
    network_name(u32::try_from(system.f_type & 0xffff_ffff).ok()?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn network_file_system(_path: &Path) -> Option<&'static str> {
    None
}

/// The numbers are Linux's.
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

/// Tells whoever puts a cache on a network file system what to expect.
pub(crate) fn warn_of_network(path: &Path) {
    if let Some(name) = network_file_system(path) {
        log::warn!("{}", network_hint(path, name));
    }
}

fn network_hint(path: &Path, name: &str) -> String {
    format!(
        "cache file {} lies on {name}, a network file system: only processes of one machine may share it, and its \
         locks may not hold; use a local disk, or a server such as Redis",
        path.display()
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn a_network_file_system_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(network_file_system(folder.path()), None);
        for (number, name) in [(0x6969, "NFS"), (0xff53_4d42, "SMB"), (0x0102_1997, "9P")] {
            assert_eq!(network_name(number), Some(name));
        }
        // ext4 and tmpfs.
        assert_eq!((network_name(0xef53), network_name(0x0102_1994)), (None, None));
        let hint = network_hint(Path::new("/mnt/cache.db"), "NFS");
        assert!(hint.starts_with("cache file /mnt/cache.db lies on NFS, a network file system"), "{hint}");
    }

    #[test]
    fn companions_are_removed_only_if_they_are_the_same() {
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
    fn a_file_that_something_else_here_has_open_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let stranger = fs::File::create(&path).unwrap();
        let open = || open_alone(&path, || Ok(()), |error: BackendError| error);
        let error = open().unwrap_err();
        assert!(error.to_string().contains("open in this process already"), "{error}");
        drop(stranger);
        let (_, ours) = open().unwrap();
        let _also_ours = fs::File::open(&path).unwrap();
        let (_, ours_too) = open().unwrap();
        drop(ours);
        let (_, again) = open().unwrap();
        drop((ours_too, again));
        assert!(open().is_err());
    }
}
