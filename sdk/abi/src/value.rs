//! [`CachedValue`]: a payload and its metadata.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{attributes::Attributes, bytes::Bytes, object::Object};

/// A value as a backend keeps it.
//
// Source: dogpile.cache `api.py`, `CachedValue`.
#[repr(C)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
#[derive(Clone, Debug, PartialEq)]
pub struct CachedValue {
    /// The value itself.
    pub payload: Payload,
    /// The time of its creation, its format, and its attributes.
    pub metadata: Metadata,
}

/// The value itself, as an object of the host or serialized.
#[repr(u8)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
#[derive(Clone, Debug)]
pub enum Payload {
    /// A shared handle to a value of the host, never serialized.
    Object(Object),
    /// The serialized value, without the envelope.
    Bytes(Bytes),
}

impl Payload {
    /// Returns the bytes, or `None` for an object.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Payload::Bytes(bytes) => Some(bytes),
            Payload::Object(_) => None,
        }
    }

    /// Returns the size in bytes. The size of an object does not include what it points to.
    pub fn size(&self) -> usize {
        match self {
            Payload::Object(object) => object.shallow_size(),
            Payload::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Two objects are equal if they share one value.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Payload::Object(this), Payload::Object(that)) => this.ptr_eq(that),
            (Payload::Bytes(this), Payload::Bytes(that)) => this == that,
            _ => false,
        }
    }
}

/// The data stored beside a value. dogpile.cache calls its first two fields `ct` and `v`.
//
// Source: dogpile.cache `api.py`, `MetaDataType`, and `region.py`, `value_version`.
#[repr(C)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metadata {
    /// The time of creation (`ct`).
    pub creation_time: CreationTime,
    /// The version of the format (`v`).
    pub version: i64,
    /// Further members, which backends pass through unchanged.
    pub attributes: Attributes,
}

impl Metadata {
    /// The version of the format that this library writes. It serves no other version.
    pub const VERSION: i64 = 2;

    /// Creates the metadata of a value made at `creation_time`. It has the current format and no attributes.
    pub fn new(creation_time: CreationTime) -> Self {
        Metadata { creation_time, version: Self::VERSION, attributes: Attributes::NONE }
    }

    /// Sets the version of the format.
    #[must_use]
    pub fn with_version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// Sets the attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }
}

/// A moment, in seconds since the Unix epoch (dogpile's `ct`).
#[repr(transparent)]
#[cfg_attr(feature = "plugins", derive(abi_stable::StableAbi))]
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub struct CreationTime(f64);

impl CreationTime {
    /// Returns the present time of the system clock.
    pub fn now() -> Self {
        // A clock before 1970 gives the epoch itself. A value with this time is merely old.
        CreationTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
    }

    /// Creates the moment `seconds` after the Unix epoch.
    pub const fn from_seconds(seconds: f64) -> Self {
        CreationTime(seconds)
    }

    /// Returns the seconds since the Unix epoch.
    pub const fn as_seconds(self) -> f64 {
        self.0
    }

    /// Returns the time elapsed until `now`, or zero if this moment is later.
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
    fn age_is_never_negative() {
        let made = CreationTime::from_seconds(100.0);
        assert_eq!(made.age(CreationTime::from_seconds(105.0)), Duration::from_secs(5));
        assert_eq!(made.age(CreationTime::from_seconds(99.0)), Duration::ZERO);
        assert_eq!(made.age(CreationTime::from_seconds(f64::NAN)), Duration::ZERO);
        assert_eq!(made.age(CreationTime::from_seconds(f64::INFINITY)), Duration::MAX);
    }
}
