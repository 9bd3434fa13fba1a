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
    let head = &head[..bar];
    let Header { ct, v } = as_written(head).or_else(|| serde_json::from_slice(head).ok())?;
    Some((Metadata { creation_time: CreationTime::from_seconds(ct), version: v }, bar + 1))
}

/// Reads a header that has the form of those written here and by Python, which nearly all have: for these there is no need of
/// JSON's other forms.
fn as_written(head: &[u8]) -> Option<Header> {
    let head = std::str::from_utf8(head).ok()?;
    let (ct, v) = head.strip_prefix("{\"ct\": ")?.strip_suffix('}')?.split_once(',')?;
    let v = v.strip_prefix(" \"v\": ")?;
    let (whole, part) = ct.split_once('.')?;
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let has_no_zero_first = |digits: &str| digits.len() == 1 || !digits.starts_with('0');
    let is_plain =
        is_number(part) && [whole, v].into_iter().all(|text| is_number(text) && has_no_zero_first(text));
    if !is_plain {
        return None;
    }
    Some(Header { ct: ct.parse().ok()?, v: v.parse().ok()? })
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
        /// The short way says what JSON says, or leaves it to JSON.
        #[test]
        fn a_header_has_one_meaning(ct in "[0-9]{0,12}(\\.[0-9]{0,9})?(e[0-9])?|NaN|-?[0-9.+]{0,6}", v in "-?[0-9]{0,20}|1\\.0", end in "\\}?") {
            let head = format!("{{\"ct\": {ct}, \"v\": {v}{end}");
            if let Some(Header { ct, v }) = as_written(head.as_bytes()) {
                let json: Header = serde_json::from_str(&head).unwrap();
                prop_assert_eq!((ct, v), (json.ct, json.v));
            }
        }

        #[test]
        fn what_is_written_is_read_the_short_way(seconds in 0.0..4e9_f64) {
            let written = write(metadata(seconds), b"");
            let head = &written[..written.len() - 1];
            prop_assert!(seconds < 1e-4 || as_written(head).is_some(), "{}", head.escape_ascii());
        }

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
