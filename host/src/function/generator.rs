//! Key generators: what the key of a call is.
//!
//! Source: dogpile.cache `util/__init__.py`, `function_key_generator`, `function_multi_key_generator` and
//! `kwarg_function_key_generator`.

use super::argument::KeyForm;
use super::call::{Argument, FunctionCall};
use super::exact::{quote, quote_among_texts};

const PYTHON: KeyForm = KeyForm { nested: false, exact: false };
const EXACT: KeyForm = KeyForm { nested: false, exact: true };

/// The key of a call, different for different calls: `module:function|namespace|arg1 arg2`. The default.
///
/// It is Python's wherever that is the key of one call only. Elsewhere something is written in double quotes:
///
/// * where two or more arguments are texts, those with a blank in them: Python's keys of `("a b", "c")` and
///   `("a", "b c")` are the same;
/// * what has a `|` where that would pass for the end of a namespace;
/// * a text `"None"` where there could be nothing.
///
/// A method's type stands in place of its module, and generic parameters behind the name: methods of two types, and
/// a function with two types, do not share entries.
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
#[inline]
pub fn default_key_generator(call: &FunctionCall<'_>, key: &mut String) {
    write_exact_function(call, key);
    let texts = given(call).filter(|argument| !argument.value().ends_itself(EXACT)).count();
    for (number, argument) in given(call).enumerate() {
        if number > 0 {
            key.push(' ');
        }
        let begin = key.len();
        argument.value().write(key, EXACT);
        if texts > 0 {
            guard(key, begin, argument, texts > 1);
        }
        if call.function().namespace().is_none() && key[begin..].contains('|') {
            quote(key, begin);
        }
    }
}

/// Quotes a text among texts, if it is in need of that.
fn guard(key: &mut String, begin: usize, argument: &Argument<'_>, among_texts: bool) {
    if among_texts && !argument.value().ends_itself(EXACT) {
        quote_among_texts(key, begin);
    }
}

/// The key of a call as Python's dogpile.cache makes it by `function_key_generator`, byte for byte:
/// `module:function|namespace|arg1 arg2`. Calls whose arguments have blanks may share a key.
pub fn dogpile_key_generator(call: &FunctionCall<'_>, key: &mut String) {
    write_function(call, key);
    write_values(given(call), key);
}

/// The key of a call as Python's dogpile.cache makes it by `kwarg_function_key_generator`, byte for byte: the
/// arguments sorted by their names, and with those that Python fills in.
pub fn kwarg_key_generator(call: &FunctionCall<'_>, key: &mut String) {
    write_function(call, key);
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

fn given<'a>(call: &FunctionCall<'a>) -> impl Iterator<Item = &'a Argument<'a>> {
    call.arguments().iter().filter(|argument| !argument.is_default())
}

fn write_values<'a>(arguments: impl Iterator<Item = &'a Argument<'a>>, key: &mut String) {
    for (number, argument) in arguments.enumerate() {
        if number > 0 {
            key.push(' ');
        }
        argument.value().write(key, PYTHON);
    }
}

fn write_function(call: &FunctionCall<'_>, key: &mut String) {
    key.push_str(call.function().name());
    if let Some(namespace) = call.function().namespace() {
        key.push('|');
        key.push_str(namespace);
    }
    key.push('|');
}

#[inline]
fn write_exact_function(call: &FunctionCall<'_>, key: &mut String) {
    let function = call.function();
    if function.is_plain() && function.owner().is_none() && function.types().is_empty() {
        write_function(call, key);
    } else {
        write_unusual_function(call, key);
    }
}

fn write_unusual_function(call: &FunctionCall<'_>, key: &mut String) {
    let (function, begin) = (call.function(), key.len());
    match function.owner() {
        None => key.push_str(function.name()),
        Some(owner) => {
            key.push_str(owner);
            key.push(':');
            key.push_str(function.name().rsplit(':').next().unwrap_or_default());
        }
    }
    if !function.types().is_empty() {
        key.push('<');
        key.push_str(&function.types().join(", "));
        key.push('>');
    }
    quote_before_bar(key, begin);
    if let Some(namespace) = function.namespace() {
        key.push('|');
        let begin = key.len();
        key.push_str(namespace);
        quote_before_bar(key, begin);
    }
    key.push('|');
}

/// Quotes what a `|` follows, if it has one itself, or could be taken for quoted.
fn quote_before_bar(key: &mut String, begin: usize) {
    let text = &key[begin..];
    if text.starts_with('"') || text.contains('|') {
        quote(key, begin);
    }
}
