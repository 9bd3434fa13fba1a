//! What comes from outside and is wrong: an error that says what, where and what to do; or, for what is stored, a
//! miss.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "bad_input/bounds.rs"]
mod bounds;
#[path = "bad_input/configuration.rs"]
mod configuration;
#[path = "bad_input/stored.rs"]
mod stored;
#[path = "bad_input/use_of_a_region.rs"]
mod use_of_a_region;

/// Checks that `text` has all of `parts`.
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not said: {text}");
    }
}
