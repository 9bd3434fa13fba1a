//! [`FunctionCall`]: the call that a key generator makes a key of.

use std::fmt;

use super::cache_key::{CacheKey, KeyForm};

/// A cached function, as a key generator sees it.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    name: &'a str,
    owner: Option<&'a str>,
    types: &'a [&'a str],
    namespace: Option<&'a str>,
    /// Where it stands, if a function of the same full name may stand elsewhere.
    place: Option<Place>,
    /// Whether name and namespace need no quotes in a key.
    is_plain: bool,
}

/// Where the attribute of a cached function stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The line and column in the source file. Within a macro, those of its invocation.
    pub at: (u32, u32),
    /// The line and column in the source file, or in the macro that contains it.
    pub written_at: (u32, u32),
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

/// Returns whether `text` contains no `|`, does not look quoted, and does not end with generic types.
const fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'|' || (at == 0 && bytes[at] == b'"') {
            return false;
        }
        at += 1;
    }
    at == 0 || bytes[at - 1] != b'>'
}

impl<'a> Function<'a> {
    /// Creates a function called `name`, such as `module:function`.
    ///
    /// Functions of the same full name share keys. The full name is `name`, or the owner and the last part of `name`.
    pub const fn new(name: &'a str) -> Self {
        Function { name, owner: None, types: &[], namespace: None, place: None, is_plain: is_plain(name) }
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

    /// Writes the owner, the name, and the place, as far as the function has them.
    pub(super) fn write_full_name(&self, key: &mut String) {
        match self.owner {
            None => key.push_str(self.name),
            Some(owner) => {
                key.push_str(owner);
                key.push(':');
                key.push_str(self.name.rsplit(':').next().unwrap_or_default());
            }
        }
        if let Some(place) = self.place {
            place.write(key);
        }
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

impl Place {
    /// Writes `@line:column`, followed by `/line:column` within a macro.
    fn write(self, key: &mut String) {
        write_position(key, '@', self.at);
        if self.written_at != self.at {
            write_position(key, '/', self.written_at);
        }
    }
}

fn write_position(key: &mut String, before: char, (line, column): (u32, u32)) {
    key.push(before);
    key.push_str(itoa::Buffer::new().format(line));
    key.push(':');
    key.push_str(itoa::Buffer::new().format(column));
}

/// Returns `function` with an owner and its place if it is within the body of another function.
///
/// Another body, or another block of this one, may contain a function of the same name. `path` is the function's path,
/// and `usual` the [`path_len`] that it has outside of bodies, directly in its module.
#[inline]
pub fn of_function_body<'a>(
    function: Function<'a>,
    path: &'a str,
    usual: usize,
    place: Place,
) -> Function<'a> {
    if path.len() == usual {
        return function;
    }
    let Some((body, _)) = path.rsplit_once("::") else { return function };
    Function { place: Some(place), ..function.of(body) }
}

/// Returns `function` as a method of `owner`, with its place if its `impl` is within the body of a function.
///
/// Another block of that body may contain a type of the same name. `path` is the path of an item within the method, and
/// `module` the [`path_len`] of the module.
#[inline]
pub fn of_method<'a>(
    function: Function<'a>,
    owner: &'a str,
    path: &str,
    module: usize,
    place: Place,
) -> Function<'a> {
    let place = is_in_body(path, module).then_some(place);
    Function { place, ..function.of(owner) }
}

/// Returns the length that `path`, which a macro such as `module_path!` made, has in a type's name: without `r#`.
pub const fn path_len(path: &str) -> usize {
    let (bytes, mut at, mut raw) = (path.as_bytes(), 1, 0);
    while at < bytes.len() {
        if bytes[at] == b'#' && bytes[at - 1] == b'r' {
            raw += 2;
        }
        at += 1;
    }
    bytes.len() - raw
}

/// Returns whether a method is within the body of a function.
///
/// The `path` of an item in the method is `module::Type::method::Item` or `module::<impl other::Type>::method::Item`
/// otherwise. There may be generic parameters after `Type`.
fn is_in_body(path: &str, module: usize) -> bool {
    let Some(within) = path.get(module..).and_then(|path| path.strip_prefix("::")) else { return false };
    match within.split_once('<') {
        Some((before, _)) => before.contains("::"),
        None => within.matches("::").count() > 2,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_identifiers_are_shorter_in_type_names() {
        assert_eq!((path_len("m::four"), path_len("r#m::r#loop"), path_len("")), (7, 7, 0));
    }

    #[test]
    fn methods_in_bodies_are_told_from_others() {
        for path in ["m::T::f::I", "m::T<_>::f::I", "m::T<a::B>::f::I", "m::<impl n::T>::f::I"] {
            assert!(!is_in_body(path, path_len("m")), "{path}");
        }
        for path in
            ["m::o::T::f::I", "m::o::T<_>::f::I", "m::o::<impl m::T>::f::I", "m::o::{{closure}}::T::f::I"]
        {
            assert!(is_in_body(path, path_len("m")), "{path}");
        }
    }
}
