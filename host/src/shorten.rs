//! [`Shortened`]: keys in a form that is short enough for a log.
// Source: dogpile.cache `util/__init__.py`, `repr_obj`.

use std::fmt;

/// The number of characters shown of each end of a long text.
const END: usize = 150;

/// A value whose `Debug` text is shortened.
///
/// A text of more than 300 characters is shown as its first and last 150, and the number of characters between them.
pub(crate) struct Shortened<T>(pub(crate) T);

impl<T: fmt::Debug> fmt::Debug for Shortened<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:?}", self.0);
        let length = text.chars().count();
        if length <= 2 * END {
            return f.write_str(&text);
        }
        let at = |character: usize| text.char_indices().nth(character).map_or(text.len(), |(at, _)| at);
        let (head, tail) = (&text[..at(END)], &text[at(length - END)..]);
        write!(f, "{head} ... ({} characters truncated) ... {tail}", length - 2 * END)
    }
}

impl<T: fmt::Debug> fmt::Display for Shortened<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Returns one key or several keys, quoted and shortened.
pub(crate) fn shown_keys(keys: &[String]) -> String {
    match keys {
        [key] => Shortened(key).to_string(),
        keys => Shortened(keys).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behavior: `log-key-list-truncated`
    #[test]
    fn long_text_is_shown_by_its_ends() {
        let text = format!("{:?}", Shortened("x".repeat(4398)));
        assert_eq!(text, format!("\"{0} ... (4100 characters truncated) ... {0}\"", "x".repeat(149)));
        assert_eq!(format!("{:?}", Shortened(["ä", "b"])), "[\"ä\", \"b\"]");
    }
}
