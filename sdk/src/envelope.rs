//! The stored bytes: `{"ct": 1700000000.123456, "v": 2}|<payload>`, as Python's dogpile.cache reads and writes them.
//!
//! The header is a JSON object, followed by one `|` and the payload. Only this module reads and writes it. Further
//! members of the object are the value's attributes. Bytes without a valid header are not a value.
//!
//! Source: dogpile.cache `region.py`, `CacheRegion._parse_serialized_value` and `_serialize_cached_value_elements`.

use std::fmt::{self, Write};

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::{BackendError, ErrorKind};
use crate::value::{Attributes, Bytes, CachedValue, CreationTime, Metadata, Payload};

/// The length of the longest header that is read, in bytes. A header without attributes has about 35.
pub const MAX_HEADER_BYTES: usize = 4096;

/// The members of a header. `attributes` is the text of those that are neither `ct` nor `v`.
#[derive(Debug, PartialEq)]
struct Header {
    ct: f64,
    v: i64,
    attributes: String,
}

/// Reads the envelope at the start of `stored`. Returns the metadata and the start of the payload, or `None` if the
/// header is invalid.
pub fn read(stored: &[u8]) -> Option<(Metadata, usize)> {
    let head = &stored[..stored.len().min(MAX_HEADER_BYTES)];
    let bar = head.iter().position(|byte| *byte == b'|')?;
    let head = &head[..bar];
    let Header { ct, v, attributes } = read_plain(head).or_else(|| serde_json::from_slice(head).ok())?;
    let metadata = Metadata::new(CreationTime::from_seconds(ct)).with_version(v);
    Some((metadata.with_attributes(Attributes::from_members(attributes)), bar + 1))
}

/// Returns the value in `stored`, or `None` if its header is invalid. Such bytes are a miss.
pub fn open(stored: Vec<u8>) -> Option<CachedValue> {
    let stored = Bytes::from(stored);
    let (metadata, start) = read(&stored)?;
    Some(CachedValue { payload: Payload::Bytes(stored.slice(start..)), metadata })
}

/// Returns the bytes to store for `value` under `key`.
///
/// # Errors
/// If the value is an object, or has attributes that the header cannot have.
pub fn seal(key: &str, value: &CachedValue) -> Result<Vec<u8>, BackendError> {
    let refused = |problem: &str| {
        BackendError::new(ErrorKind::InvalidValue, problem.to_owned()).during("set").for_key(key)
    };
    let Payload::Bytes(payload) = &value.payload else {
        return Err(refused(
            "cannot store an object: this backend stores bytes; configure a serializer for the region",
        ));
    };
    if !is_readable(&value.metadata) {
        return Err(refused(
            "cannot store the value: its attributes are invalid or too long for the envelope's header",
        ));
    }
    Ok(write(&value.metadata, payload))
}

/// Reads a header that has exactly the form that Python and this module write without attributes.
///
/// Nearly all headers do. Reading one this way takes a fraction of the time of a JSON parser.
fn read_plain(head: &[u8]) -> Option<Header> {
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
    Some(Header { ct: ct.parse().ok()?, v: v.parse().ok()?, attributes: String::new() })
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

/// Reads the members of a header.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let (mut ct, mut v, mut attributes) = (None, None, String::new());
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "ct" if ct.is_none() => ct = Some(map.next_value()?),
                "v" if v.is_none() => v = Some(map.next_value()?),
                "ct" | "v" => return Err(A::Error::custom("duplicate member")),
                // Keep the text of the value: numbers keep their digits, and strings their escapes.
                _ => push_member(&mut attributes, &name, map.next_value::<&RawValue>()?.get()),
            }
        }
        let (Some(ct), Some(v)) = (ct, v) else { return Err(A::Error::custom("missing member")) };
        Ok(Header { ct, v, attributes })
    }
}

/// Appends a JSON member to `members`. `value` is JSON text.
fn push_member(members: &mut String, name: &str, value: &str) {
    let separator = if members.is_empty() { "" } else { ", " };
    let name = serde_json::Value::from(name);
    let _ = write!(members, "{separator}{name}: {value}");
}

/// Returns `attributes`, except that the member `name` is `value`, which is JSON text.
pub fn with_member(attributes: &Attributes, name: &str, value: &str) -> Attributes {
    let mut members = String::new();
    for_each_member(attributes, |other, text| {
        if other != name {
            push_member(&mut members, other, text);
        }
    });
    push_member(&mut members, name, value);
    Attributes::from_members(members)
}

/// Returns the JSON text of the member `name`, or `None` if there is none.
pub fn member(attributes: &Attributes, name: &str) -> Option<String> {
    let mut found = None;
    for_each_member(attributes, |other, text| {
        if other == name {
            found = Some(text.to_owned());
        }
    });
    found
}

/// Calls `visit` with the name and the JSON text of each member. Invalid attributes have none.
fn for_each_member(attributes: &Attributes, visit: impl FnMut(&str, &str)) {
    struct Each<F>(F);

    impl<'de, F: FnMut(&str, &str)> Visitor<'de> for Each<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key::<String>()? {
                (self.0)(&name, map.next_value::<&RawValue>()?.get());
            }
            Ok(())
        }
    }

    let text = format!("{{{}}}", attributes.members());
    if attributes.is_empty() || serde_json::from_str::<IgnoredAny>(&text).is_err() {
        return;
    }
    let _ = serde_json::Deserializer::from_str(&text).deserialize_map(Each(visit));
}

/// Writes `payload` in its envelope, with the spaces and numbers that Python writes.
pub fn write(metadata: &Metadata, payload: &[u8]) -> Vec<u8> {
    let header = header(metadata);
    let mut stored = Vec::with_capacity(header.len() + payload.len());
    stored.extend_from_slice(header.as_bytes());
    stored.extend_from_slice(payload);
    stored
}

/// Returns whether an envelope with this `metadata` can be read again.
pub fn is_readable(metadata: &Metadata) -> bool {
    metadata.attributes.is_empty() || read(header(metadata).as_bytes()).is_some()
}

fn header(metadata: &Metadata) -> String {
    let Metadata { creation_time, version, attributes, .. } = metadata;
    let seconds = creation_time.as_seconds();
    if attributes.is_empty() {
        return format!("{{\"ct\": {seconds:?}, \"v\": {version}}}|");
    }
    // In JSON, a bar occurs only in strings. Python splits at the first bar, so write it as an escape.
    let members = attributes.members().replace('|', "\\u007c");
    format!("{{\"ct\": {seconds:?}, \"v\": {version}, {members}}}|")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metadata(seconds: f64) -> Metadata {
        Metadata::new(CreationTime::from_seconds(seconds))
    }

    #[test]
    fn envelope_is_written_as_by_python() {
        let written = write(&metadata(1_700_000_000.123_456), b"[1]");
        assert_eq!(written, br#"{"ct": 1700000000.123456, "v": 2}|[1]"#);
        assert_eq!(write(&metadata(1_700_000_000.0), b""), br#"{"ct": 1700000000.0, "v": 2}|"#);
    }

    #[test]
    fn envelope_is_split_at_the_first_bar() {
        let (metadata, start) = read(br#"{"v": 2, "more": [1], "ct": 5}|a|b"#).unwrap();
        assert_eq!((metadata.creation_time.as_seconds(), metadata.version, start), (5.0, 2, 31));
        assert_eq!(metadata.attributes.members(), r#""more": [1]"#);
    }

    #[test]
    fn bytes_without_a_header_are_not_a_value() {
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

    #[test]
    fn attributes_pass_through_unchanged() {
        let members = r#""d.a": 1.50, "b": {"c": "\u007c", "d": 123456789012345678901234567890}"#;
        let metadata = metadata(5.0).with_attributes(Attributes::from_members(members));
        let written = write(&metadata, b"payload");
        assert_eq!(written, format!(r#"{{"ct": 5.0, "v": 2, {members}}}|payload"#).as_bytes());
        let (read, start) = read(&written).unwrap();
        assert_eq!((&read, &written[start..]), (&metadata, &b"payload"[..]));
    }

    #[test]
    fn bar_in_an_attribute_is_escaped() {
        let metadata = metadata(5.0).with_attributes(Attributes::from_members(r#""d.a": "x|y""#));
        let written = write(&metadata, b"");
        let (read, start) = read(&written).unwrap();
        assert_eq!(start, written.len());
        assert_eq!(member(&read.attributes, "d.a").as_deref(), Some(r#""x\u007cy""#));
    }

    #[test]
    fn members_are_found_and_replaced() {
        let one = with_member(&Attributes::NONE, "d.a", "1");
        let two = with_member(&with_member(&one, "b", "[2]"), "d.a", "3");
        assert_eq!(two.members(), r#""b": [2], "d.a": 3"#);
        assert_eq!((member(&two, "d.a").as_deref(), member(&two, "c")), (Some("3"), None));
        assert_eq!(member(&Attributes::from_members("not JSON"), "d.a"), None);
    }

    #[test]
    fn unreadable_attributes_are_detected() {
        let with = |members: String| metadata(5.0).with_attributes(Attributes::from_members(members));
        assert!(is_readable(&metadata(5.0)));
        assert!(is_readable(&with(r#""d.a": 1"#.to_owned())));
        assert!(!is_readable(&with(format!(r#""d.a": "{}""#, "x".repeat(MAX_HEADER_BYTES)))));
        assert!(!is_readable(&with(r#""ct": 1"#.to_owned())));
        assert!(!is_readable(&with("not JSON".to_owned())));
    }

    proptest! {
        /// The quick reading of a header agrees with the JSON parser, or leaves the header to it.
        #[test]
        fn quick_reading_agrees_with_json(ct in "[0-9]{0,12}(\\.[0-9]{0,9})?(e[0-9])?|NaN|-?[0-9.+]{0,6}", v in "-?[0-9]{0,20}|1\\.0", end in "\\}?") {
            let head = format!("{{\"ct\": {ct}, \"v\": {v}{end}");
            if let Some(plain) = read_plain(head.as_bytes()) {
                let json: Header = serde_json::from_str(&head).unwrap();
                prop_assert_eq!(plain, json);
            }
        }

        #[test]
        fn written_header_is_read_quickly(seconds in 0.0..4e9_f64) {
            let written = write(&metadata(seconds), b"");
            let head = &written[..written.len() - 1];
            prop_assert!(seconds < 1e-4 || read_plain(head).is_some(), "{}", head.escape_ascii());
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }

        #[test]
        fn written_envelope_is_read_back(seconds in 0.0..4e9_f64, payload in proptest::collection::vec(any::<u8>(), 0..99)) {
            let written = write(&metadata(seconds), &payload);
            let (read, start) = read(&written).unwrap();
            prop_assert_eq!(read, metadata(seconds));
            prop_assert_eq!(&written[start..], &payload);
        }
    }
}
