//! The bytes on the wire: `{"ct": 1700000000.123456, "v": 2}|<payload>`, shared with Python's dogpile.cache.
//!
//! A JSON object, one `|`, the payload. It is read and written here and nowhere else. Unknown members are
//! ignored; what is no envelope is no value.
//!
//! Source: dogpile.cache `region.py`, `CacheRegion._parse_serialized_value` and `_serialize_cached_value_elements`.

use serde::Deserialize;

use crate::value::{CreationTime, Metadata};

/// The longest header that is looked at, in bytes; real ones have about 35.
pub const MAX_HEADER_BYTES: usize = 4096;

#[derive(Deserialize)]
struct Header {
    ct: f64,
    v: i64,
}

/// Reads the envelope at the head of `stored`; answers the metadata and where the payload starts, or `None` if
/// there is no envelope.
pub fn read(stored: &[u8]) -> Option<(Metadata, usize)> {
    let head = &stored[..stored.len().min(MAX_HEADER_BYTES)];
    let bar = head.iter().position(|byte| *byte == b'|')?;
    let Header { ct, v } = serde_json::from_slice(&head[..bar]).ok()?;
    Some((Metadata { creation_time: CreationTime::from_seconds(ct), version: v }, bar + 1))
}

/// Writes `payload` in its envelope, with Python's spaces and its form of a float.
pub fn write(metadata: Metadata, payload: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(payload.len() + 48);
    let (seconds, version) = (metadata.creation_time.as_seconds(), metadata.version);
    stored.extend_from_slice(format!("{{\"ct\": {seconds:?}, \"v\": {version}}}|").as_bytes());
    stored.extend_from_slice(payload);
    stored
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metadata(seconds: f64) -> Metadata {
        Metadata::new(CreationTime::from_seconds(seconds))
    }

    #[test]
    fn it_is_written_as_python_writes_it() {
        let written = write(metadata(1_700_000_000.123_456), b"[1]");
        assert_eq!(written, br#"{"ct": 1700000000.123456, "v": 2}|[1]"#);
        assert_eq!(write(metadata(1_700_000_000.0), b""), br#"{"ct": 1700000000.0, "v": 2}|"#);
    }

    #[test]
    fn it_is_split_at_the_first_bar() {
        let (metadata, start) = read(br#"{"v": 2, "more": [1], "ct": 5}|a|b"#).unwrap();
        assert_eq!((metadata.creation_time.as_seconds(), metadata.version, start), (5.0, 2, 31));
    }

    #[test]
    fn what_is_no_envelope_is_no_value() {
        let huge = [b'{'; 100_000];
        let damaged: [&[u8]; 11] = [
            b"",
            b"|",
            b"payload",
            br#"{"ct": 1.0, "v": 2}"#,
            br#"{"ct": 1.0, "v": 2"#,
            br#"{"ct": 1.0}|x"#,
            br#"{"v": 2}|x"#,
            br#"{"ct": "1.0", "v": 2}|x"#,
            br#"{"ct": NaN, "v": 2}|x"#,
            br#"[1.0, 2|x"#,
            &huge,
        ];
        for bytes in damaged {
            assert_eq!(read(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }

        #[test]
        fn what_was_written_is_read(seconds in 0.0..4e9_f64, payload in proptest::collection::vec(any::<u8>(), 0..99)) {
            let written = write(metadata(seconds), &payload);
            let (read, start) = read(&written).unwrap();
            prop_assert_eq!(read, metadata(seconds));
            prop_assert_eq!(&written[start..], &payload);
        }
    }
}
