//! Texts that are likely to have ambiguous keys, and the keys of calls.

use std::collections::HashMap;
use std::fmt::Debug;

use dogpile::function::{Argument, CacheKey, Function, FunctionCall, KeyForm, default_key_generator};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The pieces that texts are made of.
pub(crate) const PIECES: &[&str] = &[
    "a", " ", "|", "\"", "\\", "'", ",", "[", "]", "(", ")", "None", "\\x7c", "1", "ns|", "None ", ", ", "é",
    "Some(", ": ", "{", "}", "=", "@v", "<", ">", "Path(b'", "\" ", "\" \"",
];

/// Those that are enough to find each ambiguity that was ever found.
pub(crate) const CORE: &[&str] =
    &["a", " ", "|", "\"", "\\", "'", ",", "[", "]", "(", ")", "None", "\\x7c", "1", "Some("];

pub(crate) fn text() -> impl Strategy<Value = String> {
    vec(select(PIECES), 0..6).prop_map(|pieces| pieces.concat())
}

/// Returns all texts of up to `count` pieces.
pub(crate) fn texts_of(pieces: &[&'static str], count: usize) -> Vec<String> {
    let products = (0..=count).flat_map(|count| products(&vec![pieces.to_vec(); count]));
    products.map(|pieces| pieces.concat()).collect()
}

/// Returns all lists with one of the choices for each item.
pub(crate) fn products<T: Clone>(choices: &[Vec<T>]) -> Vec<Vec<T>> {
    choices.iter().fold(vec![Vec::new()], |lists, choices| {
        lists
            .iter()
            .flat_map(|list| choices.iter().map(|item| [&list[..], std::slice::from_ref(item)].concat()))
            .collect()
    })
}

pub(crate) fn pairs<A: Clone, B: Clone>(a: &[A], b: &[B]) -> Vec<(A, B)> {
    a.iter().flat_map(|a| b.iter().map(|b| (a.clone(), b.clone()))).collect()
}

pub(crate) fn options<T: Clone>(values: &[T]) -> Vec<Option<T>> {
    std::iter::once(None).chain(values.iter().cloned().map(Some)).collect()
}

/// Returns the default key of a call.
pub(crate) fn key(namespace: Option<&str>, values: &[&dyn CacheKey]) -> String {
    let function = Function::new("m:f");
    key_of(&namespace.map_or(function, |namespace| function.in_namespace(namespace)), values)
}

/// Returns the default key of a call of `function`.
pub(crate) fn key_of(function: &Function<'_>, values: &[&dyn CacheKey]) -> String {
    let arguments: Vec<_> = values.iter().map(|value| Argument::new("argument", *value)).collect();
    let mut key = String::new();
    default_key_generator(&FunctionCall::new(function, &arguments), &mut key);
    key
}

/// Runs `cases` cases per test, or as many as `PROPTEST_CASES` says.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let is_set = std::env::var_os("PROPTEST_CASES").is_some();
    if is_set { ProptestConfig::default() } else { ProptestConfig::with_cases(cases) }
}

/// Fails if two different calls share a key.
pub(crate) fn assert_distinct<C: Debug + PartialEq>(
    calls: impl IntoIterator<Item = C>,
    key: impl Fn(&C) -> String,
) {
    let mut seen: HashMap<String, C> = HashMap::new();
    for call in calls {
        let key = key(&call);
        if let Some(other) = seen.get(&key) {
            assert_eq!(*other, call, "both have the key {key:?}");
        }
        seen.insert(key, call);
    }
}

/// An own type, whose text is written as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Raw(pub(crate) String);

impl CacheKey for Raw {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str(&self.0);
    }
}
