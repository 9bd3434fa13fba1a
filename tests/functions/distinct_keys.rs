//! Different calls have different keys.

use std::collections::HashMap;
use std::fmt::Debug;

use dogpile::function::{Argument, CacheKey, Function, FunctionCall, KeyForm, default_key_generator};
use proptest::collection::vec;
use proptest::option::of as option;
use proptest::prelude::*;
use proptest::sample::select;

/// Pieces of keys. Texts made of them are likely to have ambiguous keys.
const PIECES: &[&str] = &[
    "a", " ", "|", "\"", "\\", "'", ",", "[", "]", "(", ")", "None", "\\x7c", "1", "ns|", "None ", ", ", "é",
];

fn text() -> impl Strategy<Value = String> {
    vec(select(PIECES), 0..5).prop_map(|pieces| pieces.concat())
}

/// Returns the default key of a call.
fn key(namespace: Option<&str>, values: &[&dyn CacheKey]) -> String {
    let function = Function::new("m:f");
    let function = namespace.map_or(function, |namespace| function.in_namespace(namespace));
    let arguments: Vec<_> = values.iter().map(|value| Argument::new("argument", *value)).collect();
    let mut key = String::new();
    default_key_generator(&FunctionCall::new(&function, &arguments), &mut key);
    key
}

/// Runs 300 cases per test, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let is_set = std::env::var_os("PROPTEST_CASES").is_some();
    if is_set { ProptestConfig::default() } else { ProptestConfig::with_cases(300) }
}

/// Fails if two different calls share a key.
fn assert_distinct<C: Debug + PartialEq + Clone>(
    calls: Vec<C>,
    key: impl Fn(&C) -> String,
) -> Result<(), TestCaseError> {
    let mut seen: HashMap<String, C> = HashMap::new();
    for call in calls {
        let key = key(&call);
        if let Some(other) = seen.insert(key.clone(), call.clone()) {
            prop_assert_eq!(other, call, "both have the key {:?}", key);
        }
    }
    Ok(())
}

fn many<S: Strategy>(call: S) -> impl Strategy<Value = Vec<S::Value>> {
    vec(call, 2..40)
}

/// Returns all texts of up to three characters, out of those that matter for quoting.
fn short_texts() -> Vec<String> {
    let longer = |texts: &[String]| -> Vec<String> {
        texts.iter().flat_map(|text| ["a", " ", "|", "\"", "\\"].map(|end| format!("{text}{end}"))).collect()
    };
    let mut all = vec![vec![String::new()]];
    (0..3).for_each(|length| all.push(longer(&all[length])));
    all.concat()
}

#[test]
fn pairs_of_short_texts_in_namespaces_have_distinct_keys() {
    let (texts, mut seen) = (short_texts(), HashMap::new());
    for namespace in [None, Some("a"), Some("a|"), Some("\"a"), Some("a a"), Some("\"a\\"), Some("|")] {
        for (a, b) in texts.iter().flat_map(|a| texts.iter().map(move |b| (a, b))) {
            let other = seen.insert(key(namespace, &[a, b]), (namespace, a, b));
            assert_eq!(other, None, "shares its key with {:?}", (namespace, a, b));
        }
    }
}

#[test]
fn triples_of_short_texts_have_distinct_keys() {
    let (texts, mut seen) = (short_texts(), HashMap::new());
    let few = || texts.iter().take(1 + 5 + 25);
    for (a, b, c) in few().flat_map(|a| few().flat_map(move |b| few().map(move |c| (a, b, c)))) {
        let other = seen.insert(key(None, &[a, b, c]), (a, b, c));
        assert_eq!(other, None, "shares its key with {:?}", (a, b, c));
    }
}

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

/// An argument, and all values that a part of a key could stand for: too many rather than too few.
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

impl<T: Read> Read for Option<T> {
    fn readings(part: &str) -> Vec<Self> {
        let readings = String::readings(part).into_iter().flat_map(|part| T::readings(&part)).map(Some);
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
        let quoted = unquoted(part).into_iter().flat_map(|part| T::nested_readings(&part));
        std::iter::once(None).chain(T::nested_readings(part).into_iter().chain(quoted).map(Some)).collect()
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

/// Returns all lists with one of the choices for each item.
fn products<T: Clone>(choices: &[Vec<T>]) -> Vec<Vec<T>> {
    choices.iter().fold(vec![Vec::new()], |lists, choices| {
        lists
            .iter()
            .flat_map(|list| choices.iter().map(|item| [&list[..], std::slice::from_ref(item)].concat()))
            .collect()
    })
}

fn pairs<A: Clone, B: Clone>(a: &[A], b: &[B]) -> Vec<(A, B)> {
    a.iter().flat_map(|a| b.iter().map(|b| (a.clone(), b.clone()))).collect()
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

/// Returns all texts of up to `count` pieces.
fn texts_of_pieces(count: usize) -> Vec<String> {
    let products = (0..=count).flat_map(|count| products(&vec![PIECES.to_vec(); count]));
    products.map(|pieces| pieces.concat()).collect()
}

/// Checks calls of all short texts, alone and in pairs, in each kind of argument.
#[test]
fn keys_of_all_short_texts_can_be_read_in_one_way() {
    let (short, texts) = (texts_of_pieces(1), texts_of_pieces(2));
    for namespace in [None, Some("ns"), Some("n|s"), Some("\"n"), Some("")] {
        for a in texts_of_pieces(2) {
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

/// An own type, whose text is written as it is.
#[derive(Clone, Debug, PartialEq)]
struct Raw(String);

impl CacheKey for Raw {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str(&self.0);
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
    let (short, texts) = (texts_of_pieces(1), texts_of_pieces(2));
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

/// These calls shared keys once.
#[test]
fn quoted_texts_and_none_among_texts_have_distinct_keys() {
    assert_eq!(key(None, &[&"a|b"]), r#"m:f|"a\x7cb""#);
    assert_eq!(key(None, &[&r#""a\x7cb""#]), r#"m:f|"\"a\\x7cb\"""#);
    assert_eq!(key(None, &[&Some("None a"), &None::<&str>]), r#"m:f|"None a" None"#);
    assert_eq!(key(None, &[&None::<&str>, &Some("a None")]), r#"m:f|None "a None""#);
    assert_eq!(key(None, &[&None::<i32>, &"a b"]), "m:f|None a b", "Python's key, which no other call has");
}

/// Names, types, and namespaces that look like each other have different keys.
#[test]
fn functions_have_distinct_keys() {
    let texts = |pieces: &[&'static str], count: usize| -> Vec<String> {
        let products = (0..=count).flat_map(|count| products(&vec![pieces.to_vec(); count]));
        products.map(|pieces| pieces.concat()).collect()
    };
    let types = texts(&["a", ", ", "<", ">", "(", ")", "->", "\"", "|"], 2);
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let few = || types.iter().copied().take(10);
    let mut lists = vec![Vec::new()];
    lists.extend(types.iter().map(|name| vec![*name]));
    lists.extend(few().flat_map(|a| few().map(move |b| vec![a, b])));
    let mut seen = HashMap::new();
    for name in texts(&["a", "<", ">", ":", "\"", "|", ", "], 3) {
        for (types, namespace) in pairs(&lists, &[None, Some(""), Some("a|"), Some("\"a\""), Some("a>")]) {
            let function = Function::new(&name).with_types(&types);
            let function = namespace.map_or(function, |namespace| function.in_namespace(namespace));
            let mut key = String::new();
            default_key_generator(&FunctionCall::new(&function, &[]), &mut key);
            let this = (name.clone(), types, namespace);
            let other = seen.insert(key.clone(), this.clone());
            assert_eq!(other, None, "shares the key {key} with {this:?}");
        }
    }
    let key = |name| {
        let mut key = String::new();
        default_key_generator(&FunctionCall::new(&Function::new(name), &[]), &mut key);
        key
    };
    assert_eq!(key("m:<lambda>"), "m:<lambda>|", "Python's key");
}

proptest! {
    #![proptest_config(config())]

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

    #[test]
    fn texts_in_namespaces_have_distinct_keys(calls in many((option(text()), text(), text()))) {
        assert_distinct(calls, |(namespace, a, b)| key(namespace.as_deref(), &[a, b]))?;
    }

    /// Splits one text at each space and at each bar. Python gives the resulting calls the same key.
    #[test]
    fn splits_of_one_text_have_distinct_keys(text in text(), more in text(), last in text()) {
        let whole = [text, more, last].join(" ");
        let apart = |at: char| whole.match_indices(at).map(|(at, _)| (&whole[..at], &whole[at + 1..]));
        assert_distinct(apart(' ').collect(), |(a, b)| key(None, &[a, b]))?;
        assert_distinct(apart(' ').collect(), |(a, b)| key(None, &[a, &1, b]))?;
        let mut namespaced: Vec<_> = apart('|').map(|(a, b)| (Some(a), b)).collect();
        namespaced.push((None, whole.as_str()));
        assert_distinct(namespaced, |(namespace, a)| key(*namespace, &[a]))?;
    }

    #[test]
    fn single_texts_have_distinct_keys(calls in many((option(text()), text()))) {
        assert_distinct(calls, |(namespace, a)| key(namespace.as_deref(), &[a]))?;
    }

    #[test]
    fn texts_around_a_number_have_distinct_keys(calls in many((text(), 0..3_i32, text()))) {
        assert_distinct(calls, |(a, b, c)| key(None, &[a, b, c]))?;
    }

    #[test]
    fn optional_texts_have_distinct_keys(calls in many((option(text()), option(text())))) {
        assert_distinct(calls, |(a, b)| key(None, &[a, b]))?;
    }

    #[test]
    fn nested_optional_texts_have_distinct_keys(
        calls in many((option(option(text())), text()))
    ) {
        assert_distinct(calls, |(a, b)| key(None, &[a, b]))?;
    }

    #[test]
    fn lists_and_texts_have_distinct_keys(calls in many((
        vec(text(), 0..3),
        text(),
        vec(option(option(text())), 0..3),
    ))) {
        assert_distinct(calls, |(a, b, c)| key(None, &[a, b, c]))?;
    }

    #[test]
    fn tuples_have_distinct_keys(calls in many(((text(), option(0..2_u8)), (text(), any::<bool>())))) {
        assert_distinct(calls, |(a, b)| key(Some("ns"), &[a, b]))?;
    }

    #[test]
    fn numbers_have_distinct_keys(calls in many((any::<f64>().prop_filter("NaN differs from itself", |n| !n.is_nan()), 0..9_i8))) {
        assert_distinct(calls, |(a, b)| key(None, &[a, b]))?;
    }
}
