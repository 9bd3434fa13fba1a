//! [`FunctionCall`]: what a key generator makes a key of.

use std::fmt;

use super::argument::{KeyArgument, KeyForm};

/// A function as key generators know it.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    name: &'a str,
    owner: Option<&'a str>,
    types: &'a [&'a str],
    namespace: Option<&'a str>,
    /// Whether name and namespace can stand in a key as they are.
    is_plain: bool,
}

/// One argument of a call.
#[derive(Clone, Copy)]
pub struct Argument<'a> {
    name: &'a str,
    value: &'a dyn KeyArgument,
    is_default: bool,
}

/// A call of a cached function, as key generators see it: without `self` and the arguments that are ignored.
///
/// A key generator of your own is a function that writes the key:
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
}

/// Whether `text` ends at the first `|` after it, and is not taken for quoted.
const fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'|' || (at == 0 && bytes[at] == b'"') {
            return false;
        }
        at += 1;
    }
    true
}

impl<'a> Function<'a> {
    /// The function called `name`, such as `module:function`.
    pub const fn new(name: &'a str) -> Self {
        Function { name, owner: None, types: &[], namespace: None, is_plain: is_plain(name) }
    }

    /// The same, in a namespace.
    #[must_use]
    pub const fn in_namespace(mut self, namespace: &'a str) -> Self {
        self.namespace = Some(namespace);
        self.is_plain = self.is_plain && is_plain(namespace);
        self
    }

    /// The same, as a function of the type `owner`, which may have others of the name beside it.
    #[must_use]
    pub const fn of(mut self, owner: &'a str) -> Self {
        self.owner = Some(owner);
        self
    }

    /// The same, for these values of its generic parameters.
    #[must_use]
    pub const fn with_types(mut self, types: &'a [&'a str]) -> Self {
        self.types = types;
        self
    }

    /// The `module:function` part of its keys.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The type that it belongs to.
    pub fn owner(&self) -> Option<&'a str> {
        self.owner
    }

    /// What its generic parameters are.
    pub fn types(&self) -> &'a [&'a str] {
        self.types
    }

    /// Its namespace, if it has one.
    pub fn namespace(&self) -> Option<&'a str> {
        self.namespace
    }

    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Writes name and namespace as Python does, with a `|` behind each.
    #[inline]
    pub(super) fn write_plainly(&self, key: &mut String) {
        key.push_str(self.name);
        key.push('|');
        if let Some(namespace) = self.namespace {
            key.push_str(namespace);
            key.push('|');
        }
    }
}

/// A function that stands at `path`. Within the body of another function, that is what it belongs to: there may be
/// one of its name in another body. Elsewhere it has the `usual` path, of its module.
#[inline]
pub fn of_function_body<'a>(function: Function<'a>, path: &'a str, usual: &str) -> Function<'a> {
    if path.len() == usual.len() {
        return function;
    }
    path.rsplit_once("::").map_or(function, |(body, _)| function.of(body))
}

impl<'a> Argument<'a> {
    /// The argument called `name`.
    #[inline]
    pub const fn new(name: &'a str, value: &'a dyn KeyArgument) -> Self {
        Argument { name, value, is_default: false }
    }

    /// A parameter that a Python function of the name has besides, with its default.
    #[inline]
    pub const fn default_of(name: &'a str, value: &'a dyn KeyArgument) -> Self {
        Argument { name, value, is_default: true }
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Its value.
    pub fn value(&self) -> &'a dyn KeyArgument {
        self.value
    }

    /// Whether nobody gave it, as it is a default.
    pub fn is_default(&self) -> bool {
        self.is_default
    }

    /// The text that Python's `str` gives it.
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
    /// A call of `function` with `arguments`.
    #[inline]
    pub const fn new(function: &'a Function<'a>, arguments: &'a [Argument<'a>]) -> Self {
        FunctionCall { function, arguments }
    }

    /// The function.
    pub fn function(&self) -> &'a Function<'a> {
        self.function
    }

    /// The arguments, in the function's order; then the defaults.
    pub fn arguments(&self) -> &'a [Argument<'a>] {
        self.arguments
    }

    /// The arguments without the defaults.
    pub(super) fn given(&self) -> impl Iterator<Item = &'a Argument<'a>> + use<'a> {
        self.arguments.iter().filter(|argument| !argument.is_default)
    }
}
