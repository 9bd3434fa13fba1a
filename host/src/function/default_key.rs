//! [`KeyDraft`]: the default key of a call. It is Python's key, except where different calls share Python's key.
//!
//! Different calls have different keys. A key is `name|arguments` or `name|namespace|arguments`. A reader who knows the
//! parameters of each function can decode it:
//!
//! * Only quoted parts begin with a double quote. A text that begins with one is always quoted.
//! * The name ends at the first `|`, because a name that contains one is quoted, and a quoted part contains none. If
//!   the name ends with `>`, what follows its first `<` are generic types, separated by commas outside of brackets. A
//!   name without types that looks like this is quoted. Python's `<lambda>` does not, because nothing is before its `<`.
//! * A second `|` is the end of a namespace. Without a namespace, arguments that contain `|` are quoted.
//! * Arguments are separated by spaces. Numbers, lists, and tuples end themselves: their spaces are within brackets.
//!   Strings, characters, and own types do not. Neither do options of these, even if they are `None`.
//! * If one argument of a call does not end itself, it is what remains when the others are read from both ends. If two
//!   or more do not, those that contain a space are quoted, so that the others end at a space.
//! * In an `Option`, the text `None` is quoted, and so is each text that results from quoting it.
//! * In lists and tuples, strings are written like Python's `repr`. Own types are quoted if they are empty, or contain
//!   spaces, commas, quotes, or brackets.
//!
//! Keys contain no random or changing parts. All processes that run the same program make the same keys.

use super::cache_key::{CacheKey, KeyForm};
use super::function_call::{Function, FunctionCall};
use super::quoting::{quote, quote_quote, quote_separator};

const EXACT: KeyForm = KeyForm { nested: false, exact: true };

/// A default key that is being written.
///
/// The macros add arguments whose types are known, which is faster than adding trait objects.
#[derive(Debug)]
pub struct KeyDraft<'k> {
    key: &'k mut String,
    /// The position in `key` at which the arguments begin.
    begin: usize,
    arguments: usize,
    /// The number of arguments whose end a reader cannot find.
    texts: usize,
}

impl<'k> KeyDraft<'k> {
    /// Creates a key of `function` without arguments.
    #[inline]
    pub fn new(function: &Function<'_>, key: &'k mut String) -> Self {
        write_function(function, key);
        let begin = key.len();
        KeyDraft { key, begin, arguments: 0, texts: 0 }
    }

    /// Adds the next argument.
    #[inline]
    pub fn add<A: CacheKey + ?Sized>(&mut self, argument: &A) {
        if self.arguments > 0 {
            self.key.push(' ');
        }
        self.arguments += 1;
        write_exactly(argument, self.key);
        self.texts += usize::from(!argument.ends_itself(EXACT));
    }

    /// Completes the key of `call`, quoting arguments if another call could have the same key.
    #[inline]
    pub fn finish(self, call: &FunctionCall<'_>) {
        let written = &self.key.as_bytes()[self.begin..];
        let may_hide_a_namespace = call.function().namespace().is_none() && written.contains(&b'|');
        if may_hide_a_namespace || (self.texts > 1 && is_ambiguous(written, self.arguments)) {
            self.key.truncate(self.begin);
            write_quoted(call, self.key, self.texts > 1);
        }
    }
}

/// Writes `argument` so that it begins with a double quote only if it is quoted.
#[inline]
fn write_exactly<A: CacheKey + ?Sized>(argument: &A, key: &mut String) {
    let begin = key.len();
    argument.write(key, EXACT);
    if !argument.quotes_itself() {
        quote_quote(key, begin);
    }
}

/// Returns whether other arguments could have the text `written`, because it has more spaces than separators.
fn is_ambiguous(written: &[u8], arguments: usize) -> bool {
    written.iter().filter(|byte| **byte == b' ').count() >= arguments
}

/// Writes the arguments, and quotes those that are ambiguous.
#[cold]
fn write_quoted(call: &FunctionCall<'_>, key: &mut String, among_texts: bool) {
    for (number, argument) in call.given().enumerate() {
        if number > 0 {
            key.push(' ');
        }
        let begin = key.len();
        write_exactly(argument.value(), key);
        if among_texts && !argument.value().ends_itself(EXACT) {
            quote_separator(key, begin, ' ');
        }
        if call.function().namespace().is_none() {
            quote_separator(key, begin, '|');
        }
    }
}

/// Writes the part of the key before the arguments.
#[inline]
fn write_function(function: &Function<'_>, key: &mut String) {
    if function.is_plain() && function.owner().is_none() && function.types().is_empty() {
        function.write_plainly(key);
    } else {
        write_unusual_function(function, key);
    }
}

fn write_unusual_function(function: &Function<'_>, key: &mut String) {
    let begin = key.len();
    function.write_full_name(key);
    if function.types().is_empty() {
        if ends_with_types(&key[begin..]) || contains_bar(&key[begin..]) {
            quote(key, begin);
        }
    } else {
        if hides_types(&key[begin..]) || contains_bar(&key[begin..]) {
            quote(key, begin);
        }
        write_types(function.types(), key);
    }
    key.push('|');
    if let Some(namespace) = function.namespace() {
        let begin = key.len();
        key.push_str(namespace);
        if contains_bar(namespace) {
            quote(key, begin);
        }
        key.push('|');
    }
}

fn write_types(types: &[&str], key: &mut String) {
    for (number, name) in types.iter().enumerate() {
        key.push_str(if number == 0 { "<" } else { ", " });
        let begin = key.len();
        key.push_str(name);
        if !is_one_type(name) || contains_bar(name) {
            quote(key, begin);
        }
    }
    key.push('>');
}

/// Returns whether `text`, which a `|` follows, contains one, or looks quoted.
fn contains_bar(text: &str) -> bool {
    text.starts_with('"') || text.contains('|')
}

/// Returns whether a name without types looks like a name with types.
fn ends_with_types(name: &str) -> bool {
    name.ends_with('>') && name.find('<').is_some_and(|at| !hides_types(&name[..at]))
}

/// Returns whether types after `name` do not begin at the first `<` that has a function's name before it.
fn hides_types(name: &str) -> bool {
    name.is_empty() || name.ends_with(':') || name.contains('<')
}

/// Returns whether the brackets of `name` match and contain all of its commas.
fn is_one_type(name: &str) -> bool {
    let (mut depth, mut previous) = (0_usize, b' ');
    for byte in name.bytes() {
        let deeper = match byte {
            b'<' | b'(' | b'[' => depth.checked_add(1),
            // Not the arrow of `fn(u8) -> u8`.
            b'>' if previous == b'-' => Some(depth),
            b'>' | b')' | b']' => depth.checked_sub(1),
            b',' if depth == 0 => None,
            _ => Some(depth),
        };
        let Some(deeper) = deeper else { return false };
        (depth, previous) = (deeper, byte);
    }
    depth == 0
}
