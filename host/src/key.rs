//! Keys: what a region stores a value under.
//!
//! Source: dogpile.cache `util/__init__.py`, `sha1_mangle_key` and `length_conditional_mangler`.

use std::fmt::Write;

use dogpile_sdk::KeyMangler;
use sha1::{Digest, Sha1};

/// The hexadecimal SHA-1 of the key's UTF-8 bytes: 40 characters that every store takes.
///
/// ```
/// assert_eq!(dogpile::sha1_mangle_key("some_key"), "53def077a4264bd3183d4eb21b1f56f883e1b572");
/// ```
pub fn sha1_mangle_key(key: &str) -> String {
    let digest = Sha1::digest(key.as_bytes());
    digest.iter().fold(String::with_capacity(40), |mut text, byte| {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A key mangler that leaves keys of fewer than `length` characters alone and has `mangler` change the others.
///
/// ```
/// use dogpile::{length_conditional_mangler, sha1_mangle_key};
///
/// let mangler = length_conditional_mangler(9, sha1_mangle_key);
/// assert_eq!(mangler.mangle("some_key"), "some_key");
/// assert_eq!(mangler.mangle("some_keys").len(), 40);
/// ```
pub fn length_conditional_mangler(
    length: usize,
    mangler: impl Fn(&str) -> String + Send + Sync + 'static,
) -> KeyMangler {
    KeyMangler::new(move |key| if key.chars().count() >= length { mangler(key) } else { key.to_owned() })
}

/// The names of the key manglers that a configuration can use.
pub(crate) const NAMED_MANGLERS: [&str; 1] = ["sha1"];

/// The key mangler that a configuration calls `name`.
pub(crate) fn named_mangler(name: &str) -> Option<KeyMangler> {
    (name == "sha1").then(|| KeyMangler::new(sha1_mangle_key))
}
