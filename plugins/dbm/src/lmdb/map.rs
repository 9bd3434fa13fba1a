//! The unsafe calls of this crate. heed's are unsafe because LMDB maps its file into memory, and one concerns LMDB's
//! descriptor.

use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, Result};

use crate::config::Synchronous;

/// The most threads of all processes that may read at a time.
const MAX_READERS: u32 = 4096;

/// The largest page size of LMDB. The size of a map must be a multiple of it.
const PAGE: usize = 64 << 10;

/// Opens `path`, creating it if needed. The map has at least `size` bytes, and more if the file is larger.
pub(super) fn open(path: &Path, size: usize, synchronous: Synchronous) -> Result<Env> {
    let flags = match synchronous {
        Synchronous::Off => EnvFlags::NO_SYNC,
        Synchronous::Normal => EnvFlags::NO_META_SYNC,
        Synchronous::Full => EnvFlags::empty(),
    };
    let mut options = EnvOpenOptions::new();
    options.map_size(rounded(size)).max_readers(MAX_READERS);
    // SAFETY: the flags determine what is flushed, and that the path is a file. LMDB's own locks stay on.
    unsafe { options.flags(flags | EnvFlags::NO_SUB_DIR) };
    check(path)?;
    // SAFETY: LMDB's locks are on, so all users of LMDB follow its rules. The README requires that nothing else writes
    // to the file or shortens it. heed opens a file once per process, and `disk::open_alone` refuses a file that
    // another copy of LMDB in this process has open.
    let env = unsafe { options.open(path) }?;
    close_on_exec(&env)?;
    Ok(env)
}

#[cfg(all(unix, target_pointer_width = "64", target_endian = "little"))]
fn check(path: &Path) -> Result<()> {
    super::check::check(&std::fs::File::open(path)?)
}

/// On other systems, LMDB lays out its pages differently.
#[cfg(not(all(unix, target_pointer_width = "64", target_endian = "little")))]
fn check(_path: &Path) -> Result<()> {
    Ok(())
}

/// Keeps started programs from inheriting the file, which LMDB leaves to its users.
///
/// A program that another thread starts at this very moment may still inherit it.
#[cfg(target_os = "linux")]
fn close_on_exec(env: &Env) -> Result<()> {
    use std::os::fd::BorrowedFd;
    use std::os::unix::fs::MetadataExt;

    use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
    let of = |found: std::fs::Metadata| (found.dev(), found.ino());
    let ours = of(env.try_clone_inner_file()?.metadata()?);
    for descriptor in std::fs::read_dir("/proc/self/fd")?.flatten() {
        let Some(number) = descriptor.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if std::fs::metadata(descriptor.path()).map(of).ok() != Some(ours) {
            continue;
        }
        // SAFETY: LMDB keeps its descriptor open as long as `env` lives. Should another one have this number by now,
        // the flag only keeps it from being inherited too.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let flags = fcntl_getfd(descriptor).map_err(std::io::Error::from)?;
        fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC).map_err(std::io::Error::from)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn close_on_exec(_env: &Env) -> Result<()> {
    Ok(())
}

/// Sets the size of the map of `env` to `size` bytes, or with 0, to the size that another process has set.
///
/// No transaction may be active in this process. The exclusive borrow of the environment proves it.
pub(super) fn resize(env: &mut Env, size: usize) -> Result<()> {
    // SAFETY: transactions borrow the environment. It has no clones and is borrowed mutably here, so none is active.
    unsafe { env.resize(rounded(size)) }
}

fn rounded(size: usize) -> usize {
    size.checked_next_multiple_of(PAGE).unwrap_or(usize::MAX / PAGE * PAGE)
}
