//! The calls of heed that are `unsafe`, since LMDB maps its file into memory; nothing else in this crate is.

use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, Result};

use crate::config::Synchronous;

/// How many threads of all processes may read at a time.
const MAX_READERS: u32 = 4096;

/// What LMDB's largest page is, of which the size of a map must be a multiple.
const PAGE: usize = 64 << 10;

/// Opens `path`, or creates it, with room for `size` bytes at first, or for what is in it.
pub(super) fn open(path: &Path, size: usize, synchronous: Synchronous) -> Result<Env> {
    let flags = match synchronous {
        Synchronous::Off => EnvFlags::NO_SYNC,
        Synchronous::Normal => EnvFlags::NO_META_SYNC,
        Synchronous::Full => EnvFlags::empty(),
    };
    let mut options = EnvOpenOptions::new();
    options.map_size(rounded(size)).max_readers(MAX_READERS);
    // SAFETY: the flags say how much is flushed, and that the path is a file: neither touches LMDB's own locks.
    unsafe { options.flags(flags | EnvFlags::NO_SUB_DIR) };
    // SAFETY: LMDB's locks are on, so that whoever opens the file through LMDB keeps to its rules; that nobody writes
    // into it otherwise, or shortens it, is asked of the user in the README. heed opens a file once in a process, and
    // `disk::open_alone` refuses one that another copy of LMDB in this process has open.
    unsafe { options.open(path) }
}

/// Gives `env` room for `size` bytes; with 0, for as much as another process gave it.
///
/// No transaction may be active in this process: whoever calls this has the environment alone, which `&mut` proves.
pub(super) fn resize(env: &mut Env, size: usize) -> Result<()> {
    // SAFETY: transactions borrow the environment, of which there is no clone, and it is borrowed mutably here.
    unsafe { env.resize(rounded(size)) }
}

fn rounded(size: usize) -> usize {
    size.checked_next_multiple_of(PAGE).unwrap_or(usize::MAX / PAGE * PAGE)
}
