//! `dogpile.cache.lmdb`: values in one LMDB file, which is read without system calls.

mod backend;
mod calls;
#[cfg(all(unix, target_pointer_width = "64", target_endian = "little"))]
mod check;
mod environment;
#[allow(unsafe_code, reason = "other processes may change a mapped file at any time")]
mod map;
mod operations;
#[cfg(all(unix, target_pointer_width = "64", target_endian = "little"))]
mod page;
mod writers;

pub use self::backend::LmdbBackend;
