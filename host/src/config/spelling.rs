//! Spelling suggestions for serde's errors about unknown names.

use dogpile_sdk::did_you_mean;

/// Returns `message`; if it reports an unknown name, the most similar known name is appended.
///
/// serde writes ``unknown field `a`, expected one of `b`, `c` ``. The first name is the unknown one.
pub(super) fn with_suggestion(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match names.split_first() {
        Some((unknown, known)) if message.starts_with("unknown ") => {
            format!("{message}{}", did_you_mean(unknown, known.iter().copied()))
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_name_gets_the_most_similar_suggestion() {
        let message = "unknown field `bakend`, expected one of `backend`, `wrap`";
        assert_eq!(with_suggestion(message), format!("{message}; did you mean \"backend\"?"));
        assert_eq!(with_suggestion("missing field `backend`"), "missing field `backend`");
    }
}
