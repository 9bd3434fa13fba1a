//! [`Key`]: a key as the map keeps it, beside its value if it is short.

use std::fmt;
use std::hash::{Hash, Hasher};

use papaya::Equivalent;

/// The longest key that is kept beside its value. A SHA-1 in hexadecimal fits, and up to here no key takes more
/// memory so than it would apart.
const SHORT: usize = 46;

/// A key. A short one lies in the map's entry itself, so that a lookup does not have to follow it to another place
/// in memory, which takes longer than all else that a hit does.
pub(crate) enum Key {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

/// A key that is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'k>(pub(crate) &'k str);

impl Key {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Key::Short { len, bytes } => &bytes[..usize::from(*len)],
            Key::Long(key) => key.as_bytes(),
        }
    }
}

impl From<&str> for Key {
    fn from(key: &str) -> Self {
        match u8::try_from(key.len()) {
            Ok(len) if key.len() <= SHORT => {
                let mut bytes = [0; SHORT];
                bytes[..key.len()].copy_from_slice(key.as_bytes());
                Key::Short { len, bytes }
            }
            _ => Key::Long(key.into()),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

impl Hash for Asked<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.as_bytes());
    }
}

impl Equivalent<Key> for Asked<'_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        self.0.as_bytes() == key.as_bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.as_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn keys_of_every_length_are_found_and_told_apart() {
        let hasher = foldhash::fast::RandomState::default();
        for length in 0..3 * SHORT {
            let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
            let key = Key::from(text.as_str());
            assert!(Asked(&text).equivalent(&key), "{key:?}");
            assert_eq!(hasher.hash_one(Asked(&text)), hasher.hash_one(&key));
            assert!(!Asked(&format!("{text}\0")).equivalent(&key), "{key:?}");
            assert!(!Asked("another").equivalent(&key), "{key:?}");
            assert_eq!(matches!(key, Key::Long(_)), length > SHORT);
        }
    }

    #[test]
    fn a_short_key_takes_no_more_than_a_pointer_to_one_and_its_place() {
        assert_eq!(size_of::<Key>(), 48);
    }
}
