//! [`Values`]: the stored form of values, and its limits.

use std::borrow::Cow;

use dogpile_sdk::{BackendError, ErrorKind, LogLimit};

use crate::compression::{COMPRESSED, Unreadable, deflate, inflate};
use crate::config::{MemcachedConfig, Sizes, Variant};

/// The stored form of values, as the Python client of the same name has it, and its limits.
#[derive(Debug)]
pub(crate) struct Values {
    /// The flags of an uncompressed value.
    flags: u32,
    compressed_from: Option<usize>,
    sizes: Sizes,
    skips_oversized: bool,
    /// The limit of warnings about oversized values.
    skipped: LogLimit,
}

impl Values {
    pub(crate) fn new(config: &MemcachedConfig, variant: Variant) -> Result<Self, BackendError> {
        Ok(Values {
            flags: bytes_flag(variant),
            compressed_from: config.compressed_from(variant),
            sizes: config.sizes()?,
            skips_oversized: config.skip_oversized,
            skipped: LogLimit::new(),
        })
    }

    /// Returns the most bytes of a stored form that a server accepts.
    pub(crate) fn largest(&self) -> usize {
        self.sizes.largest()
    }

    /// Returns the most bytes of all values of a call that are decompressed.
    pub(crate) fn total(&self) -> usize {
        self.sizes.total()
    }

    /// Returns the stored form of a value and its flags.
    pub(crate) fn encoded<'v>(&self, value: &'v [u8]) -> (Cow<'v, [u8]>, u32) {
        // A value beyond the limit could not be read again.
        let is_long = value.len() <= self.sizes.decompressed
            && self.compressed_from.is_some_and(|length| value.len() >= length);
        match is_long.then(|| deflate(value)).flatten() {
            Some(deflated) => (Cow::Owned(deflated), self.flags | COMPRESSED),
            None => (Cow::Borrowed(value), self.flags),
        }
    }

    /// Returns the value of a stored form. `left` is how many bytes may still be decompressed in this call.
    pub(crate) fn decoded(&self, data: Vec<u8>, flags: u32, left: &mut usize) -> Result<Vec<u8>, Unreadable> {
        if flags & COMPRESSED == 0 {
            return Ok(data);
        }
        let value = inflate(&data, self.sizes.decompressed.min(*left))?;
        *left -= value.len();
        Ok(value)
    }

    /// Returns the error for a stored form of `length` bytes, or only logs it if the configuration says so.
    pub(crate) fn oversized(&self, length: usize) -> Result<(), BackendError> {
        let Sizes { item, value, .. } = self.sizes;
        let (bound, what_to_raise) = if length > value {
            (format!("the limit is {value} bytes"), "raise \"max_value_bytes\"")
        } else {
            let bound = format!("the item limit of the memcached servers is {item} bytes");
            (bound, "raise the limit (-I, and \"item_size_max\" here)")
        };
        let why = format!(
            "cannot store the value: its stored form has {length} bytes, and {bound}; {what_to_raise}, or set \
             \"skip_oversized\" to skip such values"
        );
        if self.skips_oversized {
            if let Some(suppressed) = self.skipped.pass() {
                log::warn!("skipped an oversized value: {why}{suppressed}");
            }
            return Ok(());
        }
        Err(BackendError::new(ErrorKind::InvalidValue, why))
    }
}

/// Returns the flags with which a Python client marks bytes.
pub(crate) fn bytes_flag(variant: Variant) -> u32 {
    const BINARY: u32 = 1 << 4;
    if variant == Variant::Bmemcached { BINARY } else { 0 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    fn values(written: &str) -> Values {
        Values::new(&serde_json::from_str(written).unwrap(), Variant::PythonMemcached).unwrap()
    }

    #[test]
    fn value_beyond_the_decompression_limit_is_not_compressed() {
        let values = values(r#"{"min_compress_len": 100, "max_decompressed_bytes": 1000}"#);
        for (length, is_compressed) in [(99, false), (100, true), (1000, true), (1001, false)] {
            let value = vec![b'v'; length];
            let (data, flags) = values.encoded(&value);
            assert_eq!(flags & COMPRESSED != 0, is_compressed, "{length}");
            assert_eq!(values.decoded(data.into_owned(), flags, &mut 1000).unwrap(), value);
        }
    }

    #[test]
    fn values_of_a_call_share_the_decompression_limit() {
        let values = values(r#"{"min_compress_len": 100, "max_decompressed_bytes": 1000}"#);
        let (data, flags) = values.encoded(&[b'v'; 600]);
        let mut left = 1000;
        let mut decoded = || values.decoded(data.to_vec(), flags, &mut left);
        assert_eq!(decoded().unwrap().len(), 600);
        assert!(matches!(decoded(), Err(Unreadable::TooLarge(400))));
        assert_eq!(values.total(), 1 << 30);
    }

    #[test]
    fn oversized_value_is_an_error_with_its_limit() {
        let error = |written, length| values(written).oversized(length).unwrap_err().to_string();
        let why = error("{}", 2 << 20);
        assert!(
            why.contains("the item limit of the memcached servers is 1048576 bytes; raise the limit"),
            "{why}"
        );
        let why = error(r#"{"max_value_bytes": 7}"#, 8);
        assert!(why.contains("has 8 bytes, and the limit is 7 bytes; raise \"max_value_bytes\""), "{why}");
        values(r#"{"skip_oversized": true}"#).oversized(2 << 20).unwrap();
    }
}
