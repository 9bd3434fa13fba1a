//! Key manglers: functions that convert keys before a region passes them to its backend.
// Source: dogpile.cache `util/__init__.py`, `sha1_mangle_key` and `length_conditional_mangler`.

use dogpile_sdk::KeyMangler;
use sha1_smol::Sha1;

/// Returns the hexadecimal SHA-1 of the key's UTF-8 bytes.
///
/// Every store accepts these 40 characters.
///
/// ```
/// assert_eq!(dogpile::sha1_mangle_key("some_key"), "53def077a4264bd3183d4eb21b1f56f883e1b572");
/// ```
pub fn sha1_mangle_key(key: &str) -> String {
    Sha1::from(key).digest().to_string()
}

/// Creates a key mangler that applies `mangler` to keys of at least `length` characters.
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

/// Returns the key mangler that a configuration calls `name`.
pub(crate) fn named_mangler(name: &str) -> Option<KeyMangler> {
    (name == "sha1").then(|| KeyMangler::new(sha1_mangle_key))
}
