//! [`FunctionCall`]: the call that a key generator makes a key of.

use std::fmt;

use super::key_argument::{KeyArgument, KeyForm};

/// A cached function, as a key generator sees it.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    name: &'a str,
    owner: Option<&'a str>,
    types: &'a [&'a str],
    namespace: Option<&'a str>,
    /// Whether name and namespace need no quotes in a key.
    is_plain: bool,
}

/// An argument of a call.
#[derive(Clone, Copy)]
pub struct Argument<'a> {
    name: &'a str,
    value: &'a dyn KeyArgument,
    is_default: bool,
}

/// A call of a cached function, as a key generator sees it.
///
/// It contains neither `self` nor ignored arguments. A custom key generator is a function that writes the key:
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

/// Returns whether `text` contains no `|` and does not look quoted.
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
    /// Creates a function called `name`, such as `module:function`.
    pub const fn new(name: &'a str) -> Self {
        Function { name, owner: None, types: &[], namespace: None, is_plain: is_plain(name) }
    }

    /// Returns this function in a namespace.
    #[must_use]
    pub const fn in_namespace(mut self, namespace: &'a str) -> Self {
        self.namespace = Some(namespace);
        self.is_plain = self.is_plain && is_plain(namespace);
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

    /// Returns the type that it is a method of, or the function whose body contains it.
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

    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Writes name and namespace like Python, each followed by `|`.
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

/// Returns `function` with an owner if it is within the body of another function.
///
/// Another body may contain a function of the same name. `path` is the function's path, and `usual` the path that it
/// has outside of bodies, directly in its module.
#[inline]
pub fn of_function_body<'a>(function: Function<'a>, path: &'a str, usual: &str) -> Function<'a> {
    if path.len() == usual.len() {
        return function;
    }
    path.rsplit_once("::").map_or(function, |(body, _)| function.of(body))
}

impl<'a> Argument<'a> {
    /// Creates an argument called `name`.
    #[inline]
    pub const fn new(name: &'a str, value: &'a dyn KeyArgument) -> Self {
        Argument { name, value, is_default: false }
    }

    /// Creates a parameter that only the Python function of this name has, with its default.
    #[inline]
    pub const fn default_of(name: &'a str, value: &'a dyn KeyArgument) -> Self {
        Argument { name, value, is_default: true }
    }

    /// Returns the argument's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the argument's value.
    pub fn value(&self) -> &'a dyn KeyArgument {
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
        FunctionCall { function, arguments }
    }

    /// Returns the called function.
    pub fn function(&self) -> &'a Function<'a> {
        self.function
    }

    /// Returns the arguments in the function's order, followed by the defaults.
    pub fn arguments(&self) -> &'a [Argument<'a>] {
        self.arguments
    }

    /// Returns the arguments without the defaults.
    pub(super) fn given(&self) -> impl Iterator<Item = &'a Argument<'a>> + use<'a> {
        self.arguments.iter().filter(|argument| !argument.is_default)
    }
}
