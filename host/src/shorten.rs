//! Keeps what is logged of keys readable.
//!
//! Source: dogpile.cache `util/__init__.py`, `repr_obj`.

use std::fmt;

/// How many characters of each end are shown of what is longer than both together.
const END: usize = 150;

/// The `Debug` text of what it holds; past 300 characters its first and last 150, and how many were left out.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Behaviour: `log-key-list-truncated`
    #[test]
    fn a_long_list_is_shown_by_its_ends() {
        let text = format!("{:?}", Shortened("x".repeat(4398)));
        assert_eq!(text, format!("\"{0} ... (4100 characters truncated) ... {0}\"", "x".repeat(149)));
        assert_eq!(format!("{:?}", Shortened(["ä", "b"])), "[\"ä\", \"b\"]");
    }
}
