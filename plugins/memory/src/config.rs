//! [`MemoryConfig`]: the arguments of the memory backends.

use dogpile_sdk::{BackendError, ErrorKind, ForeignArguments, OSLO_CACHE};
use serde::{Deserialize, Serialize};

/// The options of oslo.cache for servers, which the entry points accept without effect.
pub const FOREIGN: ForeignArguments =
    ForeignArguments::new(&[]).with_others(OSLO_CACHE, "it is for a store on a server");

/// Arguments of the `dogpile.cache.memory` and `dogpile.cache.memory_pickle` entry points.
///
/// Without a limit, nothing is ever dropped. With a limit, the least used entries make room, and the limit is never
/// exceeded. A large cache consists of shards, so one shard may be full a few percent before the whole cache is.
///
/// With both limits, an entry takes the larger of two shares: its bytes of `max_bytes`, and one of `max_entries`. The
/// shares never exceed the whole, so both limits always hold. A mixture of entries may reach neither limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// Most entries that are kept, at least 1. Default: no limit.
    pub max_entries: Option<u64>,
    /// Most bytes of keys and payloads that are kept, at least 1. Default: no limit.
    ///
    /// An entry counts with its key and its payload ([`Payload::size`](dogpile_sdk::Payload::size)). The size of a
    /// serialized value is exact. An object counts with its own size, not with what it points to: a `Vec` counts as 24
    /// bytes. The tables, about 150 bytes per entry, are not counted. An entry above the limit is not kept; see
    /// [`LARGEST_ENTRY`](crate::MemoryBackend::LARGEST_ENTRY).
    pub max_bytes: Option<u64>,
}

impl MemoryConfig {
    /// Sets the limit on entries.
    #[must_use]
    pub fn with_max_entries(mut self, entries: u64) -> Self {
        self.max_entries = Some(entries);
        self
    }

    /// Sets the limit on bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    pub(crate) fn check(&self) -> Result<(), BackendError> {
        refuse_zero("max_entries", self.max_entries)?;
        refuse_zero("max_bytes", self.max_bytes)
    }
}

fn refuse_zero(name: &str, limit: Option<u64>) -> Result<(), BackendError> {
    if limit == Some(0) {
        let message = format!(
            "invalid argument {name:?}: 0 is too low; use at least 1, remove it for no limit, or use the backend \
             \"dogpile.cache.null\" to store nothing"
        );
        return Err(BackendError::new(ErrorKind::Configuration, message).for_argument(name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dogpile_sdk::Arguments;

    use super::*;

    #[test]
    fn limit_of_zero_is_refused() {
        let error = MemoryConfig::default().with_max_bytes(0).check().unwrap_err();
        assert_eq!((error.kind(), error.argument()), (ErrorKind::Configuration, Some("max_bytes")));
        assert_eq!(
            error.to_string(),
            "invalid argument \"max_bytes\": 0 is too low; use at least 1, remove it for no limit, or use the backend \
             \"dogpile.cache.null\" to store nothing"
        );
        let error = MemoryConfig::default().with_max_entries(0).check().unwrap_err();
        assert!(error.to_string().contains("\"max_entries\""), "{error}");
    }

    #[test]
    fn arguments_are_read_from_numbers_and_strings() {
        let expected = MemoryConfig::default().with_max_entries(10).with_max_bytes(1000);
        let arguments = Arguments::from_serialize(expected).unwrap();
        assert_eq!(arguments.parse::<MemoryConfig>().unwrap(), expected);
        let texts = [("max_entries", "10"), ("max_bytes", "1000")];
        let texts: std::collections::HashMap<_, _> = texts.into();
        assert_eq!(Arguments::from_serialize(texts).unwrap().parse::<MemoryConfig>().unwrap(), expected);
    }

    #[test]
    fn unknown_argument_is_refused() {
        let texts: std::collections::HashMap<_, _> = [("max_entires", 10)].into();
        let error = Arguments::from_serialize(texts).unwrap().parse::<MemoryConfig>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown argument \"max_entires\" (known: \"max_entries\", \"max_bytes\"); \
             did you mean \"max_entries\"?"
        );
    }
}
