//! The `unsafe` calls of heed, the only ones of this crate. LMDB maps its file into memory.

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
    // SAFETY: LMDB's locks are on, so all users of LMDB follow its rules. The README requires that nothing else writes
    // to the file or shortens it. heed opens a file once per process, and `disk::open_alone` refuses a file that
    // another copy of LMDB in this process has open.
    unsafe { options.open(path) }
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
