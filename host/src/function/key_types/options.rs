//! `Option`: `None` is written like Python's, and a value in `Some` like the value itself.

use crate::function::cache_key::{CacheKey, KeyForm, KeyShape};

/// `None` is written like Python's. A value in `Some` is written like the value itself, but in `Some(...)` if its text is
/// `None` or begins with `Some(`.
impl<T: CacheKey> CacheKey for Option<T> {
    fn write(&self, key: &mut String, form: KeyForm) {
        let Some(value) = self else { return key.push_str("None") };
        let begin = key.len();
        value.write(key, form);
        if form.exact && is_ambiguous(&key[begin..]) {
            key.insert_str(begin, "Some(");
            key.push(')');
        }
    }

    // `None` has no value to ask, so the shape is that of the type.
    fn shape(&self, form: KeyForm) -> KeyShape {
        T::shape_of_type(form)
    }

    fn shape_of_type(form: KeyForm) -> KeyShape {
        T::shape_of_type(form)
    }
}

/// Returns whether the text of a value in `Some` could be read as `None`, or as a text in `Some(...)`.
fn is_ambiguous(text: &str) -> bool {
    text == "None" || text.starts_with("Some(")
}
