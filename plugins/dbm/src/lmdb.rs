//! `dogpile.cache.lmdb`: values in one LMDB file, which is read without system calls.

mod backend;
mod environment;
#[allow(unsafe_code, reason = "nobody can check what other processes do to a mapped file")]
mod map;

pub use self::backend::LmdbBackend;
