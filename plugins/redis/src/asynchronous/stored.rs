//! The stored form of values. Asynchronous calls of a backend receive payloads, and write their envelope themselves.

use dogpile_sdk::{BackendError, Bytes, CachedValue, ErrorKind, Payload, envelope};

/// Returns the value in `stored`. Unreadable bytes are a miss, as in blocking calls.
pub(super) fn open(stored: Vec<u8>) -> Option<CachedValue> {
    let stored = Bytes::from(stored);
    let (metadata, start) = envelope::read(&stored)?;
    Some(CachedValue { payload: Payload::Bytes(stored.slice(start..)), metadata })
}

/// Returns what is stored for `value`.
///
/// # Errors
/// If the value is an object, or has attributes that cannot be stored.
pub(super) fn seal(key: &str, value: &CachedValue) -> Result<Vec<u8>, BackendError> {
    let refused = |problem: &str| Err(BackendError::new(ErrorKind::InvalidValue, problem).for_key(key));
    match &value.payload {
        Payload::Bytes(_) if !envelope::is_readable(&value.metadata) => refused(
            "cannot store the value: its attributes are invalid or too long for the envelope's header",
        ),
        Payload::Bytes(payload) => Ok(envelope::write(&value.metadata, payload)),
        _ => refused(
            "cannot store an object: this backend stores bytes; configure a serializer for the region",
        ),
    }
}
