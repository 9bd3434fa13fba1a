//! Key generators: functions that make the keys of calls.
// Source: dogpile.cache `util/__init__.py`, `function_key_generator`, `function_multi_key_generator` and
// `kwarg_function_key_generator`.

use super::cache_key::KeyForm;
use super::default_key::KeyDraft;
use super::function_call::{Argument, FunctionCall};

/// A function that writes the key of a call.
pub type KeyGenerator = Box<dyn Fn(&FunctionCall<'_>, &mut String) + Send + Sync>;

/// A function that returns the keys of a call, one per argument.
pub type MultiKeyGenerator = Box<dyn Fn(&FunctionCall<'_>) -> Vec<String> + Send + Sync>;

/// Writes a key that only equal calls share: `module:function|namespace|arg1 arg2`.
///
/// This is the default. The key is Python's, unless different calls share Python's key. Then these parts are written in
/// double quotes, in which `\"`, `\\`, and `\x7c` stand for a double quote, a backslash, and a `|`:
///
/// * if two or more arguments are strings, those that contain a space. Python's keys of `("a b", "c")` and
///   `("a", "b c")` are equal.
/// * an argument that begins with a double quote, which could be read as one that is quoted here.
/// * an argument whose `|` could be read as the end of a namespace.
/// * an empty string as the only argument. Python's keys of `f("")` and `f()` are equal.
///
/// A `Some` whose value could be read as `None` is written as `Some(None)`. In lists, tuples, sets, maps, and types that
/// derive [`CacheKey`](super::CacheKey), strings are written like Python's `repr`.
///
/// The rules hold for one function, whose parameters have fixed types. Give functions that differ in their parameters
/// different names.
///
/// The [version](super::Function::with_version) of a function, if it has one, follows its name: `module:function@v2|...`.
///
/// For a method, its type takes the place of the module. For a function within the body of another one, the outer
/// function does. Generic parameters follow the name. Methods of different types, and instances of one generic
/// function, therefore do not share entries. Types of the same path, in two blocks of one function, count as one type
/// where they are generic parameters.
///
/// Two blocks of one function may contain functions of the same name. For a function or an `impl` within a body, the
/// line and column of its attribute therefore follow the name, as in `shop::find:inner@12:5`. All processes that run the
/// same program make the same keys, but an edit above such a function changes its keys. To avoid that, set `key_name`.
///
/// ```
/// use dogpile::function::{Argument, Function, FunctionCall, default_key_generator};
///
/// let key = |first: &str, second: &str| {
///     let mut key = String::new();
///     let arguments = [Argument::new("first", &first), Argument::new("second", &second)];
///     default_key_generator(&FunctionCall::new(&Function::new("shop:find"), &arguments), &mut key);
///     key
/// };
/// assert_eq!(key("a", "b"), "shop:find|a b");
/// assert_eq!(key("a b", "c"), "shop:find|\"a b\" c");
/// assert_eq!(key("a", "b c"), "shop:find|a \"b c\"");
/// assert_eq!(key("a", "|"), "shop:find|a \"\\x7c\"");
/// ```
pub fn default_key_generator(call: &FunctionCall<'_>, key: &mut String) {
    let mut draft = KeyDraft::new(call.function(), key);
    call.given().for_each(|argument| draft.add(argument.value()));
    draft.finish(call);
}

/// Writes the key of Python's `function_key_generator`: `module:function|namespace|arg1 arg2`.
///
/// The key is Python's, byte for byte. Different calls may share a key, for example if their arguments contain spaces.
/// A version, which Python's functions do not have, follows the name.
pub fn dogpile_key_generator(call: &FunctionCall<'_>, key: &mut String) {
    call.function().write_plainly(key);
    write_values(call.given(), key);
}

/// Writes the key of Python's `kwarg_function_key_generator`, with arguments sorted by name.
///
/// The key is Python's, byte for byte. It includes the defaults that Python fills in. A version, which Python's functions
/// do not have, follows the name.
pub fn kwarg_key_generator(call: &FunctionCall<'_>, key: &mut String) {
    call.function().write_plainly(key);
    let mut sorted: Vec<&Argument<'_>> = call.arguments().iter().collect();
    sorted.sort_by_key(|argument| argument.name());
    write_values(sorted.into_iter(), key);
}

/// Returns the keys that [`default_key_generator`] writes, one per argument.
///
/// This is the default for functions of many keys.
pub fn default_multi_key_generator(call: &FunctionCall<'_>) -> Vec<String> {
    one_by_one(call, default_key_generator)
}

/// Returns the keys of Python's `function_multi_key_generator`, one per argument.
///
/// The keys are Python's, byte for byte.
pub fn dogpile_multi_key_generator(call: &FunctionCall<'_>) -> Vec<String> {
    one_by_one(call, dogpile_key_generator)
}

fn one_by_one(call: &FunctionCall<'_>, generator: fn(&FunctionCall<'_>, &mut String)) -> Vec<String> {
    let mut listed = call.shared().to_vec();
    let one = |argument| {
        let mut key = String::new();
        listed.truncate(call.shared().len());
        listed.push(argument);
        generator(&FunctionCall::new(call.function(), &listed), &mut key);
        key
    };
    call.arguments().iter().copied().map(one).collect()
}

fn write_values<'a>(arguments: impl Iterator<Item = &'a Argument<'a>>, key: &mut String) {
    for (number, argument) in arguments.enumerate() {
        if number > 0 {
            key.push(' ');
        }
        argument.value().write(key, KeyForm::default());
    }
}
