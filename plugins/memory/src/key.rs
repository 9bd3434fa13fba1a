//! [`Key`]: a key in the map, stored beside its value if it is short.

use std::fmt;
use std::hash::{Hash, Hasher};

use papaya::Equivalent;

/// The length of the longest key that is stored beside its value.
///
/// A SHA-1 in hexadecimal fits. Up to this length, no key takes more memory than it would in a place of its own.
const SHORT: usize = 46;

/// A key of the map.
///
/// A short key lies in the map's entry. A lookup then need not follow a pointer to another place in memory, which takes
/// longer than all the rest of a hit.
#[derive(Clone)]
pub(crate) enum Key {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

/// A key to look up.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'k>(pub(crate) &'k str);

impl Key {
    /// Returns the key's bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
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
        let asked = self.0.as_bytes();
        match key {
            Key::Short { len, bytes } => are_equal(asked, &bytes[..usize::from(*len)]),
            Key::Long(key) => asked == key.as_bytes(),
        }
    }
}

/// Returns whether two short keys are equal.
///
/// The comparison of slices calls `memcmp`, which takes longer for so few bytes.
#[inline]
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (Some(end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) else {
        return one.iter().eq(other);
    };
    // The last eight bytes may overlap the chunks before them.
    let mut difference = u64::from_ne_bytes(*end) ^ u64::from_ne_bytes(*other_end);
    for (one, other) in one.as_chunks().0.iter().zip(other.as_chunks().0) {
        difference |= u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other);
    }
    difference == 0
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
    fn keys_of_every_length_are_found_and_distinguished() {
        let hasher = foldhash::fast::RandomState::default();
        for length in 0..3 * SHORT {
            let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
            let key = Key::from(text.as_str());
            assert!(Asked(&text).equivalent(&key), "{key:?}");
            assert_eq!(hasher.hash_one(Asked(&text)), hasher.hash_one(&key));
            assert!(!Asked(&format!("{text}\0")).equivalent(&key), "{key:?}");
            assert!(!Asked("another").equivalent(&key), "{key:?}");
            for changed in 0..length {
                let mut other = vec![b'x'; length];
                let key = Key::from("x".repeat(length).as_str());
                other[changed] = b'y';
                assert!(
                    !Asked(std::str::from_utf8(&other).unwrap()).equivalent(&key),
                    "byte {changed} of {length}"
                );
            }
            assert_eq!(matches!(key, Key::Long(_)), length > SHORT);
        }
    }

    #[test]
    fn short_key_takes_six_words() {
        assert_eq!(size_of::<Key>(), 48);
    }
}
