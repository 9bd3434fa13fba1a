//! The calls that pickles of plain data make. All others would create Python objects, and are refused.

use super::arena::{Arena, Callable, Kind, Text, Value};

/// Returns the class or function `name` of `module`, if pickles of plain data call it.
pub(super) fn find(module: &str, name: &str) -> Option<Callable> {
    match (module, name) {
        ("builtins" | "__builtin__", "set") => Some(Callable::Set),
        ("builtins" | "__builtin__", "frozenset") => Some(Callable::FrozenSet),
        ("builtins" | "__builtin__", "bytes") => Some(Callable::Bytes),
        ("builtins" | "__builtin__", "bytearray") => Some(Callable::ByteArray),
        ("_codecs", "encode") => Some(Callable::Encode),
        ("collections", "OrderedDict") => Some(Callable::OrderedDict),
        _ => None,
    }
}

/// Returns what `callable` returns for `arguments`, or `None` if no pickler writes such a call.
///
/// It takes constant time. Otherwise a short pickle could call a function of a long value many times.
pub(super) fn call<'a>(
    arena: &mut Arena<'a>,
    callable: Callable,
    arguments: &[Value<'a>],
) -> Option<Value<'a>> {
    match (callable, arguments) {
        (Callable::OrderedDict, []) => Some(arena.add(Kind::Dict, std::iter::empty())),
        (Callable::Set | Callable::FrozenSet, []) => Some(arena.add(Kind::Fixed, std::iter::empty())),
        // Sets and lists are read alike, so the list can stand for the set.
        (Callable::Set | Callable::FrozenSet, [Value::Container(items)]) => {
            (arena.container(*items).kind == Kind::List).then_some(Value::Container(*items))
        }
        (Callable::Bytes | Callable::ByteArray, []) => Some(Value::Bytes(b"")),
        (Callable::ByteArray, [bytes @ (Value::Bytes(_) | Value::Latin1(_))]) => Some(*bytes),
        (Callable::ByteArray | Callable::Encode, [Value::Str(text), Value::Str(encoding)]) => {
            is_latin1(arena, *encoding).then_some(Value::Latin1(*text))
        }
        _ => None,
    }
}

fn is_latin1(arena: &Arena<'_>, encoding: Text<'_>) -> bool {
    matches!(arena.text(encoding), "latin1" | "latin-1")
}
