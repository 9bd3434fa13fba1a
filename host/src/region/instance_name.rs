//! [`instance_name`]: what a backend is called that the application created itself.

use std::fmt::{self, Write};

use dogpile_sdk::CacheBackend;

/// The most bytes of a name.
const LONGEST: usize = 100;

/// Returns the name of an instance: the first word of its debug form, which is usually its type.
///
/// The rest may contain passwords and all stored values. It is not even written, because that may take long.
pub(super) fn instance_name(backend: &dyn CacheBackend) -> String {
    let mut word = FirstWord::default();
    // An error means that the word is complete.
    let _ = write!(word, "{backend:?}");
    if word.text.is_empty() { "instance".to_owned() } else { word.text }
}

/// Keeps the first word that is written to it, and then returns errors.
#[derive(Default)]
struct FirstWord {
    text: String,
    /// A debug form may go on writing after an error.
    is_over: bool,
}

impl Write for FirstWord {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let is_of_word = |character: char| character.is_alphanumeric() || "_-.:".contains(character);
        for character in part.chars() {
            self.is_over |= !is_of_word(character) || self.text.len() + character.len_utf8() > LONGEST;
            if self.is_over {
                return Err(fmt::Error);
            }
            self.text.push(character);
        }
        Ok(())
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::collections::BTreeMap;

    use dogpile_sdk::{BackendError, CachedValue, StoreOptions};
    use parking_lot::Mutex;

    use super::*;

    #[derive(Debug)]
    struct Keeping {
        #[expect(dead_code, reason = "its debug form is not shown")]
        password: &'static str,
        kept: Mutex<BTreeMap<String, CachedValue>>,
    }

    impl CacheBackend for Keeping {
        fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
            Ok(self.kept.lock().get(key).cloned())
        }

        fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
            self.kept.lock().insert(key.to_owned(), value);
            Ok(())
        }

        fn delete(&self, key: &str) -> Result<(), BackendError> {
            self.kept.lock().remove(key);
            Ok(())
        }
    }

    #[test]
    fn name_is_the_type_without_its_fields() {
        assert_eq!(instance_name(&Keeping { password: "hunter2", kept: Mutex::default() }), "Keeping");
    }

    #[test]
    fn word_ends_where_a_name_would() {
        let word = |text: &str| {
            let mut word = FirstWord::default();
            let _ = word.write_str(text);
            let _ = word.write_str("after");
            word.text
        };
        assert_eq!(["Kept(1)", "a::B { c", "[1]", ""].map(word), ["Kept", "a::B", "", "after"]);
        assert_eq!(word(&"ä".repeat(100)).len(), LONGEST);
    }
}
