//! Each key can be read as one call only. All other calls that a key could stand for have other keys.

use std::fmt::Debug;

use dogpile::function::CacheKey;
use proptest::collection::vec;
use proptest::option::of as option;
use proptest::prelude::*;
use proptest::sample::select;

use super::key_pieces::{CORE, Raw, config, key, pairs, products, text, texts_of};

/// Returns the text of a quoted part.
fn unquoted(part: &str) -> Option<String> {
    let mut rest = part.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    while let Some(character) = rest.chars().next() {
        let escapes = [("\\x7c", '|'), ("\\\"", '"'), ("\\\\", '\\'), ("\\'", '\'')];
        let escape = escapes.into_iter().find(|(escape, _)| rest.starts_with(escape));
        let (read, character) =
            escape.map_or((character.len_utf8(), character), |(from, to)| (from.len(), to));
        text.push(character);
        rest = &rest[read..];
    }
    Some(text)
}

/// An argument, and all values that a part of a key could stand for. There may be too many, but not too few.
trait Read: CacheKey + Debug + PartialEq + Clone {
    fn readings(part: &str) -> Vec<Self>;
}

impl Read for String {
    fn readings(part: &str) -> Vec<Self> {
        std::iter::successors(Some(part.to_owned()), |part| unquoted(part)).collect()
    }
}

impl Read for char {
    fn readings(part: &str) -> Vec<Self> {
        String::readings(part).iter().filter_map(|text| text.parse().ok()).collect()
    }
}

impl Read for u8 {
    fn readings(part: &str) -> Vec<Self> {
        String::readings(part).iter().filter_map(|text| text.parse().ok()).collect()
    }
}

/// Returns the texts of the value in `Some` that `part` could stand for.
fn some_readings(part: &str) -> Vec<String> {
    let within = |part: &String| part.strip_prefix("Some(")?.strip_suffix(')').map(str::to_owned);
    let parts = String::readings(part);
    parts.iter().filter_map(within).chain(parts.clone()).collect()
}

impl<T: Read> Read for Option<T> {
    fn readings(part: &str) -> Vec<Self> {
        let readings = some_readings(part).into_iter().flat_map(|part| T::readings(&part)).map(Some);
        std::iter::once(None).chain(readings).collect()
    }
}

/// An item of a list or tuple, and all values that its text could stand for.
trait ReadNested: Read {
    fn nested_readings(part: &str) -> Vec<Self>;
}

impl ReadNested for String {
    fn nested_readings(part: &str) -> Vec<Self> {
        let single = part.strip_prefix('\'').and_then(|part| part.strip_suffix('\''));
        unquoted(&single.map_or_else(|| part.to_owned(), |part| format!("\"{part}\""))).into_iter().collect()
    }
}

impl<T: ReadNested> ReadNested for Option<T> {
    fn nested_readings(part: &str) -> Vec<Self> {
        let readings = some_readings(part).into_iter().flat_map(|part| T::nested_readings(&part)).map(Some);
        std::iter::once(None).chain(readings).collect()
    }
}

impl ReadNested for u8 {
    fn nested_readings(part: &str) -> Vec<Self> {
        u8::readings(part)
    }
}

impl<T: ReadNested> Read for Vec<T> {
    fn readings(part: &str) -> Vec<Self> {
        let lists = String::readings(part).into_iter().flat_map(|part| {
            let Some(items) = part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) else {
                return Vec::new();
            };
            let mut lists = if items.is_empty() { vec![Vec::new()] } else { Vec::new() };
            for count in 1..=3 {
                for parts in divisions(items, ", ", count) {
                    lists.extend(products(&parts.into_iter().map(T::nested_readings).collect::<Vec<_>>()));
                }
            }
            lists
        });
        lists.collect()
    }
}

impl<A: ReadNested, B: ReadNested> Read for (A, B) {
    fn readings(part: &str) -> Vec<Self> {
        let pairs = String::readings(part).into_iter().flat_map(|part| {
            let Some(items) = part.strip_prefix('(').and_then(|part| part.strip_suffix(')')) else {
                return Vec::new();
            };
            let divided = divisions(items, ", ", 2);
            let pair =
                |parts: &Vec<&str>| pairs(&A::nested_readings(parts[0]), &B::nested_readings(parts[1]));
            divided.iter().flat_map(pair).collect()
        });
        pairs.collect()
    }
}

/// Returns all ways to divide `text` into `count` parts at `separator`.
fn divisions<'t>(text: &'t str, separator: &str, count: usize) -> Vec<Vec<&'t str>> {
    if count == 1 {
        return vec![vec![text]];
    }
    let from_the_first = |(at, _)| {
        let rest = divisions(&text[at + separator.len()..], separator, count - 1);
        rest.into_iter().map(move |rest| [vec![&text[..at]], rest].concat()).collect::<Vec<_>>()
    };
    text.match_indices(separator).flat_map(from_the_first).collect()
}

/// The arguments of a call.
trait Call: Debug + PartialEq + Sized {
    fn key(&self, namespace: Option<&str>) -> String;

    /// Returns all calls that `arguments` could stand for in a key.
    fn readings(arguments: &str) -> Vec<Self>;
}

impl<A: Read> Call for (A,) {
    fn key(&self, namespace: Option<&str>) -> String {
        key(namespace, &[&self.0])
    }

    fn readings(arguments: &str) -> Vec<Self> {
        A::readings(arguments).into_iter().map(|a| (a,)).collect()
    }
}

/// The two arguments of a call.
#[derive(Clone, Debug, PartialEq)]
struct Two<A, B>(A, B);

impl<A: Read, B: Read> Call for Two<A, B> {
    fn key(&self, namespace: Option<&str>) -> String {
        key(namespace, &[&self.0, &self.1])
    }

    fn readings(arguments: &str) -> Vec<Self> {
        let two = |parts: Vec<&str>| pairs(&A::readings(parts[0]), &B::readings(parts[1]));
        divisions(arguments, " ", 2).into_iter().flat_map(two).map(|(a, b)| Two(a, b)).collect()
    }
}

impl<A: Read, B: Read, C: Read> Call for (A, B, C) {
    fn key(&self, namespace: Option<&str>) -> String {
        key(namespace, &[&self.0, &self.1, &self.2])
    }

    fn readings(arguments: &str) -> Vec<Self> {
        let three = |parts: Vec<&str>| {
            let two = pairs(&A::readings(parts[0]), &B::readings(parts[1]));
            pairs(&two, &C::readings(parts[2]))
        };
        divisions(arguments, " ", 3).into_iter().flat_map(three).map(|((a, b), c)| (a, b, c)).collect()
    }
}

/// Fails if any call that the key could stand for, with or without namespace, has this key too.
fn assert_only_reading<C: Call>(namespace: Option<&str>, call: &C) {
    let key = call.key(namespace);
    let rest = key.strip_prefix("m:f|").unwrap();
    let (mut found, mut namespaces) = (false, vec![(None, rest)]);
    for (bar, _) in rest.match_indices('|') {
        let readings = String::readings(&rest[..bar]).into_iter();
        namespaces.extend(readings.map(|namespace| (Some(namespace), &rest[bar + 1..])));
    }
    for (other, arguments) in namespaces {
        for reading in C::readings(arguments) {
            if other.as_deref() == namespace && reading == *call {
                found = true;
            } else {
                assert_ne!(
                    reading.key(other.as_deref()),
                    key,
                    "{reading:?} in {other:?}, {call:?} in {namespace:?}"
                );
            }
        }
    }
    assert!(found, "{key:?} cannot be read as {call:?} in {namespace:?}");
}

/// Checks calls of all short texts, alone and in pairs, in each kind of argument.
#[test]
fn keys_of_all_short_texts_can_be_read_in_one_way() {
    let (short, texts) = (texts_of(CORE, 1), texts_of(CORE, 2));
    for namespace in [None, Some("ns"), Some("n|s"), Some("\"n"), Some("")] {
        for a in texts_of(CORE, 2) {
            assert_only_reading(namespace, &(Some(a.clone()),));
            assert_only_reading(namespace, &(Some(Some(a.clone())),));
            assert_only_reading(namespace, &(vec![Some(a.clone()), None],));
            assert_only_reading(namespace, &((a.clone(), Some(1_u8)),));
            assert_only_reading(namespace, &(a,));
        }
    }
    for (a, b) in pairs(&short, &texts).into_iter().chain(pairs(&texts, &short)) {
        assert_only_reading(None, &Two(a.clone(), b.clone()));
        assert_only_reading(None, &Two(Some(a.clone()), b.clone()));
        assert_only_reading(Some("ns"), &Two(Some(a.clone()), Some(b.clone())));
        assert_only_reading(None, &Two(a.clone(), None::<Option<String>>));
        assert_only_reading(None, &Two(None::<String>, Some(b.clone())));
        assert_only_reading(None, &Two(Some(b.clone()), None::<String>));
        assert_only_reading(None, &Two(Some(None::<u8>), Some(b.clone())));
        assert_only_reading(None, &Two(a.clone(), vec![b.clone()]));
        assert_only_reading(None, &Two(vec![Some(a), None], b));
    }
    for (a, (b, c)) in pairs(&short, &pairs(&short, &short)) {
        assert_only_reading(None, &(Some(a.clone()), None::<u8>, c.clone()));
        assert_only_reading(None, &(a.clone(), None::<String>, c.clone()));
        assert_only_reading(Some("ns"), &(vec![a.clone(), b.clone()], Some(b.clone()), c.clone()));
        assert_only_reading(None, &(a, b, c));
    }
}

impl Read for Raw {
    fn readings(part: &str) -> Vec<Self> {
        String::readings(part).into_iter().map(Raw).collect()
    }
}

impl ReadNested for Raw {
    fn nested_readings(part: &str) -> Vec<Self> {
        Raw::readings(part)
    }
}

#[test]
fn keys_of_own_types_can_be_read_in_one_way() {
    let (short, texts) = (texts_of(CORE, 1), texts_of(CORE, 2));
    for a in texts.iter().cloned().map(Raw) {
        assert_only_reading(None, &(Some(a.clone()),));
        assert_only_reading(None, &(Some(Some(a.clone())),));
        assert_only_reading(None, &(vec![a.clone()],));
        assert_only_reading(None, &(vec![Some(a.clone())],));
        assert_only_reading(Some("ns"), &(a,));
    }
    assert_only_reading(None, &(Vec::<Raw>::new(),));
    for (a, b) in pairs(&short, &texts) {
        assert_only_reading(None, &Two(Raw(a.clone()), b.clone()));
        assert_only_reading(None, &(vec![Some(Raw(a)), None], Raw(b.clone()), Some(Raw(b))));
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn keys_can_be_read_in_one_way(
        (namespace, a, b, c) in (option(text()), text(), text(), text()),
        (maybe, deeper, number) in (option(text()), option(option(text())), option(0..20_u8)),
        (texts, options) in (vec(text(), 0..3), vec(option(text()), 0..3)),
        character in select(vec!['a', ' ', '|', '"', '\\', '\'', '1']),
    ) {
        let namespace = namespace.as_deref();
        assert_only_reading(namespace, &(a.clone(),));
        assert_only_reading(namespace, &(deeper.clone(),));
        assert_only_reading(namespace, &(texts.clone(),));
        assert_only_reading(namespace, &(options.clone(),));
        assert_only_reading(namespace, &Two(a.clone(), b.clone()));
        assert_only_reading(namespace, &Two(maybe.clone(), Some(b.clone())));
        assert_only_reading(namespace, &Two(deeper.clone(), maybe.clone()));
        assert_only_reading(namespace, &Two(character, Some(a.clone())));
        assert_only_reading(namespace, &Two(texts.clone(), b.clone()));
        assert_only_reading(namespace, &Two(b.clone(), options.clone()));
        assert_only_reading(namespace, &(a.clone(), b.clone(), c.clone()));
        assert_only_reading(namespace, &(a.clone(), number, c.clone()));
        assert_only_reading(namespace, &(maybe.clone(), number, 7_u8));
        assert_only_reading(namespace, &(number, deeper, Some(number)));
        assert_only_reading(namespace, &(texts, maybe, (b.clone(), number)));
        assert_only_reading(namespace, &((Some(a), b), c, options));
    }
}
