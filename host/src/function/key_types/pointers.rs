//! Pointers, written like the value that they point to.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use crate::function::cache_key::{CacheKey, KeyForm, KeyShape};

macro_rules! pointers {
    ($([$($parameters:tt)*] $pointer:ty),* $(,)?) => {$(
        impl<$($parameters)*> CacheKey for $pointer {
            #[inline]
            fn write(&self, key: &mut String, form: KeyForm) {
                (**self).write(key, form);
            }

            #[inline]
            fn shape(&self, form: KeyForm) -> KeyShape {
                (**self).shape(form)
            }
        }
    )*};
}

pointers! {
    [T: CacheKey + ?Sized] &T,
    [T: CacheKey + ?Sized] &mut T,
    [T: CacheKey + ?Sized] Box<T>,
    [T: CacheKey + ?Sized] Rc<T>,
    [T: CacheKey + ?Sized] Arc<T>,
    [T: CacheKey + ToOwned + ?Sized] Cow<'_, T>,
}
