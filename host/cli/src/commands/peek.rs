//! Recognizes values that another program stored with another serializer.

use dogpile::sdk::{CachedValue, Payload};
use dogpile::serializer::{Serializer, erased_serde, guess_format};
use serde::de::IgnoredAny;

/// Returns the serializer that seems to have written `found`, if `serializer` cannot read it.
pub(super) fn foreign_format(found: &CachedValue, serializer: &dyn Serializer) -> Option<&'static str> {
    let Payload::Bytes(bytes) = &found.payload else { return None };
    let read = serializer.deserialize(bytes, &mut |deserializer| {
        erased_serde::deserialize::<IgnoredAny>(deserializer).map(drop)
    });
    if read.is_ok() { None } else { guess_format(bytes) }
}

/// Returns what to do about a value in `format` in a region that reads `serializer`.
pub(super) fn advice(format: &str, serializer: &str) -> String {
    format!(
        "the value seems to be {format}, but the region reads {serializer}; set serializer = {format:?} to share values \
         with the program that stored it"
    )
}
