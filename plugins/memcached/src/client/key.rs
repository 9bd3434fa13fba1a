//! Which keys a server takes.

/// The longest key, in bytes.
pub const KEY_LIMIT: usize = 250;

/// Whether `key` can be sent, in any protocol: 1 to 250 bytes, none of them a space or a control character, which would
/// end it or begin a command of its own.
pub fn check_key(key: &str) -> Result<(), String> {
    let bytes = key.as_bytes();
    if bytes.is_empty() {
        return Err("a memcached key has at least one byte".to_owned());
    }
    if bytes.len() > KEY_LIMIT {
        return Err(format!("a memcached key has at most {KEY_LIMIT} bytes, and this one {}", bytes.len()));
    }
    match bytes.iter().position(|byte| *byte <= b' ' || *byte == 0x7f) {
        None => Ok(()),
        Some(at) => Err(format!(
            "a memcached key has no space and no control character, and this one has {:?}",
            bytes[at] as char
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_would_end_a_command_or_begin_one_are_refused() {
        for key in ["", "a b", "a\r\nflush_all", "a\0", "a\x7f", "\t", &"k".repeat(251)] {
            assert!(check_key(key).is_err(), "{key:?}");
        }
        for key in ["a", "m:f|1", "sch\u{f6}n", &"k".repeat(250)] {
            assert_eq!(check_key(key), Ok(()), "{key:?}");
        }
    }
}
