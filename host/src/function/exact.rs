//! Quotes around what could be mistaken for something else in a key.
//!
//! A quoted text has no plain `|`, and ends at the first double quote that has no backslash before it.

/// Puts what `key` has from `begin` on in quotes.
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

/// Quotes a text that stands among others: if it has blanks, or could be taken for quoted.
pub(super) fn quote_among_texts(key: &mut String, begin: usize) {
    let text = &key[begin..];
    if text.starts_with('"') || text.contains(' ') {
        quote(key, begin);
    }
}

/// Quotes what within a list or tuple could be mistaken for more than one item.
pub(super) fn quote_nested(key: &mut String, begin: usize) {
    if key[begin..].contains([' ', ',', '"', '\'', '[', ']', '(', ')']) {
        quote(key, begin);
    }
}

/// Quotes something that is there and looks as if it were not: `None`, however often that has been quoted.
pub(super) fn quote_none(key: &mut String, begin: usize) {
    let bare = key[begin..].trim_matches(['"', '\\']);
    // What is not the outcome of quoting, such as `None"`, may be quoted all the same.
    if bare == "None" {
        quote(key, begin);
    }
}
