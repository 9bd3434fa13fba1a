//! Fences: which lock must still be held when a value is stored.

use dogpile_sdk::Fence;

/// Creates the fence of the lock of `key` that has `token`.
pub(crate) fn fence(key: &str, token: &str) -> Fence {
    // A token consists of hexadecimal digits, so that the first space separates the two.
    Fence::new(format!("{token} {key}").into_bytes())
}

/// Returns the key and the token of the lock. Both are empty, as those of no lock are, if another kind of backend made the
/// fence.
pub(crate) fn read(fence: &Fence) -> (&str, &str) {
    let text = std::str::from_utf8(fence.as_bytes()).unwrap_or_default();
    // The server would refuse a text with a zero byte.
    let parts = text.split_once(' ').filter(|(token, _)| !token.contains('\0'));
    parts.map(|(token, key)| (key, token)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fence_is_read_back() {
        assert_eq!(read(&fence("key with spaces", "0123abcd")), ("key with spaces", "0123abcd"));
        for foreign in [&b"\xff"[..], b"", b"0123abcd", b"\0 key"] {
            assert_eq!(read(&Fence::new(foreign)), ("", ""));
        }
    }
}
