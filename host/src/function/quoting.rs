//! Quoting of ambiguous parts of a key.
//!
//! A quoted part contains no plain `|`. It ends at the first double quote without a backslash before it.

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

/// Returns whether a `|` that follows `text` could be misread: `text` contains one, or looks quoted.
pub(super) fn has_bar_or_quote(text: &str) -> bool {
    text.starts_with('"') || text.contains('|')
}

/// Returns whether an open text in brackets could be read as no item or several ones.
pub(super) fn hides_its_end(text: &str) -> bool {
    text.is_empty() || text.contains([' ', ',', ':', '"', '\'', '[', ']', '(', ')', '{', '}'])
}
