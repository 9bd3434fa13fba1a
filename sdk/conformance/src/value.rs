//! [`value_for`]: the values that the cases store.

use dogpile_sdk::{Bytes, CacheBackend, CachedValue, CreationTime, Metadata, Object, Payload};

/// The largest limit on values that is tried, in bytes.
pub(crate) const LONGEST_VALUE: u64 = 16 << 20;

/// Returns a value of `bytes` in the form that `backend` stores by default. It is an object or bytes.
pub(crate) fn value_for(backend: &dyn CacheBackend, bytes: &[u8]) -> CachedValue {
    let metadata = Metadata::new(CreationTime::from_seconds(1_700_000_000.123_456));
    let payload = match backend.capabilities().serializer {
        None => Payload::Object(Object::new(bytes.to_vec())),
        Some(_) => Payload::Bytes(Bytes::from(bytes)),
    };
    CachedValue { payload, metadata }
}
