//! [`KeyDraft`]: the default key of a call. It is Python's key, except where different calls share Python's key.
//!
//! # Format
//! A key is `function|arguments` or `function|namespace|arguments`. Five rules make keys that only equal calls of one
//! function share:
//!
//! 1. Arguments are written like Python's `str` and are separated by one space.
//! 2. A part is *quoted* if it begins with a double quote, or contains a `|` that could be read as a separator: it is
//!    put in double quotes, with `\"`, `\\`, and `\x7c` for a double quote, a backslash, and a `|`.
//! 3. If two or more arguments are *open*, such as strings, those of them that contain a space are quoted, too. Numbers,
//!    lists, tuples, and derived types are closed.
//! 4. An option whose value has the text `None`, or a text that begins with `Some(`, is written as `Some(text)`.
//! 5. In brackets, strings are written like Python's `repr`, and open texts are quoted unless they are free of spaces,
//!    commas, colons, quotes, and brackets.
//!
//! The only argument of a call is also quoted if its text is empty, so that `f("")` and `f()` differ. The function is
//! written as its name, followed by the parts that it has: `@line:column` for its place, `<types>`, and `@v` with its
//! version. A name or type that contains a double quote, a `|`, or an `@`, or that hides where the types begin, is quoted.
//!
//! # Why different calls have different keys
//! A reader who knows the types of a function's parameters can decode its keys:
//!
//! * A quoted part begins with a double quote, ends at the next one without a backslash before it, and contains no `|`.
//!   No other part begins with a double quote.
//! * The first `|` ends the function, because names, types, and versions that contain one are quoted. Its place and version
//!   begin at an `@`, which plain names and types do not contain, followed by a digit or a `v`. If what remains ends with
//!   `>`, types begin at its first `<` that has a name before it. In Python's `m:<lambda>`, only a `:` is before it.
//! * A second `|` ends the namespace. Without a namespace, there is none, because arguments that contain one are quoted.
//! * The text of a closed argument has spaces only in brackets and quotes, and these match. It ends at the first space
//!   outside of them. If two or more arguments are open, each open one is quoted or ends at the first space.
//! * The only open argument may contain spaces. It is what remains when the closed ones are taken from both ends. From the
//!   end, this is possible because no closed or quoted text is what follows a space in another one. In brackets, its own
//!   brackets would not match. In quotes, each of its strings would begin where one of the other text ends, and the
//!   reverse, so that one of both texts ends in the middle of a string.
//! * Each text stands for one value of its type. See the implementations of [`CacheKey`]. Implementations outside of this
//!   crate are open, so their texts are arbitrary. It is up to them that different values have different texts.
//!
//! Keys contain no random or changing parts. All processes that run the same program make the same keys.

use super::cache_key::{CacheKey, KeyForm, KeyShape};
use super::function_call::{Argument, Function, FunctionCall};
use super::function_name::write_function;
use super::quoting::{has_bar_or_quote, quote};

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
    /// The number of open arguments.
    open: usize,
    /// Whether all arguments are words.
    has_words_only: bool,
    /// Whether a text begins with a double quote.
    looks_quoted: bool,
}

impl<'k> KeyDraft<'k> {
    /// Creates a key of `function` without arguments.
    #[inline]
    pub fn new(function: &Function<'_>, key: &'k mut String) -> Self {
        write_function(function, key);
        let begin = key.len();
        KeyDraft { key, begin, arguments: 0, open: 0, has_words_only: true, looks_quoted: false }
    }

    /// Adds the next argument.
    #[inline]
    pub fn add<A: CacheKey + ?Sized>(&mut self, argument: &A) {
        if self.arguments > 0 {
            self.key.push(' ');
        }
        self.arguments += 1;
        let begin = self.key.len();
        argument.write(self.key, EXACT);
        let shape = argument.shape(EXACT);
        // A word is never quoted.
        if shape != KeyShape::Word {
            self.has_words_only = false;
            self.open += usize::from(shape == KeyShape::Open);
            self.looks_quoted |= self.key.as_bytes().get(begin) == Some(&b'"');
        }
    }

    /// Completes the key of `call`, quoting arguments if another call could have the same key.
    // The counts are constants where this is inlined, so that little of it remains.
    #[inline(always)]
    pub fn finish(self, call: &FunctionCall<'_>) {
        let KeyDraft { key, begin, arguments, open, has_words_only, looks_quoted } = self;
        if has_words_only {
            return;
        }
        let written = &key.as_bytes()[begin..];
        let has_namespace = call.function().namespace().is_some();
        let is_misread = looks_quoted || (!has_namespace && written.contains(&b'|'));
        if is_misread || written.is_empty() || (open > 1 && has_more_spaces(written, arguments)) {
            key.truncate(begin);
            write_quoted(call, key, (arguments, open));
        }
    }
}

/// Returns whether there are more spaces than separators of `arguments`. They are searched for only where they matter.
#[inline(never)]
fn has_more_spaces(written: &[u8], arguments: usize) -> bool {
    written.iter().filter(|byte| **byte == b' ').count() >= arguments
}

/// Writes the arguments, and quotes those that could be read as others. `counts` are the numbers of all and of the open
/// ones.
#[cold]
fn write_quoted(call: &FunctionCall<'_>, key: &mut String, counts: (usize, usize)) {
    let has_namespace = call.function().namespace().is_some();
    for (number, argument) in call.given().enumerate() {
        if number > 0 {
            key.push(' ');
        }
        let begin = key.len();
        argument.value().write(key, EXACT);
        if is_ambiguous(&key[begin..], argument, has_namespace, counts) {
            quote(key, begin);
        }
    }
}

fn is_ambiguous(text: &str, argument: &Argument<'_>, has_namespace: bool, counts: (usize, usize)) -> bool {
    let (arguments, open) = counts;
    let hides_its_end = open > 1 && text.contains(' ') && argument.value().shape(EXACT) == KeyShape::Open;
    let is_only_and_empty = arguments == 1 && text.is_empty();
    let is_misread = if has_namespace { text.starts_with('"') } else { has_bar_or_quote(text) };
    is_misread || hides_its_end || is_only_and_empty
}
