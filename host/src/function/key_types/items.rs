//! Items in brackets.

use crate::function::cache_key::{CacheKey, KeyForm, KeyShape};
use crate::function::quoting::{hides_its_end, quote};

/// Writes an item in brackets, with a comma before it except for the first one.
pub(super) fn write_item<T: CacheKey + ?Sized>(key: &mut String, number: usize, item: &T, form: KeyForm) {
    if number > 0 {
        key.push_str(", ");
    }
    write_nested(key, item, form);
}

/// Writes a text in brackets, quoting it if a reader could not find its end.
pub(super) fn write_nested<T: CacheKey + ?Sized>(key: &mut String, item: &T, form: KeyForm) {
    let (begin, form) = (key.len(), KeyForm { nested: true, ..form });
    item.write(key, form);
    if form.exact && item.shape(form) == KeyShape::Open && hides_its_end(&key[begin..]) {
        quote(key, begin);
    }
}
