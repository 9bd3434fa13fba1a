//! Adds "did you mean" to what serde says of an unknown name.

use dogpile_sdk::did_you_mean;

/// `message`, with the nearest of the names that it lists, if it is about an unknown one.
///
/// serde writes ``unknown field `a`, expected one of `b`, `c` ``: the first name is the unknown one.
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
    fn the_nearest_name_is_added() {
        let message = "unknown field `bakend`, expected one of `backend`, `wrap`";
        assert_eq!(with_suggestion(message), format!("{message}; did you mean \"backend\"?"));
        assert_eq!(with_suggestion("missing field `backend`"), "missing field `backend`");
    }
}
