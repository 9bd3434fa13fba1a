//! Different calls have different keys.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;

use dogpile::CacheKey;
use dogpile::function::Function;
use dogpile::function::KeyText;
use dogpile::function::expansion::{Place, of_function_body};
use proptest::collection::vec;
use proptest::option::of as option;
use proptest::prelude::*;
use proptest::sample::select;

use super::key_pieces::{
    CORE, PIECES, Raw, assert_distinct, config, key, key_of, options, pairs, text, texts_of,
};

/// Types that derive the trait, with texts in their fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, CacheKey)]
enum Derived {
    None,
    A(String),
    B { text: Raw, rest: Option<String> },
    C(Raw, String, #[cache_key(skip)] ()),
}

/// A type that is written like its field.
#[derive(Clone, Debug, PartialEq, CacheKey)]
struct Newtype<T>(T);

/// Calls with two arguments.
fn assert_distinct_pairs<A: CacheKey + Debug + PartialEq + Clone, B: CacheKey + Debug + PartialEq + Clone>(
    namespace: Option<&str>,
    a: &[A],
    b: &[B],
) {
    assert_distinct(pairs(a, b), |(a, b)| key(namespace, &[a, b]));
    assert_distinct(pairs(a, b), |(a, b)| key(namespace, &[a, &1, b]));
    assert_distinct(pairs(b, a), |(b, a)| key(namespace, &[b, a]));
    assert_distinct(a.to_vec(), |a| key(namespace, &[a]));
    assert_distinct(a.to_vec(), |a| key(namespace, &[&true, a, &-1]));
}

fn raw(texts: &[String]) -> Vec<Raw> {
    texts.iter().cloned().map(Raw).collect()
}

fn derived(texts: &[String]) -> Vec<Derived> {
    let two = pairs(texts, texts);
    let b = two.iter().cloned().map(|(a, b)| Derived::B { text: Raw(a), rest: Some(b) });
    let rest = texts.iter().cloned().map(|text| Derived::B { text: Raw(text), rest: None });
    let c = two.iter().cloned().map(|(a, b)| Derived::C(Raw(a), b, ()));
    let a = texts.iter().cloned().map(Derived::A);
    std::iter::once(Derived::None).chain(a).chain(b).chain(rest).chain(c).collect()
}

/// Returns all lists of up to two items.
fn lists<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let two = pairs(items, items).into_iter().map(|(a, b)| vec![a, b]);
    std::iter::once(Vec::new()).chain(items.iter().map(|item| vec![item.clone()])).chain(two).collect()
}

/// Checks all calls with values that are made of `texts`, for each kind of argument.
fn assert_distinct_calls(namespace: Option<&str>, texts: &[String]) {
    let (texts, own) = (texts.to_vec(), raw(texts));
    let converted: Vec<KeyText> = texts.iter().map(KeyText::new).collect();
    assert_distinct_pairs(namespace, &texts, &texts);
    assert_distinct_pairs(namespace, &converted, &own);
    assert_distinct_pairs(namespace, &options(&texts), &options(&own));
    assert_distinct_pairs(namespace, &options(&options(&own)), &texts);
    let newtypes: Vec<_> = options(&texts).into_iter().map(Newtype).collect();
    assert_distinct_pairs(namespace, &newtypes, &options(&[1_u8, 2]));
    assert_distinct_pairs(namespace, &options(&texts), &options(&options(&[1_u8])));
}

/// Checks all calls with values that contain `texts`.
fn assert_distinct_containers(namespace: Option<&str>, texts: &[String]) {
    let own = raw(texts);
    let few = |value: &str| [String::new(), value.to_owned(), "a b".to_owned()];
    assert_distinct_pairs(namespace, &lists(texts), &few("b"));
    assert_distinct_pairs(namespace, &lists(&own), &few("]"));
    assert_distinct_pairs(namespace, &options(&lists(&options(&own))), &few("None"));
    assert_distinct_pairs(namespace, &lists(&options(&options(texts))), &few("|"));
    assert_distinct_pairs(namespace, &pairs(&own, &options(texts)), &few("\""));
    assert_distinct_pairs(namespace, &derived(texts), &few(")"));
    assert_distinct_pairs(
        namespace,
        &lists(&own).into_iter().map(VecDeque::from).collect::<Vec<_>>(),
        &few("'"),
    );
    let sets: BTreeSet<BTreeSet<Raw>> = lists(&own).into_iter().map(BTreeSet::from_iter).collect();
    assert_distinct_pairs(namespace, &Vec::from_iter(sets), &few("}"));
    let maps: BTreeSet<BTreeMap<Raw, String>> = pairs(&own, texts)
        .into_iter()
        .map(|pair| BTreeMap::from([pair, (Raw("a".into()), "b".into())]))
        .collect();
    assert_distinct_pairs(namespace, &Vec::from_iter(maps), &few(": "));
}

#[test]
fn calls_of_all_short_texts_have_distinct_keys() {
    let texts = texts_of(CORE, 2);
    assert_distinct_calls(None, &texts);
    assert_distinct_calls(Some("ns"), &texts_of(CORE, 1));
    assert_distinct_calls(None, &texts_of(PIECES, 1));
}

#[test]
fn calls_of_longer_texts_of_few_pieces_have_distinct_keys() {
    for pieces in
        [["a", " ", "|", "\"", "\\"], [" ", "None", "\"", "Some(", ")"], [" ", "\\x7c", "|", "\"", "ns|"]]
    {
        let texts = texts_of(&pieces, 3);
        assert_distinct(pairs(&texts, &texts), |(a, b)| key(None, &[a, b]));
        assert_distinct(pairs(&options(&texts), &options(&texts)), |(a, b)| key(None, &[a, b]));
    }
}

#[test]
fn calls_of_containers_of_short_texts_have_distinct_keys() {
    assert_distinct_containers(None, &texts_of(CORE, 1));
    assert_distinct_containers(Some("ns"), &texts_of(&["a", ", ", "\"", "'"], 2));
    assert_distinct_containers(None, &texts_of(&["'", " ", "\\", "|"], 2));
}

#[test]
fn pairs_in_all_namespaces_have_distinct_keys() {
    let texts = texts_of(&["a", " ", "|", "\"", "\\"], 2);
    let namespaces = options(&texts_of(&["a", "|", "\"", " ", "\\"], 2));
    let calls = pairs(&namespaces, &pairs(&texts, &texts));
    assert_distinct(calls, |(namespace, (a, b))| key(namespace.as_deref(), &[a, b]));
    let calls = pairs(&namespaces, &texts);
    assert_distinct(calls, |(namespace, a)| key(namespace.as_deref(), &[a]));
}

#[test]
fn triples_of_short_texts_have_distinct_keys() {
    let few = texts_of(&["a", " ", "|", "\"", "\\"], 2);
    assert_distinct(pairs(&few, &pairs(&few, &few)), |(a, (b, c))| key(None, &[a, b, c]));
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

#[test]
fn call_without_arguments_and_empty_text_have_distinct_keys() {
    for namespace in [None, Some("ns"), Some("")] {
        let keys = [key(namespace, &[]), key(namespace, &[&""]), key(namespace, &[&"\"\""])];
        assert_distinct([0, 1, 2], |number: &usize| keys[*number].clone());
    }
    assert_eq!(key(None, &[&""]), "m:f|\"\"");
    assert_eq!(key(None, &[&Raw(String::new())]), "m:f|\"\"");
    assert_eq!(key(None, &[&"", &"a"]), "m:f| a", "Python's key, which no other call of two strings has");
}

#[test]
fn special_floats_have_distinct_keys() {
    let floats =
        [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX, 1e16, 1e15, 0.1, -1.0];
    assert_distinct(floats.map(f64::to_bits), |bits| key(None, &[&f64::from_bits(*bits)]));
    let singles = [0.0, -0.0, f32::INFINITY, f32::MIN_POSITIVE, 0.1, 16_777_216.0, 16_777_217.0, 1.0e-45];
    let distinct: BTreeSet<u32> = singles.map(f32::to_bits).into();
    assert_distinct(distinct, |bits| key(None, &[&f32::from_bits(*bits)]));
    let types = |name, value: &dyn CacheKey| key_of(&Function::new("m:f").with_types(&[name]), &[value]);
    assert_ne!(types("f32", &0.1_f32), types("f64", &0.1_f64), "the function's generic types differ");
    assert_eq!(key(None, &[&f64::NAN]), "m:f|nan");
}

/// Names, places, types, versions, and namespaces that look like each other have different keys.
#[test]
fn functions_have_distinct_keys() {
    let types = texts_of(&["a", ", ", "<", ">", "(", ")", "->", "\"", "|", "@v"], 2);
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let few = || types.iter().copied().take(8);
    let mut lists = vec![Vec::new()];
    lists.extend(types.iter().map(|name| vec![*name]));
    lists.extend(few().flat_map(|a| few().map(move |b| vec![a, b])));
    let names = texts_of(&["a", "<", ">", ":", "\"", "|", "@v"], 3);
    let parts = [None, Some(""), Some("a|"), Some("\"a\""), Some("a>")];
    let calls = pairs(&names, &pairs(&lists, &parts));
    assert_distinct(calls, |(name, (types, namespace))| {
        let function = Function::new(name).with_types(types);
        key_of(&namespace.map_or(function, |namespace| function.in_namespace(namespace)), &[])
    });
    assert_eq!(key_of(&Function::new("m:<lambda>"), &[]), "m:<lambda>|", "Python's key");
}

#[test]
fn versions_have_distinct_keys() {
    let names = texts_of(&["a", "@v", "1", "|", "\"", ">", "<", "@1:2"], 2);
    let versions = options(&texts_of(&["1", "2", "|", "\"", "@v", ""], 2));
    let versions: BTreeSet<Option<String>> = versions.into_iter().collect();
    let namespaces = [None, Some(""), Some("1"), Some("@v1"), Some("|")];
    let calls = pairs(&names, &pairs(&Vec::from_iter(versions), &pairs(&namespaces, &[None, Some("a")])));
    assert_distinct(calls, |(name, (version, (namespace, ty)))| {
        let (mut function, types) = (Function::new(name), Vec::from_iter(*ty));
        function = function.with_types(&types);
        function = version.iter().fold(function, |function, version| function.with_version(version));
        function = namespace.iter().fold(function, |function, namespace| function.in_namespace(namespace));
        key_of(&function, &[])
    });
    let f = Function::new("m:f");
    assert_eq!(key_of(&f.with_version("2"), &[&1]), "m:f@v2|1");
    assert_eq!(key_of(&f.with_version("2").in_namespace("ns"), &[&1]), "m:f@v2|ns|1");
    assert_eq!(key_of(&f.with_types(&["u8"]).with_version("a|b"), &[&1]), "m:f<u8>@v\"a\\x7cb\"|1");
    assert_eq!(f.with_version("2").version(), Some("2"));
}

#[test]
fn name_that_looks_like_a_place_has_a_key_of_its_own() {
    let place = Place { at: (12, 5), written_at: (12, 5), occurrence: 0 };
    let inner = of_function_body(Function::new("m:f"), "m::outer::f", 4, place);
    assert_eq!(key_of(&inner, &[]), "m::outer:f@12:5|");
    assert_eq!(key_of(&Function::new("m::outer:f@12:5"), &[]), "\"m::outer:f@12:5\"|");
    assert_eq!(key_of(&inner.with_version("1"), &[]), "m::outer:f@12:5@v1|");
    let in_macro = Place { written_at: (3, 9), occurrence: 1, ..place };
    let inner = of_function_body(Function::new("m:f"), "m::outer::f", 4, in_macro);
    assert_eq!(key_of(&inner, &[]), "m::outer:f@12:5/3:9#1|");
}

/// Returns texts that consist of the same pieces in various groups, some of which look quoted.
fn related(parts: &[String; 3], separators: (&str, &str)) -> Vec<String> {
    let [a, b, c] = parts;
    let (first, second) = separators;
    let mut all =
        vec![String::new(), a.clone(), b.clone(), c.clone(), [a, first, b].concat(), [b, second, c].concat()];
    all.push([a, first, b, second, c].concat());
    let quoted = |text: &String| {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('|', "\\x7c"))
    };
    let dressed: Vec<String> = all.iter().flat_map(|text| [quoted(text), format!("Some({text})")]).collect();
    all.extend(dressed);
    all.sort();
    all.dedup();
    all
}

proptest! {
    #![proptest_config(config(30))]

    /// Calls that consist of the same pieces, which Python often gives the same key.
    #[test]
    fn related_calls_have_distinct_keys(
        (a, b, c) in (text(), text(), text()),
        (first, second) in (select(PIECES), select(PIECES)),
        namespace in select(vec![None, Some("ns"), Some("")]),
    ) {
        assert_distinct_calls(namespace, &related(&[a, b, c], (first, second)));
    }

    #[test]
    fn related_containers_have_distinct_keys((a, b, c) in (text(), text(), text()), at in select(PIECES)) {
        assert_distinct_containers(None, &related(&[a, b, c], (at, ", "))[..8]);
    }

    #[test]
    fn related_texts_in_namespaces_have_distinct_keys(
        (a, b, c) in (text(), text(), text()),
        separator in select(PIECES),
    ) {
        let texts = related(&[a, b, c], ("|", separator));
        let calls = pairs(&options(&texts), &texts);
        assert_distinct(calls, |(namespace, text)| key(namespace.as_deref(), &[text]));
        let calls = pairs(&options(&texts), &pairs(&texts, &options(&texts)));
        assert_distinct(calls, |(namespace, (a, b))| key(namespace.as_deref(), &[a, b]));
    }

    #[test]
    fn deep_options_have_distinct_keys(calls in vec((option(option(option(text()))), option(option(text()))), 2..40)) {
        assert_distinct(calls, |(a, b)| key(None, &[a, b]));
    }

    #[test]
    fn numbers_have_distinct_keys(calls in vec((any::<u64>(), any::<u32>(), -9..9_i8), 2..40)) {
        assert_distinct(calls, |(a, b, c)| {
            let bits = if f64::from_bits(*a).is_nan() { 0 } else { *a };
            key(None, &[&f64::from_bits(bits), a, b, c])
        });
    }
}
