//! Invalid input from outside. An error states what is wrong, where it is, and what to do. Invalid stored bytes are a
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
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}
