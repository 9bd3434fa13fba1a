//! [`guess_format`]: recognizes values that another program stored with another serializer.

use serde::de::IgnoredAny;

/// Returns the name of the serializer that seems to have written `bytes`: `pickle` or `json`.
///
/// A value that a region cannot read may come from a Python process with another serializer. Python's default is pickle.
///
/// ```
/// use dogpile::serializer::guess_format;
///
/// assert_eq!(guess_format(b"\x80\x04K\x05."), Some("pickle"));
/// assert_eq!(guess_format(b"{\"name\": \"Ada\"}"), Some("json"));
/// assert_eq!(guess_format(b"\x93\x01\x02\x03"), None);
/// ```
pub fn guess_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        // Protocol 2 to 5. Python has written one of these by default since 3.0.
        [0x80, 2..=5, .., b'.'] => Some("pickle"),
        // A single number could be anything.
        [b'{' | b'[' | b'"' | b't' | b'f' | b'n', ..] if is_json(bytes) => Some("json"),
        _ => None,
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_distinguished() {
        for (bytes, format) in [
            (&b"\x80\x02N."[..], Some("pickle")),
            (b"\x80\x05N", None),
            (b"\x80\x06N.", None),
            (b"[1, 2]", Some("json")),
            (b"null", Some("json")),
            (b"[1, 2", None),
            (b"nil", None),
            (b"7", None),
            (b"", None),
        ] {
            assert_eq!(guess_format(bytes), format, "{}", bytes.escape_ascii());
        }
    }
}
