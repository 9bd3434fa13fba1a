//! Key generators: what the key of a call is.
//!
//! Source: dogpile.cache `util/__init__.py`, `function_key_generator`, `function_multi_key_generator` and
//! `kwarg_function_key_generator`.

use super::argument::KeyForm;
use super::call::{Argument, FunctionCall};
use super::draft::KeyDraft;

/// The key of a call, different for different calls: `module:function|namespace|arg1 arg2`. The default.
///
/// It is Python's wherever that is the key of one call only. Elsewhere something is written in double quotes:
///
/// * where two or more arguments are texts, those with a blank in them: Python's keys of `("a b", "c")` and
///   `("a", "b c")` are the same;
/// * what has a `|` where that would pass for the end of a namespace;
/// * a text `"None"` where there could be nothing.
///
/// A method's type, or the function in whose body another stands, goes in place of the module, and generic parameters
/// behind the name: methods of two types, and a function with two types, do not share entries.
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
/// ```
pub fn default_key_generator(call: &FunctionCall<'_>, key: &mut String) {
    let mut draft = KeyDraft::new(call.function(), key);
    call.given().for_each(|argument| draft.add(argument.value()));
    draft.finish(call);
}

/// The key of a call as Python's dogpile.cache makes it by `function_key_generator`, byte for byte:
/// `module:function|namespace|arg1 arg2`. Calls whose arguments have blanks may share a key.
pub fn dogpile_key_generator(call: &FunctionCall<'_>, key: &mut String) {
    call.function().write_plainly(key);
    write_values(call.given(), key);
}

/// The key of a call as Python's dogpile.cache makes it by `kwarg_function_key_generator`, byte for byte: the
/// arguments sorted by their names, and with those that Python fills in.
pub fn kwarg_key_generator(call: &FunctionCall<'_>, key: &mut String) {
    call.function().write_plainly(key);
    let mut sorted: Vec<&Argument<'_>> = call.arguments().iter().collect();
    sorted.sort_by_key(|argument| argument.name());
    write_values(sorted.into_iter(), key);
}

/// The key of each argument of a call, by [`default_key_generator`]. The default of functions of many values.
pub fn default_multi_key_generator(call: &FunctionCall<'_>) -> Vec<String> {
    one_by_one(call, default_key_generator)
}

/// The key of each argument of a call as Python's dogpile.cache makes it by `function_multi_key_generator`, byte for
/// byte.
pub fn dogpile_multi_key_generator(call: &FunctionCall<'_>) -> Vec<String> {
    one_by_one(call, dogpile_key_generator)
}

fn one_by_one(call: &FunctionCall<'_>, generator: fn(&FunctionCall<'_>, &mut String)) -> Vec<String> {
    let one = |argument| {
        let mut key = String::new();
        generator(&FunctionCall::new(call.function(), std::slice::from_ref(argument)), &mut key);
        key
    };
    call.arguments().iter().map(one).collect()
}

fn write_values<'a>(arguments: impl Iterator<Item = &'a Argument<'a>>, key: &mut String) {
    for (number, argument) in arguments.enumerate() {
        if number > 0 {
            key.push(' ');
        }
        argument.value().write(key, KeyForm::default());
    }
}
