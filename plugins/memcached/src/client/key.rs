//! [`check_key`]: the keys that a server accepts.

/// The longest key, in bytes.
pub const KEY_LIMIT: usize = 250;

/// Checks that `key` can be sent in every protocol.
///
/// A key has 1 to 250 bytes. It contains no whitespace and no control characters, because they would end the key or
/// start another command.
///
/// # Errors
/// If `key` is invalid. The text is the reason.
pub fn check_key(key: &str) -> Result<(), String> {
    let bytes = key.as_bytes();
    if bytes.is_empty() {
        return Err("invalid memcached key: it is empty; use at least one byte".to_owned());
    }
    if bytes.len() > KEY_LIMIT {
        return Err(format!("invalid memcached key: it has {} bytes; use at most {KEY_LIMIT}", bytes.len()));
    }
    match bytes.iter().position(|byte| *byte <= b' ' || *byte == 0x7f) {
        None => Ok(()),
        Some(at) => Err(format!(
            "invalid memcached key: it contains {:?}; use no whitespace and no control characters",
            bytes[at] as char
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_that_would_end_or_start_a_command_is_refused() {
        for key in ["", "a b", "a\r\nflush_all", "a\0", "a\x7f", "\t", &"k".repeat(251)] {
            assert!(check_key(key).is_err(), "{key:?}");
        }
        for key in ["a", "m:f|1", "sch\u{f6}n", &"k".repeat(250)] {
            assert_eq!(check_key(key), Ok(()), "{key:?}");
        }
    }
}
