//! Numbers and booleans, written like Python's `str`.

use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8, NonZeroU16,
    NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};

use crate::function::cache_key::{CacheKey, KeyForm, shape};
use crate::function::python_repr::write_float;

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl CacheKey for $integer {
            #[inline]
            fn write(&self, key: &mut String, _form: KeyForm) {
                key.push_str(itoa::Buffer::new().format(*self));
            }

            shape!(Word);
        }
    )*};
}

integers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

macro_rules! nonzero_integers {
    ($($integer:ty)*) => {$(
        impl CacheKey for $integer {
            #[inline]
            fn write(&self, key: &mut String, form: KeyForm) {
                self.get().write(key, form);
            }

            shape!(Word);
        }
    )*};
}

nonzero_integers! {
    NonZeroI8 NonZeroI16 NonZeroI32 NonZeroI64 NonZeroI128 NonZeroIsize
    NonZeroU8 NonZeroU16 NonZeroU32 NonZeroU64 NonZeroU128 NonZeroUsize
}

macro_rules! floats {
    ($($float:ty)*) => {$(
        /// Written in the shortest decimal form of its own type. Python has only the 64-bit type. All values that are not
        /// a number are `nan`.
        impl CacheKey for $float {
            fn write(&self, key: &mut String, _form: KeyForm) {
                write_float(key, &format!("{self:e}"));
            }

            shape!(Word);
        }
    )*};
}

floats! { f32 f64 }

impl CacheKey for bool {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str(if *self { "True" } else { "False" });
    }

    shape!(Word);
}
