//! Strings and characters, written like Python's `str`, or in brackets like Python's `repr`.

use crate::function::cache_key::{CacheKey, KeyForm, KeyShape, shape};
use crate::function::python_repr::write_str_repr;

/// Returns the shape of a string.
#[inline]
pub(super) fn shape_of_string(form: KeyForm) -> KeyShape {
    if form.nested { KeyShape::Enclosed } else { KeyShape::Open }
}

impl CacheKey for str {
    #[inline]
    fn write(&self, key: &mut String, form: KeyForm) {
        if form.nested {
            return write_str_repr(key, self);
        }
        key.push_str(self);
    }

    #[inline]
    fn shape(&self, form: KeyForm) -> KeyShape {
        shape_of_string(form)
    }
}

impl CacheKey for String {
    #[inline]
    fn write(&self, key: &mut String, form: KeyForm) {
        self.as_str().write(key, form);
    }

    shape!(form => shape_of_string(form));
}

impl CacheKey for char {
    #[inline]
    fn write(&self, key: &mut String, form: KeyForm) {
        self.encode_utf8(&mut [0; 4]).write(key, form);
    }

    shape!(form => shape_of_string(form));
}
