//! Tuples, written like Python's.

use super::items::write_item;
use crate::function::cache_key::{CacheKey, KeyForm, shape};

/// Written like Python's empty tuple.
impl CacheKey for () {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str("()");
    }

    shape!(Word);
}

macro_rules! tuples {
    ($(($($name:ident $index:tt $end:literal)+))*) => {$(
        /// Written like a Python tuple.
        impl<$($name: CacheKey),+> CacheKey for ($($name,)+) {
            fn write(&self, key: &mut String, form: KeyForm) {
                key.push('(');
                $(write_item(key, $index, &self.$index, form); key.push_str($end);)+
                key.push(')');
            }

            shape!(Enclosed);
        }
    )*};
}

tuples! {
    (A 0 ",")
    (A 0 "" B 1 "")
    (A 0 "" B 1 "" C 2 "")
    (A 0 "" B 1 "" C 2 "" D 3 "")
    (A 0 "" B 1 "" C 2 "" D 3 "" E 4 "")
    (A 0 "" B 1 "" C 2 "" D 3 "" E 4 "" F 5 "")
}
