//! Compression as in the Python clients: zlib, and a flag that marks compressed values.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// The flag of a compressed value, in all Python clients.
pub(crate) const COMPRESSED: u32 = 1 << 3;

/// The largest value that is decompressed. A kilobyte of zlib can expand to a megabyte.
const LARGEST: u64 = 256 << 20;

/// Returns `value` compressed, if that is shorter.
pub(crate) fn deflate(value: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(value.len() / 2), Compression::default());
    // Writing to a vector cannot fail.
    encoder.write_all(value).ok()?;
    encoder.finish().ok().filter(|deflated| deflated.len() < value.len())
}

/// Returns the value that was compressed.
///
/// # Errors
/// If `deflated` is not zlib, or expands to more than 256 MiB.
pub(crate) fn inflate(deflated: &[u8]) -> io::Result<Vec<u8>> {
    let mut value = Vec::new();
    ZlibDecoder::new(deflated).take(LARGEST + 1).read_to_end(&mut value)?;
    if value.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the decompressed value is too large"));
    }
    Ok(value)
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
        assert_eq!(inflate(&deflated).unwrap(), value);
        assert_eq!(deflate(b"short"), None);
    }

    #[test]
    fn invalid_or_oversized_zlib_is_refused() {
        assert!(inflate(b"nothing of the kind").is_err());
        let bomb = deflate(&vec![0; LARGEST as usize + 1]).unwrap();
        assert!(bomb.len() < 1 << 20);
        assert!(inflate(&bomb).is_err());
    }
}
