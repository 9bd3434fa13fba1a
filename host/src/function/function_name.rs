//! [`write_function`]: the part of a default key before the arguments.

use super::function_call::{Function, VERSION};
use super::quoting::{has_bar_or_quote, quote};

/// The characters that mark the parts of a function. A name or type that contains one is quoted.
const MARKS: [char; 3] = ['"', '|', '@'];

/// Writes `name@line:column<types>@vVersion|` and the namespace, as far as the function has them.
#[inline]
pub(super) fn write_function(function: &Function<'_>, key: &mut String) {
    if function.is_plain() && function.owner().is_none() && function.types().is_empty() {
        function.write_plainly(key);
    } else {
        write_unusual_function(function, key);
    }
}

fn write_unusual_function(function: &Function<'_>, key: &mut String) {
    write_name(function, key);
    function.write_place(key);
    if !function.types().is_empty() {
        write_types(function.types(), key);
    }
    if let Some(version) = function.version() {
        key.push_str(VERSION);
        write_part(version, key);
    }
    key.push('|');
    if let Some(namespace) = function.namespace() {
        write_part(namespace, key);
        key.push('|');
    }
}

/// Writes a part that a `|` follows.
fn write_part(part: &str, key: &mut String) {
    let begin = key.len();
    key.push_str(part);
    if has_bar_or_quote(part) {
        quote(key, begin);
    }
}

fn write_name(function: &Function<'_>, key: &mut String) {
    let begin = key.len();
    function.write_full_name(key);
    let name = &key[begin..];
    let hides_types = if function.types().is_empty() { ends_with_types(name) } else { hides_types(name) };
    if hides_types || name.contains(MARKS) {
        quote(key, begin);
    }
}

fn write_types(types: &[&str], key: &mut String) {
    for (number, name) in types.iter().enumerate() {
        key.push_str(if number == 0 { "<" } else { ", " });
        let begin = key.len();
        key.push_str(name);
        if !is_one_type(name) || name.contains(MARKS) {
            quote(key, begin);
        }
    }
    key.push('>');
}

/// Returns whether a name without types looks like a name with types. Python's `m:<lambda>` does not.
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
