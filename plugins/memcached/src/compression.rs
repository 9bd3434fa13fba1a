//! Compression as in the Python clients: zlib, and a flag that marks compressed values.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// The flag of a compressed value, in all Python clients.
pub(crate) const COMPRESSED: u32 = 1 << 3;

/// Returns `value` compressed, if that is shorter.
pub(crate) fn deflate(value: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(value.len() / 2), Compression::default());
    // Writing to a vector cannot fail.
    encoder.write_all(value).ok()?;
    encoder.finish().ok().filter(|deflated| deflated.len() < value.len())
}

/// Why a value cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("its compressed form is invalid")]
    Damaged(#[source] io::Error),
    #[error("it has more than {0} bytes when decompressed")]
    TooLarge(usize),
}

/// Returns the value that was compressed.
///
/// # Errors
/// If `deflated` is not zlib, or expands to more than `limit` bytes. A kilobyte of zlib can expand to a megabyte.
pub(crate) fn inflate(deflated: &[u8], limit: usize) -> Result<Vec<u8>, Unreadable> {
    let mut value = Vec::new();
    let most = (limit as u64).saturating_add(1);
    ZlibDecoder::new(deflated).take(most).read_to_end(&mut value).map_err(Unreadable::Damaged)?;
    if value.len() > limit { Err(Unreadable::TooLarge(limit)) } else { Ok(value) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    #[test]
    fn compressed_value_is_restored() {
        let value = b"again and again and again and again and again".repeat(9);
        let deflated = deflate(&value).unwrap();
        assert!(deflated.len() < value.len());
        assert_eq!(inflate(&deflated, value.len()).unwrap(), value);
        assert_eq!(deflate(b"short"), None);
    }

    #[test]
    fn invalid_or_oversized_zlib_is_refused() {
        const LIMIT: usize = 1 << 20;
        assert!(matches!(inflate(b"nothing of the kind", LIMIT), Err(Unreadable::Damaged(_))));
        let bomb = deflate(&vec![0; LIMIT + 1]).unwrap();
        assert!(bomb.len() < LIMIT / 500);
        assert!(matches!(inflate(&bomb, LIMIT), Err(Unreadable::TooLarge(LIMIT))));
        assert_eq!(inflate(&bomb, LIMIT + 1).unwrap().len(), LIMIT + 1);
        assert!(inflate(&bomb[..bomb.len() / 2], LIMIT + 1).is_err());
        assert!(inflate(&bomb, usize::MAX).is_ok());
    }
}
