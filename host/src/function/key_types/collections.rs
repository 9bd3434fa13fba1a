//! Lists, and sets and maps that are sorted, written like Python's.
//!
//! A `HashMap` and a `HashSet` have no order, so equal ones would have different texts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::items::{write_item, write_nested};
use crate::function::cache_key::{CacheKey, KeyForm, KeyShape, shape};

/// Writes `items` between brackets.
fn write_items<'a, T: CacheKey + 'a>(
    key: &mut String,
    (open, close): (char, char),
    items: impl Iterator<Item = &'a T>,
    form: KeyForm,
) {
    key.push(open);
    for (number, item) in items.enumerate() {
        write_item(key, number, item, form);
    }
    key.push(close);
}

/// Written like a Python list.
impl<T: CacheKey> CacheKey for [T] {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_items(key, ('[', ']'), self.iter(), form);
    }

    #[inline]
    fn shape(&self, _form: KeyForm) -> KeyShape {
        KeyShape::Enclosed
    }
}

macro_rules! lists {
    ($([$($parameters:tt)*] $list:ty),* $(,)?) => {$(
        /// Written like a Python list.
        impl<$($parameters)*> CacheKey for $list {
            fn write(&self, key: &mut String, form: KeyForm) {
                write_items(key, ('[', ']'), self.iter(), form);
            }

            shape!(Enclosed);
        }
    )*};
}

lists! {
    [T: CacheKey] Vec<T>,
    [T: CacheKey] VecDeque<T>,
    [T: CacheKey, const N: usize] [T; N],
}

/// Written like a Python set, sorted.
impl<T: CacheKey> CacheKey for BTreeSet<T> {
    fn write(&self, key: &mut String, form: KeyForm) {
        if self.is_empty() {
            return key.push_str("set()");
        }
        write_items(key, ('{', '}'), self.iter(), form);
    }

    shape!(Enclosed);
}

/// Written like a Python dictionary, sorted by key.
impl<K: CacheKey, V: CacheKey> CacheKey for BTreeMap<K, V> {
    fn write(&self, key: &mut String, form: KeyForm) {
        key.push('{');
        for (number, (name, value)) in self.iter().enumerate() {
            write_item(key, number, name, form);
            key.push_str(": ");
            write_nested(key, value, form);
        }
        key.push('}');
    }

    shape!(Enclosed);
}
