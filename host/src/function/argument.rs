//! [`KeyArgument`]: what an argument of a cached function is in its key.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::exact::{quote_nested, quote_none};
use super::python::{write_float, write_text_repr};

/// What an argument of a cached function is in its key: the text that Python's `str` gives an equal value, so that
/// both find each other's entries.
///
/// It is implemented for numbers, truth values, texts, `Option`, lists and tuples. For a type of your own:
///
/// ```
/// use dogpile::function::{KeyArgument, KeyForm};
///
/// struct UserId(u64);
///
/// impl KeyArgument for UserId {
///     fn write(&self, key: &mut String, form: KeyForm) {
///         self.0.write(key, form);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no text for a key",
    label = "this argument cannot be part of a key",
    note = "implement `KeyArgument` for it, say by `to_str = ...` what its text is, or leave it out by `ignore(...)`"
)]
pub trait KeyArgument {
    /// Appends the text to `key`. Different values have different texts, or they share an entry.
    fn write(&self, key: &mut String, form: KeyForm);

    /// Whether one can tell where such a text ends without knowing what follows, as with numbers and lists. What
    /// does not end by itself is put in quotes where it could be mistaken. Default: it does not.
    fn ends_itself(&self, form: KeyForm) -> bool {
        let _ = form;
        false
    }
}

/// What a text in a key is to be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyForm {
    /// It stands within a list or tuple: as Python's `repr` writes it.
    pub nested: bool,
    /// No other value of the type may have the text, even where Python confuses them.
    pub exact: bool,
}

const _: fn(&dyn KeyArgument) = |_| {};

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl KeyArgument for $integer {
            #[inline]
            fn write(&self, key: &mut String, _form: KeyForm) {
                key.push_str(itoa::Buffer::new().format(*self));
            }

            #[inline]
            fn ends_itself(&self, _form: KeyForm) -> bool {
                true
            }
        }
    )*};
}

integers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

macro_rules! floats {
    ($($float:ty)*) => {$(
        /// Its shortest decimal form; Python has the wider type only.
        impl KeyArgument for $float {
            fn write(&self, key: &mut String, _form: KeyForm) {
                write_float(key, &format!("{self:e}"));
            }

            fn ends_itself(&self, _form: KeyForm) -> bool {
                true
            }
        }
    )*};
}

floats! { f32 f64 }

impl KeyArgument for bool {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str(if *self { "True" } else { "False" });
    }

    fn ends_itself(&self, _form: KeyForm) -> bool {
        true
    }
}

impl KeyArgument for str {
    #[inline]
    fn write(&self, key: &mut String, form: KeyForm) {
        if form.nested { write_text_repr(key, self) } else { key.push_str(self) }
    }

    #[inline]
    fn ends_itself(&self, form: KeyForm) -> bool {
        form.nested
    }
}

impl KeyArgument for String {
    #[inline]
    fn write(&self, key: &mut String, form: KeyForm) {
        self.as_str().write(key, form);
    }

    #[inline]
    fn ends_itself(&self, form: KeyForm) -> bool {
        form.nested
    }
}

impl KeyArgument for char {
    fn write(&self, key: &mut String, form: KeyForm) {
        self.encode_utf8(&mut [0; 4]).write(key, form);
    }

    fn ends_itself(&self, form: KeyForm) -> bool {
        form.nested
    }
}

/// `None` is Python's; what is there is written as it is.
impl<T: KeyArgument> KeyArgument for Option<T> {
    fn write(&self, key: &mut String, form: KeyForm) {
        let begin = key.len();
        match self {
            None => key.push_str("None"),
            Some(value) => {
                value.write(key, form);
                if form.exact {
                    quote_none(key, begin);
                }
            }
        }
    }

    fn ends_itself(&self, form: KeyForm) -> bool {
        self.as_ref().is_none_or(|value| value.ends_itself(form))
    }
}

macro_rules! pointers {
    ($($(#[$doc:meta])* [$($parameters:tt)*] $pointer:ty),* $(,)?) => {$(
        $(#[$doc])*
        impl<$($parameters)*> KeyArgument for $pointer {
            #[inline]
            fn write(&self, key: &mut String, form: KeyForm) {
                (**self).write(key, form);
            }

            #[inline]
            fn ends_itself(&self, form: KeyForm) -> bool {
                (**self).ends_itself(form)
            }
        }
    )*};
}

pointers! {
    [T: KeyArgument + ?Sized] &T,
    [T: KeyArgument + ?Sized] &mut T,
    [T: KeyArgument + ?Sized] Box<T>,
    [T: KeyArgument + ?Sized] Rc<T>,
    [T: KeyArgument + ?Sized] Arc<T>,
    [T: KeyArgument + ToOwned + ?Sized] Cow<'_, T>,
}

/// Writes `items` between brackets.
fn write_list<'a, T: KeyArgument + 'a>(key: &mut String, items: impl Iterator<Item = &'a T>, form: KeyForm) {
    key.push('[');
    for (number, item) in items.enumerate() {
        write_item(key, number, item, form);
    }
    key.push(']');
}

fn write_item(key: &mut String, number: usize, item: &(impl KeyArgument + ?Sized), form: KeyForm) {
    if number > 0 {
        key.push_str(", ");
    }
    let (begin, form) = (key.len(), KeyForm { nested: true, ..form });
    item.write(key, form);
    if form.exact && !item.ends_itself(form) {
        quote_nested(key, begin);
    }
}

macro_rules! lists {
    ($([$($parameters:tt)*] $list:ty),* $(,)?) => {$(
        /// As Python writes a list.
        impl<$($parameters)*> KeyArgument for $list {
            fn write(&self, key: &mut String, form: KeyForm) {
                write_list(key, self.iter(), form);
            }

            fn ends_itself(&self, _form: KeyForm) -> bool {
                true
            }
        }
    )*};
}

lists! {
    [T: KeyArgument] [T],
    [T: KeyArgument] Vec<T>,
    [T: KeyArgument] VecDeque<T>,
    [T: KeyArgument, const N: usize] [T; N],
}

/// As Python writes the empty tuple.
impl KeyArgument for () {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str("()");
    }

    fn ends_itself(&self, _form: KeyForm) -> bool {
        true
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt $end:literal)+))*) => {$(
        /// As Python writes a tuple.
        impl<$($name: KeyArgument),+> KeyArgument for ($($name,)+) {
            fn write(&self, key: &mut String, form: KeyForm) {
                key.push('(');
                $(write_item(key, $index, &self.$index, form); key.push_str($end);)+
                key.push(')');
            }

            fn ends_itself(&self, _form: KeyForm) -> bool {
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

/// The text that a `to_str` made of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyText(String);

impl KeyText {
    /// The text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        KeyText(text.into())
    }
}

impl KeyArgument for KeyText {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str(&self.0);
    }
}
