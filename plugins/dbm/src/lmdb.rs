//! `dogpile.cache.lmdb`: values in one LMDB file, read without a system call.

mod backend;
mod environment;
#[allow(
    unsafe_code,
    reason = "heed leaves to its caller what nobody can check: what happens to a mapped file"
)]
mod map;

pub use self::backend::LmdbBackend;
