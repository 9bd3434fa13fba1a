//! [`CacheKey`]: the text of an argument in the key of a cached function.

/// An argument that can be part of the key of a cached function.
///
/// Its text in the key is the one that Python's `str` returns for an equal value, so that Rust and Python share
/// entries. Numbers, booleans, strings, `Option`, lists, sets and maps that are sorted, tuples, network addresses, paths,
/// and `Duration` implement it. The features `uuid1`, `chrono04`, `time03`, and `bytes1` implement it for the types of
/// these crates.
///
/// Derive it for your own types. A struct is then written like a Python dataclass, and an enum like a Python enum:
///
#[cfg_attr(feature = "macros", doc = "```")]
#[cfg_attr(not(feature = "macros"), doc = "```ignore")]
/// use dogpile::CacheKey;
/// use dogpile::function::{Argument, Function, FunctionCall, default_key_generator};
///
/// #[derive(CacheKey)]
/// struct UserId(u64);                 // written like its only field: 5
///
/// #[derive(CacheKey)]
/// struct Query {                      // Query(name='x', page=2)
///     name: String,
///     page: u32,
///     #[cache_key(skip)]
///     trace: u64,                     // not part of the key
/// }
///
/// #[derive(CacheKey)]
/// enum Color {
///     Red,                            // Color.Red
///     Gray { level: u8 },             // Color.Gray(level=7)
/// }
///
/// let key = |value: &dyn CacheKey| {
///     let mut key = String::new();
///     let arguments = [Argument::new("argument", value)];
///     default_key_generator(&FunctionCall::new(&Function::new("shop:find"), &arguments), &mut key);
///     key
/// };
/// assert_eq!(key(&UserId(5)), "shop:find|5");
/// assert_eq!(key(&Query { name: "x".to_owned(), page: 2, trace: 1 }), "shop:find|Query(name='x', page=2)");
/// assert_eq!(key(&Color::Red), "shop:find|Color.Red");
/// assert_eq!(key(&Some(Color::Gray { level: 7 })), "shop:find|Color.Gray(level=7)");
/// ```
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[cache_key(skip)]` | a field | The field is not part of the key. |
/// | `#[cache_key(transparent)]` | a struct | The struct is written like its only field that is not skipped. This is the default for a tuple struct. |
/// | `#[cache_key(name = "User")]` | a type | The name in the key, also for a tuple struct of one field. The default is the type's own name. |
///
/// Values of different types may have one text, as `UserId(5)` and `5` do: an argument has only one type. A `&dyn CacheKey`
/// is written like its value, so values of different types may share an entry there.
///
/// To choose the text yourself, implement the trait by hand. The text is arbitrary: it is quoted where it could be read
/// as another call.
///
/// ```
/// use dogpile::function::{CacheKey, KeyForm};
///
/// struct Version(u16, u16);
///
/// impl CacheKey for Version {
///     fn write(&self, key: &mut String, _form: KeyForm) {
///         key.push_str(&format!("{}.{}", self.0, self.1));
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a key",
    label = "this argument has no text in a key",
    note = "for a type of your own, add `#[derive(CacheKey)]`; for another type, see the features of `dogpile`",
    note = "to choose the text yourself, convert it with `to_str = ...`; to leave it out of the key, use `ignore(...)`"
)]
pub trait CacheKey {
    /// Appends the text to `key`. Values with equal texts share an entry.
    fn write(&self, key: &mut String, form: KeyForm);

    /// Returns the shape of all texts of the type.
    ///
    /// It depends on the type alone, because a reader of a key does not know the value.
    #[doc(hidden)]
    #[inline]
    fn shape(&self, form: KeyForm) -> KeyShape {
        let _ = form;
        KeyShape::Open
    }

    /// Returns a shape of the type that is known without a value, for an `Option` that may have none.
    #[doc(hidden)]
    #[inline]
    fn shape_of_type(form: KeyForm) -> KeyShape
    where
        Self: Sized,
    {
        let _ = form;
        KeyShape::Open
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

/// How a reader of a key finds the end of a text.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShape {
    /// An enclosed text without spaces, `|`, and quotes, which never needs quotes. A number is a word.
    Word,
    /// Spaces and commas are within brackets or quotes, and these match. The text is not empty and does not begin with a
    /// double quote. A list is enclosed, and so is a string in brackets. Words and enclosed texts are closed.
    Enclosed,
    /// The text is arbitrary. A string is open, except in brackets.
    Open,
}

const _: fn(&dyn CacheKey) = |_| {};

/// Defines the shape of a type's texts.
macro_rules! shape {
    ($shape:ident) => {
        $crate::function::cache_key::shape!(_form => $crate::function::cache_key::KeyShape::$shape);
    };
    ($form:ident => $shape:expr) => {
        #[inline]
        fn shape(&self, $form: $crate::function::KeyForm) -> $crate::function::cache_key::KeyShape {
            $shape
        }

        #[inline]
        fn shape_of_type($form: $crate::function::KeyForm) -> $crate::function::cache_key::KeyShape {
            $shape
        }
    };
}
pub(super) use shape;

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
