//! Quoting of ambiguous parts of a key.
//!
//! A quoted part contains no plain `|`. It ends at the first double quote without a backslash before it. Only quoted
//! parts begin with a double quote.

/// Quotes `key` from `begin` on.
pub(super) fn quote(key: &mut String, begin: usize) {
    let plain = key.split_off(begin);
    key.push('"');
    for character in plain.chars() {
        match character {
            '"' => key.push_str("\\\""),
            '\\' => key.push_str("\\\\"),
            '|' => key.push_str("\\x7c"),
            _ => key.push(character),
        }
    }
    key.push('"');
}

/// Quotes a text that begins with a double quote, so that nobody takes it for a quoted one.
#[inline]
pub(super) fn quote_quote(key: &mut String, begin: usize) {
    if key.as_bytes().get(begin) == Some(&b'"') {
        quote(key, begin);
    }
}

/// Quotes a text that contains `separator`, unless it is quoted already.
pub(super) fn quote_separator(key: &mut String, begin: usize, separator: char) {
    let text = &key[begin..];
    if !text.starts_with('"') && text.contains(separator) {
        quote(key, begin);
    }
}

/// Quotes an item of a list or tuple that could be read as no item or several ones.
pub(super) fn quote_nested(key: &mut String, begin: usize) {
    let text = &key[begin..];
    if text.is_empty() || text.contains([' ', ',', '"', '\'', '[', ']', '(', ')']) {
        quote(key, begin);
    }
}

/// Quotes a value in `Some` whose text is `None`, or is `None` quoted any number of times.
pub(super) fn quote_none(key: &mut String, begin: usize) {
    let bare = key[begin..].trim_matches(['"', '\\']);
    // This also quotes texts that quoting cannot produce, such as `\None`. That is harmless.
    if bare == "None" {
        quote(key, begin);
    }
}
