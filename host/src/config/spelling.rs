//! Rewrites serde's messages about a document.
//!
//! They suggest names for unknown ones, and contain words of TOML instead of types of Rust.

use dogpile_sdk::did_you_mean;

/// What serde calls a type, and what it is called in a configuration.
const TYPES: [(&str, &str); 4] = [
    ("a sequence", "a list"),
    ("a map", "a table"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number, 0 or more"),
];

/// Returns `message` for people who do not know serde.
///
/// If it reports an unknown name, the most similar known name is appended. serde writes
/// ``unknown field `a`, expected one of `b`, `c` ``. The first name is the unknown one.
pub(super) fn explained(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match names.split_first() {
        Some((unknown, known)) if message.starts_with("unknown ") => {
            format!("{message}{}", did_you_mean(unknown, known.iter().copied()))
        }
        Some((missing, _)) if message.starts_with("missing field ") => {
            format!("{message}{}", example(missing))
        }
        _ => plain(message),
    }
}

/// Returns `message`, in which the expected type has the name of a configuration.
fn plain(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let plain = |expected: &str| {
        let named = TYPES.iter().find(|(name, _)| *name == expected);
        match named {
            Some((_, plain)) => (*plain).to_owned(),
            None if expected.starts_with("struct ") => "a table".to_owned(),
            None => expected.to_owned(),
        }
    };
    format!("{found}, expected {}", plain(expected))
}

fn example(missing: &str) -> &'static str {
    match missing {
        "backend" => "; add it, such as backend = \"dogpile.cache.memory\"",
        "max_age" => "; add it, such as fail_safe = { max_age = \"1h\" }",
        "wait_at_most" => "; add it, such as stale = { wait_at_most = \"200ms\" }",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_name_gets_the_most_similar_suggestion() {
        let message = "unknown field `bakend`, expected one of `backend`, `wrap`";
        assert_eq!(explained(message), format!("{message}; did you mean \"backend\"?"));
    }

    #[test]
    fn missing_setting_gets_an_example() {
        let message = "missing field `backend`";
        assert_eq!(
            explained(message),
            format!("{message}; add it, such as backend = \"dogpile.cache.memory\"")
        );
        assert_eq!(explained("missing field `x`"), "missing field `x`");
    }

    #[test]
    fn types_have_the_names_of_a_configuration() {
        for (expected, plain) in [
            ("a sequence", "a list"),
            ("struct Document", "a table"),
            ("u32", "a whole number from 0 to 4294967295"),
        ] {
            let message = format!("invalid type: integer `5`, expected {expected}");
            assert_eq!(explained(&message), format!("invalid type: integer `5`, expected {plain}"));
        }
        assert_eq!(explained("duplicate key"), "duplicate key");
    }
}
