//! [`Redacted`]: an error of serde without the parts of the value that it quotes.

use std::fmt;

/// What stands before a part of a value in the errors of serde, with the quote that opens and closes the part.
const QUOTED: [(&str, char); 4] =
    [("string \"", '"'), ("character `", '`'), ("unknown variant `", '`'), ("unknown field `", '`')];

/// A reason that is logged. Values may be secret, so that their text does not belong in logs. Numbers are shown.
pub(crate) struct Redacted<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&format!("{:#}", self.0)))
    }
}

impl<T: fmt::Display> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Returns `text` with `...` for each part of a value.
fn redacted(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((at, quote)) = next(rest) {
        shown.push_str(&rest[..at]);
        shown.push_str("...");
        rest = &rest[at + length(&rest[at..], quote)..];
    }
    shown + rest
}

/// Returns where the next part of a value begins, and the quote that ends it.
fn next(text: &str) -> Option<(usize, char)> {
    let found = QUOTED.iter().filter_map(|(before, quote)| Some((text.find(before)? + before.len(), *quote)));
    found.min_by_key(|(at, _)| *at)
}

/// Returns the number of bytes before the `quote` that ends a part.
fn length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = text.char_indices().find(|(_, character)| {
        let is_end = *character == quote && !is_escaped;
        is_escaped = *character == '\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_values_are_not_shown() {
        for (text, shown) in [
            (
                "invalid type: string \"a\\\"b\", expected u32 at line 1",
                "invalid type: string \"...\", expected u32 at line 1",
            ),
            (
                "invalid value: character `x`, expected a digit",
                "invalid value: character `...`, expected a digit",
            ),
            ("unknown variant `token`, expected `A` or `B`", "unknown variant `...`, expected `A` or `B`"),
            ("invalid type: integer `5`, expected a string", "invalid type: integer `5`, expected a string"),
            (
                "serializer \"json\": invalid type: string \"cut o",
                "serializer \"json\": invalid type: string \"...",
            ),
            ("a string \"one\" and a string \"two\"", "a string \"...\" and a string \"...\""),
        ] {
            assert_eq!(Redacted(text).to_string(), shown);
        }
    }
}
