//! [`Redacted`]: an error of serde without the parts of the value that it quotes.

use std::fmt;

/// Where a part of a value ends.
#[derive(Clone, Copy)]
enum End {
    /// At the next quotation mark that is not escaped.
    Quote,
    /// After one character.
    Character,
    /// Where serde goes on with what it expected. The part is not escaped.
    Expected,
}

/// What stands before a part of a value in the errors of serde, and where the part ends.
const QUOTED: [(&str, End); 4] = [
    ("string \"", End::Quote),
    ("character `", End::Character),
    ("unknown variant `", End::Expected),
    ("unknown field `", End::Expected),
];

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
    while let Some((at, end)) = next(rest) {
        shown.push_str(&rest[..at]);
        shown.push_str("...");
        rest = &rest[at + length(&rest[at..], end)..];
    }
    shown + rest
}

/// Returns where the next part of a value begins, and how it ends.
fn next(text: &str) -> Option<(usize, End)> {
    let found = QUOTED.iter().filter_map(|(before, end)| Some((text.find(before)? + before.len(), *end)));
    found.min_by_key(|(at, _)| *at)
}

/// Returns the number of bytes of a part, with which `text` begins.
fn length(text: &str, end: End) -> usize {
    match end {
        End::Character => text.chars().next().map_or(0, char::len_utf8),
        // The last one: the part may contain the words.
        End::Expected => ["`, expected ", "`, there are no "]
            .iter()
            .filter_map(|after| text.rfind(after))
            .max()
            .unwrap_or(text.len()),
        End::Quote => {
            let mut is_escaped = false;
            let end = text.char_indices().find(|(_, character)| {
                let is_end = *character == '"' && !is_escaped;
                is_escaped = *character == '\\' && !is_escaped;
                is_end
            });
            end.map_or(text.len(), |(at, _)| at)
        }
    }
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
            ("unknown variant `hun`ter2`, expected `A`", "unknown variant `...`, expected `A`"),
            ("unknown field `\\`, there are no fields", "unknown field `...`, there are no fields"),
            ("unknown variant `cut o", "unknown variant `..."),
            (
                "invalid value: character ```, expected a digit",
                "invalid value: character `...`, expected a digit",
            ),
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
