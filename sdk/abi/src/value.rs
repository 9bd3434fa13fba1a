//! What a backend stores: a payload, and when it was made.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use abi_stable::StableAbi;

use crate::{bytes::Bytes, object::Object};

/// A value as a backend keeps it.
///
/// Source: dogpile.cache `api.py`, `CachedValue`.
#[repr(C)]
#[derive(Clone, Debug, PartialEq, StableAbi)]
pub struct CachedValue {
    /// The value itself.
    pub payload: Payload,
    /// When it was made, and in which format.
    pub metadata: Metadata,
}

/// The value itself, as an object of the host or in its serialised form.
#[repr(u8)]
#[derive(Clone, Debug, StableAbi)]
pub enum Payload {
    /// A shared handle to a value of the host, never serialised.
    Object(Object),
    /// What the region's serializer made of the value, without the envelope.
    Bytes(Bytes),
}

impl Payload {
    /// The bytes, or `None` for an object.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Payload::Bytes(bytes) => Some(bytes),
            Payload::Object(_) => None,
        }
    }

    /// Bytes of memory that the payload takes: exact for bytes, without what it points to for an object.
    pub fn size(&self) -> usize {
        match self {
            Payload::Object(object) => object.shallow_size(),
            Payload::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Objects are equal if they are the same one.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Payload::Object(this), Payload::Object(that)) => this.ptr_eq(that),
            (Payload::Bytes(this), Payload::Bytes(that)) => this == that,
            _ => false,
        }
    }
}

/// What is stored beside a value: dogpile's `ct` and `v`.
///
/// Source: dogpile.cache `api.py`, `MetaDataType`, and `region.py`, `value_version`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, StableAbi)]
pub struct Metadata {
    /// When the value was made (`ct`).
    pub creation_time: CreationTime,
    /// The format's version (`v`).
    pub version: i64,
}

impl Metadata {
    /// The format that this library writes, and the only one that it serves.
    pub const VERSION: i64 = 2;

    /// The metadata of a value made at `creation_time`, in the current format.
    pub fn new(creation_time: CreationTime) -> Self {
        Metadata { creation_time, version: Self::VERSION }
    }
}

/// A moment, in seconds since the Unix epoch (dogpile's `ct`).
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, PartialOrd, StableAbi)]
pub struct CreationTime(f64);

impl CreationTime {
    /// The system clock's present moment.
    pub fn now() -> Self {
        // A clock before 1970 gives the epoch itself: what was made "then" is merely old.
        CreationTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
    }

    /// `seconds` since the Unix epoch.
    pub const fn from_seconds(seconds: f64) -> Self {
        CreationTime(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn as_seconds(self) -> f64 {
        self.0
    }

    /// How much time lies between this moment and `now`; zero if this one is the later.
    pub fn age(self, now: CreationTime) -> Duration {
        Duration::try_from_secs_f64((now.0 - self.0).max(0.0)).unwrap_or(Duration::MAX)
    }
}

impl fmt::Debug for CreationTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_never_negative() {
        let made = CreationTime::from_seconds(100.0);
        assert_eq!(made.age(CreationTime::from_seconds(105.0)), Duration::from_secs(5));
        assert_eq!(made.age(CreationTime::from_seconds(99.0)), Duration::ZERO);
        assert_eq!(made.age(CreationTime::from_seconds(f64::NAN)), Duration::ZERO);
        assert_eq!(made.age(CreationTime::from_seconds(f64::INFINITY)), Duration::MAX);
    }
}
