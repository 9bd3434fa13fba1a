//! The tokens of numbers that are not finite: `NaN`, `Infinity`, and `-Infinity`, as in Python.
//!
//! The JSON library writes `null` for such a number, and reads none of the tokens. When a value has such numbers, a
//! list of all its nulls states which token to write for each. For reading, the tokens are replaced by strings that
//! no program uses, and these by the numbers again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::serializer::SerializerError;
use crate::walk::{Leaf, Observer, Step, Whole, walk};

/// The tokens, and the strings that replace them. A longer token goes before one that it contains.
const TOKENS: [(&str, &str, f64); 3] = [
    ("-Infinity", "\"dogpile:\\u0001:-Infinity\"", f64::NEG_INFINITY),
    ("Infinity", "\"dogpile:\\u0001:Infinity\"", f64::INFINITY),
    ("NaN", "\"dogpile:\\u0001:NaN\"", f64::NAN),
];

/// What is before the token in such a string.
const MARK: &str = "dogpile:\u{1}:";

/// Returns what to write for each null of `value`, if one of them is a number.
pub(super) fn tokens_of<T: Serialize + ?Sized>(value: &T) -> Option<VecDeque<&'static str>> {
    let nulls = RefCell::new(Nulls::default());
    // The JSON library is going to report what cannot be serialized.
    let _ = walk(value, Place(&nulls));
    let nulls = nulls.into_inner();
    nulls.is_number.then_some(nulls.tokens)
}

/// Returns `value` as JSON, with `tokens` in place of its nulls.
pub(super) fn write_with<T: Serialize + ?Sized>(
    value: &T,
    tokens: VecDeque<&'static str>,
) -> Result<Vec<u8>, SerializerError> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Tokens(tokens)))?;
    Ok(bytes)
}

/// Returns whether a token may be in `json`.
pub(crate) fn has_tokens(json: &[u8]) -> bool {
    let has = |word: &[u8]| json.windows(word.len()).any(|window| window == word);
    (json.contains(&b'N') && has(b"NaN")) || (json.contains(&b'I') && has(b"Infinity"))
}

/// Returns `json` with a string in place of each token outside of strings.
pub(super) fn mark(json: &[u8]) -> Vec<u8> {
    let (mut marked, mut rest) = (Vec::with_capacity(json.len()), json);
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'"' {
            let (string, after) = rest.split_at(string_length(rest));
            marked.extend_from_slice(string);
            rest = after;
        } else if let Some((token, string, _)) =
            TOKENS.iter().find(|(token, ..)| rest.starts_with(token.as_bytes()))
        {
            marked.extend_from_slice(string.as_bytes());
            rest = &rest[token.len()..];
        } else {
            marked.push(*first);
            rest = tail;
        }
    }
    marked
}

/// Returns the number that a string stands for after [`mark`].
pub(super) fn number_of(text: &str) -> Option<f64> {
    let token = text.strip_prefix(MARK)?;
    TOKENS.iter().find(|(known, ..)| *known == token).map(|(.., number)| *number)
}

/// Returns the length of the string that `json` begins with, or of the rest if the string does not end.
fn string_length(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

/// What the nulls of a value stand for.
#[derive(Default)]
struct Nulls {
    tokens: VecDeque<&'static str>,
    is_number: bool,
}

#[derive(Clone, Copy)]
struct Place<'n>(&'n RefCell<Nulls>);

impl Place<'_> {
    fn number(self, number: f64) {
        let mut nulls = self.0.borrow_mut();
        nulls.is_number = true;
        nulls.tokens.push_back(match number {
            _ if number.is_nan() => "NaN",
            _ if number > 0.0 => "Infinity",
            _ => "-Infinity",
        });
    }
}

impl Observer for Place<'_> {
    type Found = ();

    fn leaf(self, leaf: Leaf<'_>) {
        match leaf {
            Leaf::None | Leaf::Unit | Leaf::UnitStruct => self.0.borrow_mut().tokens.push_back("null"),
            Leaf::Float32(number) if !number.is_finite() => self.number(number.into()),
            Leaf::Float64(number) if !number.is_finite() => self.number(number),
            _ => {}
        }
    }

    fn whole(self, _whole: Whole, (): ()) {}

    fn enter(self, _step: Step) -> Self {
        self
    }

    fn enter_value(self, (): &()) -> Self {
        self
    }

    fn add((): &mut (), (): ()) {}
}

/// Writes the next token in place of a null.
struct Tokens(VecDeque<&'static str>);

impl Formatter for Tokens {
    fn write_null<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.0.pop_front().unwrap_or("null").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use crate::serializer::Json;
    use crate::value::CacheValue;

    type Mixed = Vec<(Option<f64>, f32, String)>;

    #[test]
    fn numbers_that_are_not_finite_are_written_as_in_python() {
        let value: Mixed = vec![
            (None, f32::INFINITY, "NaN".to_owned()),
            (Some(f64::NEG_INFINITY), 1.5, "a\"Infinity".to_owned()),
            (Some(f64::NAN), f32::NAN, String::new()),
        ];
        let json = CacheValue::serialize(&value, &Json).unwrap();
        let text = r#"[[null,Infinity,"NaN"],[-Infinity,1.5,"a\"Infinity"],[NaN,NaN,""]]"#;
        assert_eq!(std::str::from_utf8(&json).unwrap(), text);
        let read = Mixed::deserialize(&json, &Json).unwrap();
        assert_eq!(format!("{read:?}"), format!("{value:?}"));
    }

    #[test]
    fn tokens_are_read_from_python() {
        let read =
            |json: &str| Vec::<f64>::deserialize(json.as_bytes(), &Json).map_err(|error| error.to_string());
        let numbers = read("[NaN, Infinity, -Infinity, 1, 2.5]").unwrap();
        assert!(numbers[0].is_nan());
        assert_eq!(numbers[1..], [f64::INFINITY, f64::NEG_INFINITY, 1.0, 2.5]);
        for json in ["[NaN", "[+Infinity]", "[NaNNaN]", "[Infinity]]", "[\"NaN\"]", "[nan]", "[\"NaN"] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
