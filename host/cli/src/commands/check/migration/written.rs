//! Keys and values of TOML.

use toml::Value;

/// Returns `text` as a value of TOML: a whole number or a boolean if it is one, and otherwise a string.
pub(super) fn typed(text: &str) -> Value {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "true" => true.into(),
        "false" => false.into(),
        lower => match lower.parse::<i64>() {
            Ok(number) if number.to_string() == text => number.into(),
            _ => text.into(),
        },
    }
}

/// Returns `name` as a key of TOML.
pub(super) fn key(name: &str) -> String {
    let is_bare = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_booleans_are_typed() {
        let written = ["600", "-1", "True", "007", "1.5", "5m", " 3 "].map(|text| typed(text).to_string());
        assert_eq!(written, ["600", "-1", "true", "\"007\"", "\"1.5\"", "\"5m\"", "3"]);
    }

    #[test]
    fn keys_are_quoted_if_necessary() {
        assert_eq!(["a_b-1", "a.b", ""].map(key), ["a_b-1", "\"a.b\"", "\"\""]);
    }
}
