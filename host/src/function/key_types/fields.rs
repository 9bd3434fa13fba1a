//! [`KeyFields`]: the text of a type that derives [`CacheKey`].

use super::items::write_nested;
use crate::function::cache_key::{CacheKey, KeyForm};

/// The text of a struct or variant that is being written, such as `Query(name='x', page=2)`.
#[derive(Debug)]
pub struct KeyFields<'k> {
    key: &'k mut String,
    form: KeyForm,
    count: usize,
}

impl<'k> KeyFields<'k> {
    /// Creates the text of a type called `name`.
    pub fn new(name: &str, key: &'k mut String, form: KeyForm) -> Self {
        key.push_str(name);
        key.push('(');
        KeyFields { key, form, count: 0 }
    }

    /// Adds the next field of a tuple.
    pub fn add<T: CacheKey + ?Sized>(&mut self, field: &T) {
        if self.count > 0 {
            self.key.push_str(", ");
        }
        self.count += 1;
        write_nested(self.key, field, self.form);
    }

    /// Adds the next field, which has a name.
    pub fn add_named<T: CacheKey + ?Sized>(&mut self, name: &str, field: &T) {
        if self.count > 0 {
            self.key.push_str(", ");
        }
        self.count += 1;
        self.key.push_str(name);
        self.key.push('=');
        write_nested(self.key, field, self.form);
    }

    /// Completes the text.
    pub fn finish(self) {
        self.key.push(')');
    }
}
