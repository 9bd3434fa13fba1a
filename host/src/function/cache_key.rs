//! [`CacheKey`]: the text of an argument in the key of a cached function.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::python_repr::{write_float, write_str_repr};
use super::quoting::{quote_nested, quote_none, quote_quote};

/// An argument that can be part of the key of a cached function.
///
/// Its text in the key is the one that Python's `str` returns for an equal value, so that Rust and Python share
/// entries. Numbers, booleans, strings, `Option`, lists, and tuples implement it. Implement it for your own types:
///
/// ```
/// use dogpile::function::{CacheKey, KeyForm};
///
/// struct UserId(u64);
///
/// impl CacheKey for UserId {
///     fn write(&self, key: &mut String, form: KeyForm) {
///         self.0.write(key, form);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a key",
    label = "this argument has no text in a key",
    note = "implement `CacheKey` for it, convert it with `to_str = ...`, or leave it out of the key with `ignore(...)`"
)]
pub trait CacheKey {
    /// Appends the text to `key`. Values with equal texts share an entry.
    fn write(&self, key: &mut String, form: KeyForm);

    /// Returns whether a reader can find the end of the text without knowing what follows.
    ///
    /// This is true of numbers and lists, for example. Where other texts could be ambiguous, they are quoted. The
    /// default is false.
    ///
    /// Return true only if every value of the type has balanced brackets and quotes, as in Python's `repr`, and no space
    /// or comma outside of them. The result must depend on the type alone, not on the value.
    fn ends_itself(&self, form: KeyForm) -> bool {
        let _ = form;
        false
    }

    /// Returns what [`ends_itself`](Self::ends_itself) returns for every value of the type.
    ///
    /// An `Option` that is `None` has no value to ask. The default, false, is safe for every type.
    fn type_ends_itself(form: KeyForm) -> bool
    where
        Self: Sized,
    {
        let _ = form;
        false
    }

    /// Returns whether the type quotes a text that begins with a double quote.
    ///
    /// The default is false: the key then contains such a text in quotes.
    #[doc(hidden)]
    fn quotes_itself(&self) -> bool {
        false
    }
}

/// The form of an argument's text in a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyForm {
    /// Whether the argument is within a list or tuple, where Python writes its `repr`.
    pub nested: bool,
    /// Whether different values must have different texts, even where Python gives them the same one.
    pub exact: bool,
}

const _: fn(&dyn CacheKey) = |_| {};

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl CacheKey for $integer {
            #[inline]
            fn write(&self, key: &mut String, _form: KeyForm) {
                key.push_str(itoa::Buffer::new().format(*self));
            }

            #[inline]
            fn ends_itself(&self, _form: KeyForm) -> bool {
                true
            }

            fn type_ends_itself(_form: KeyForm) -> bool {
                true
            }

            #[inline]
            fn quotes_itself(&self) -> bool {
                true
            }
        }
    )*};
}

integers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

macro_rules! floats {
    ($($float:ty)*) => {$(
        /// Written in the shortest decimal form of its own type. Python has only the 64-bit type.
        impl CacheKey for $float {
            fn write(&self, key: &mut String, _form: KeyForm) {
                write_float(key, &format!("{self:e}"));
            }

            fn ends_itself(&self, _form: KeyForm) -> bool {
                true
            }

            fn type_ends_itself(_form: KeyForm) -> bool {
                true
            }

            fn quotes_itself(&self) -> bool {
                true
            }
        }
    )*};
}

floats! { f32 f64 }

impl CacheKey for bool {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str(if *self { "True" } else { "False" });
    }

    fn ends_itself(&self, _form: KeyForm) -> bool {
        true
    }

    fn type_ends_itself(_form: KeyForm) -> bool {
        true
    }

    fn quotes_itself(&self) -> bool {
        true
    }
}

impl CacheKey for str {
    #[inline]
    fn write(&self, key: &mut String, form: KeyForm) {
        if form.nested {
            return write_str_repr(key, self);
        }
        let begin = key.len();
        key.push_str(self);
        if form.exact {
            quote_quote(key, begin);
        }
    }

    #[inline]
    fn ends_itself(&self, form: KeyForm) -> bool {
        form.nested
    }

    #[inline]
    fn quotes_itself(&self) -> bool {
        true
    }
}

macro_rules! texts {
    ($($text:ty, $this:ident => $str:expr;)*) => {$(
        impl CacheKey for $text {
            #[inline]
            fn write(&self, key: &mut String, form: KeyForm) {
                let $this = self;
                $str.write(key, form);
            }

            #[inline]
            fn ends_itself(&self, form: KeyForm) -> bool {
                form.nested
            }

            fn type_ends_itself(form: KeyForm) -> bool {
                form.nested
            }

            #[inline]
            fn quotes_itself(&self) -> bool {
                true
            }
        }
    )*};
}

texts! {
    String, this => this.as_str();
    char, this => this.encode_utf8(&mut [0; 4]);
}

/// `None` is written like Python's. A value in `Some` is written like the value itself.
impl<T: CacheKey> CacheKey for Option<T> {
    fn write(&self, key: &mut String, form: KeyForm) {
        let begin = key.len();
        match self {
            None => key.push_str("None"),
            Some(value) => {
                value.write(key, form);
                if form.exact {
                    if !form.nested && !value.quotes_itself() {
                        quote_quote(key, begin);
                    }
                    quote_none(key, begin);
                }
            }
        }
    }

    fn ends_itself(&self, form: KeyForm) -> bool {
        // A reader does not know whether `None` is a missing value or a text: it is as open as the texts of the type.
        self.as_ref().map_or_else(|| T::type_ends_itself(form), |value| value.ends_itself(form))
    }

    fn type_ends_itself(form: KeyForm) -> bool {
        T::type_ends_itself(form)
    }

    fn quotes_itself(&self) -> bool {
        true
    }
}

macro_rules! pointers {
    ($($(#[$doc:meta])* [$($parameters:tt)*] $pointer:ty),* $(,)?) => {$(
        $(#[$doc])*
        impl<$($parameters)*> CacheKey for $pointer {
            #[inline]
            fn write(&self, key: &mut String, form: KeyForm) {
                (**self).write(key, form);
            }

            #[inline]
            fn ends_itself(&self, form: KeyForm) -> bool {
                (**self).ends_itself(form)
            }

            #[inline]
            fn quotes_itself(&self) -> bool {
                (**self).quotes_itself()
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

/// Writes `items` in brackets.
fn write_list<'a, T: CacheKey + 'a>(key: &mut String, items: impl Iterator<Item = &'a T>, form: KeyForm) {
    key.push('[');
    for (number, item) in items.enumerate() {
        write_item(key, number, item, form);
    }
    key.push(']');
}

fn write_item(key: &mut String, number: usize, item: &(impl CacheKey + ?Sized), form: KeyForm) {
    if number > 0 {
        key.push_str(", ");
    }
    let (begin, form) = (key.len(), KeyForm { nested: true, ..form });
    item.write(key, form);
    if form.exact && !item.ends_itself(form) {
        quote_nested(key, begin);
    }
}

/// Written like a Python list.
impl<T: CacheKey> CacheKey for [T] {
    fn write(&self, key: &mut String, form: KeyForm) {
        write_list(key, self.iter(), form);
    }

    fn ends_itself(&self, _form: KeyForm) -> bool {
        true
    }

    fn quotes_itself(&self) -> bool {
        true
    }
}

macro_rules! lists {
    ($([$($parameters:tt)*] $list:ty),* $(,)?) => {$(
        /// Written like a Python list.
        impl<$($parameters)*> CacheKey for $list {
            fn write(&self, key: &mut String, form: KeyForm) {
                write_list(key, self.iter(), form);
            }

            fn ends_itself(&self, _form: KeyForm) -> bool {
                true
            }

            fn type_ends_itself(_form: KeyForm) -> bool {
                true
            }

            fn quotes_itself(&self) -> bool {
                true
            }
        }
    )*};
}

lists! {
    [T: CacheKey] Vec<T>,
    [T: CacheKey] VecDeque<T>,
    [T: CacheKey, const N: usize] [T; N],
}

/// Written like Python's empty tuple.
impl CacheKey for () {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str("()");
    }

    fn ends_itself(&self, _form: KeyForm) -> bool {
        true
    }

    fn type_ends_itself(_form: KeyForm) -> bool {
        true
    }

    fn quotes_itself(&self) -> bool {
        true
    }
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

            fn ends_itself(&self, _form: KeyForm) -> bool {
                true
            }

            fn type_ends_itself(_form: KeyForm) -> bool {
                true
            }

            fn quotes_itself(&self) -> bool {
                true
            }
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

/// An argument that was already converted to its text, by a `to_str` function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyText(String);

impl KeyText {
    /// Creates an argument that is written as `text`.
    pub fn new(text: impl Into<String>) -> Self {
        KeyText(text.into())
    }
}

impl CacheKey for KeyText {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str(&self.0);
    }
}
