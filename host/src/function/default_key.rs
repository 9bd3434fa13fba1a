//! [`KeyDraft`]: the default key of a call. It is Python's key, except where different calls share Python's key.

use super::function_call::{Function, FunctionCall};
use super::key_argument::{KeyArgument, KeyForm};
use super::quoting::{quote, quote_among_texts};

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
    pub fn add<A: KeyArgument + ?Sized>(&mut self, argument: &A) {
        if self.arguments > 0 {
            self.key.push(' ');
        }
        self.arguments += 1;
        argument.write(self.key, EXACT);
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

/// Returns whether other arguments could have the text `written`.
///
/// This is so if it has more spaces than separators, or a character that looks like a quote of ours.
fn is_ambiguous(written: &[u8], arguments: usize) -> bool {
    written.iter().filter(|byte| **byte == b' ').count() >= arguments || written.contains(&b'"')
}

/// Writes the arguments, and quotes those that are ambiguous.
#[cold]
fn write_quoted(call: &FunctionCall<'_>, key: &mut String, among_texts: bool) {
    for (number, argument) in call.given().enumerate() {
        if number > 0 {
            key.push(' ');
        }
        let begin = key.len();
        argument.value().write(key, EXACT);
        if among_texts && !argument.value().ends_itself(EXACT) {
            quote_among_texts(key, begin);
        }
        if call.function().namespace().is_none() && key[begin..].contains('|') {
            quote(key, begin);
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

/// Quotes the end of `key` if it contains `|`, or looks quoted. A `|` follows it.
fn quote_before_bar(key: &mut String, begin: usize) {
    let text = &key[begin..];
    if text.starts_with('"') || text.contains('|') {
        quote(key, begin);
    }
}
