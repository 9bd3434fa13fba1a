//! [`FunctionCall`]: a call, from which a key generator makes a key.

use std::fmt;

use super::cache_key::{CacheKey, KeyForm};
use super::place::Place;

/// The text before the version of a function in its keys.
pub(super) const VERSION: &str = "@v";

/// A cached function, as a key generator sees it.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    name: &'a str,
    owner: Option<&'a str>,
    types: &'a [&'a str],
    namespace: Option<&'a str>,
    version: Option<&'a str>,
    /// Where it is, if a function of the same full name may be elsewhere.
    place: Option<Place>,
    /// Whether name, namespace, and version need no quotes in a key.
    is_plain: bool,
}

/// An argument of a call.
#[derive(Clone, Copy)]
pub struct Argument<'a> {
    name: &'a str,
    value: &'a dyn CacheKey,
    is_default: bool,
}

/// A call of a cached function, as a key generator sees it.
///
/// It contains neither `self` nor ignored arguments, but the values of `key_by`. A custom key generator is a function that
/// writes the key:
///
/// ```
/// use dogpile::function::{Argument, Function, FunctionCall};
///
/// fn by_first_argument(call: &FunctionCall<'_>, key: &mut String) {
///     key.push_str(call.function().name());
///     key.push('_');
///     if let Some(first) = call.arguments().first() {
///         key.push_str(&first.text());
///     }
/// }
///
/// let (function, arguments) = (Function::new("shop:price"), [Argument::new("item", &"tea")]);
/// let mut key = String::new();
/// by_first_argument(&FunctionCall::new(&function, &arguments), &mut key);
/// assert_eq!(key, "shop:price_tea");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FunctionCall<'a> {
    function: &'a Function<'a>,
    arguments: &'a [Argument<'a>],
    shared: &'a [Argument<'a>],
}

/// Returns whether `name` needs no quotes: it contains no mark, and does not end with generic types.
const fn is_plain_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if matches!(bytes[at], b'"' | b'|' | b'@') {
            return false;
        }
        at += 1;
    }
    at == 0 || bytes[at - 1] != b'>'
}

/// Returns whether `part`, which a `|` follows, needs no quotes: it contains no `|` and does not look quoted.
const fn is_plain_part(part: &str) -> bool {
    let bytes = part.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'|' {
            return false;
        }
        at += 1;
    }
    at == 0 || bytes[0] != b'"'
}

impl<'a> Function<'a> {
    /// Creates a function called `name`, such as `module:function`.
    ///
    /// Functions of the same full name share keys. The full name is `name`, or the owner and the last part of `name`.
    pub const fn new(name: &'a str) -> Self {
        Function {
            name,
            owner: None,
            types: &[],
            namespace: None,
            version: None,
            place: None,
            is_plain: is_plain_name(name),
        }
    }

    /// Returns this function in a namespace.
    #[must_use]
    pub const fn in_namespace(mut self, namespace: &'a str) -> Self {
        self.namespace = Some(namespace);
        self.is_plain = self.is_plain && is_plain_part(namespace);
        self
    }

    /// Returns this function in a version, such as `2`. Another version has other keys.
    ///
    /// Change the version when the function's values change their meaning, so that values of the old version are not
    /// served. The version follows the name in the keys of all key generators of this crate, as in
    /// `module:function@v2|...`. Python's keys have none.
    #[must_use]
    pub const fn with_version(mut self, version: &'a str) -> Self {
        self.version = Some(version);
        self.is_plain = self.is_plain && is_plain_part(version);
        self
    }

    /// Returns this function as a method of the type `owner`. Other types may have methods of its name.
    #[must_use]
    pub const fn of(mut self, owner: &'a str) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Returns this function with values for its generic parameters.
    #[must_use]
    pub const fn with_types(mut self, types: &'a [&'a str]) -> Self {
        self.types = types;
        self
    }

    /// Returns the `module:function` part of its keys.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the type whose method it is, or the function whose body contains it.
    pub fn owner(&self) -> Option<&'a str> {
        self.owner
    }

    /// Returns the values of its generic parameters.
    pub fn types(&self) -> &'a [&'a str] {
        self.types
    }

    /// Returns its namespace, if it has one.
    pub fn namespace(&self) -> Option<&'a str> {
        self.namespace
    }

    /// Returns its version, if it has one.
    pub fn version(&self) -> Option<&'a str> {
        self.version
    }

    /// Returns this function with its place.
    pub(super) const fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Writes the owner, if the function has one, and the name.
    pub(super) fn write_full_name(&self, key: &mut String) {
        match self.owner {
            None => key.push_str(self.name),
            Some(owner) => {
                key.push_str(owner);
                key.push(':');
                key.push_str(self.name.rsplit(':').next().unwrap_or_default());
            }
        }
    }

    /// Writes the place, if the function has one.
    pub(super) fn write_place(&self, key: &mut String) {
        if let Some(place) = self.place {
            place.write(key);
        }
    }

    /// Writes the name, the version, and the namespace without quotes. Without a version, this is Python's text.
    #[inline]
    pub(super) fn write_plainly(&self, key: &mut String) {
        key.push_str(self.name);
        if let Some(version) = self.version {
            key.push_str(VERSION);
            key.push_str(version);
        }
        key.push('|');
        if let Some(namespace) = self.namespace {
            key.push_str(namespace);
            key.push('|');
        }
    }
}

impl<'a> Argument<'a> {
    /// Creates an argument called `name`.
    #[inline]
    pub const fn new(name: &'a str, value: &'a dyn CacheKey) -> Self {
        Argument { name, value, is_default: false }
    }

    /// Creates a parameter that only the Python function of this name has, with its default.
    #[inline]
    pub const fn default_of(name: &'a str, value: &'a dyn CacheKey) -> Self {
        Argument { name, value, is_default: true }
    }

    /// Returns the argument's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the argument's value.
    pub fn value(&self) -> &'a dyn CacheKey {
        self.value
    }

    /// Returns whether the value is a default, which the caller did not pass.
    pub fn is_default(&self) -> bool {
        self.is_default
    }

    /// Returns the text that Python's `str` returns for the value.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.value.write(&mut text, KeyForm::default());
        text
    }
}

impl fmt::Debug for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:?}", self.name, self.text())
    }
}

impl<'a> FunctionCall<'a> {
    /// Creates a call of `function` with `arguments`.
    #[inline]
    pub const fn new(function: &'a Function<'a>, arguments: &'a [Argument<'a>]) -> Self {
        FunctionCall { function, arguments, shared: &[] }
    }

    /// Returns this call of a function of many keys. The arguments `shared` are part of every key.
    #[must_use]
    pub const fn with_shared(mut self, shared: &'a [Argument<'a>]) -> Self {
        self.shared = shared;
        self
    }

    /// Returns the called function.
    pub fn function(&self) -> &'a Function<'a> {
        self.function
    }

    /// Returns the arguments in the function's order, followed by the defaults.
    pub fn arguments(&self) -> &'a [Argument<'a>] {
        self.arguments
    }

    /// Returns the arguments of `key_by`, which come first in every key.
    ///
    /// It is empty for a function of one value, whose [`arguments`](Self::arguments) begin with them.
    pub fn shared(&self) -> &'a [Argument<'a>] {
        self.shared
    }

    /// Returns the arguments without the defaults.
    pub(super) fn given(&self) -> impl Iterator<Item = &'a Argument<'a>> + use<'a> {
        self.arguments.iter().filter(|argument| !argument.is_default)
    }
}
