//! [`MemoryConfig`]: the arguments of the memory backends.

use dogpile_sdk::{BackendError, ErrorKind};
use serde::{Deserialize, Serialize};

/// Arguments of the `dogpile.cache.memory` and `dogpile.cache.memory_pickle` entry points.
///
/// Without a limit nothing is ever dropped. With one, what is used least makes room. With both, an entry takes the
/// larger of two shares, its bytes of `max_bytes` and one of `max_entries`, and the shares never sum to more than
/// the whole: both limits hold at any time, and a mixture may reach neither. A limit is never exceeded; a large
/// cache is cut into parts, so that one of them may be full a few percent before the whole is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// The most entries that are kept, at least 1. Default: no limit.
    pub max_entries: Option<u64>,
    /// The most bytes that are kept, at least 1. Default: no limit.
    ///
    /// An entry counts as its key and its payload ([`Payload::size`](dogpile_sdk::Payload::size)): exact for
    /// serialised values; for an object only its own size, not what it points to, so that a `Vec` counts as 24
    /// bytes. The tables around the entries, about 150 bytes each, are not counted. What is larger than the limit
    /// is not kept; see [`LARGEST_ENTRY`](crate::MemoryBackend::LARGEST_ENTRY).
    pub max_bytes: Option<u64>,
}

impl MemoryConfig {
    /// The same, at most `entries` being kept.
    #[must_use]
    pub fn with_max_entries(mut self, entries: u64) -> Self {
        self.max_entries = Some(entries);
        self
    }

    /// The same, at most `bytes` being kept.
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
            "argument {name:?} of a memory backend is 0, and must be at least 1; leave it out for no limit, or use \
             \"dogpile.cache.null\" to keep nothing"
        );
        return Err(BackendError::new(ErrorKind::Configuration, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dogpile_sdk::Arguments;

    use super::*;

    #[test]
    fn a_limit_of_zero_is_refused_by_name() {
        let error = MemoryConfig::default().with_max_bytes(0).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert_eq!(
            error.to_string(),
            "argument \"max_bytes\" of a memory backend is 0, and must be at least 1; leave it out for no limit, \
             or use \"dogpile.cache.null\" to keep nothing"
        );
        let error = MemoryConfig::default().with_max_entries(0).check().unwrap_err();
        assert!(error.to_string().contains("\"max_entries\""), "{error}");
    }

    #[test]
    fn arguments_are_read_from_numbers_and_from_the_texts_of_an_ini_file() {
        let asked = MemoryConfig::default().with_max_entries(10).with_max_bytes(1000);
        let arguments = Arguments::from_serialize(asked).unwrap();
        assert_eq!(arguments.parse::<MemoryConfig>().unwrap(), asked);
        let texts = [("max_entries", "10"), ("max_bytes", "1000")];
        let texts: std::collections::HashMap<_, _> = texts.into();
        assert_eq!(Arguments::from_serialize(texts).unwrap().parse::<MemoryConfig>().unwrap(), asked);
    }

    #[test]
    fn an_unknown_argument_is_refused() {
        let texts: std::collections::HashMap<_, _> = [("max_entires", 10)].into();
        let error = Arguments::from_serialize(texts).unwrap().parse::<MemoryConfig>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown argument \"max_entires\" (known: \"max_entries\", \"max_bytes\"); \
             did you mean \"max_entries\"?"
        );
    }
}
