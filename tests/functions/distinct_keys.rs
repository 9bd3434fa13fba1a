//! Different calls have different keys.

use std::collections::HashMap;
use std::fmt::Debug;

use dogpile::function::{Argument, Function, FunctionCall, KeyArgument, default_key_generator};
use proptest::prelude::*;
use proptest::sample::select;

/// Pieces of keys. Texts made of them are likely to have ambiguous keys.
const PIECES: &[&str] =
    &["a", "b", " ", "|", "\"", "\\", "'", ",", "[", "]", "None", "\\x7c", "1", "ns", ":", "é"];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(PIECES), 0..5).prop_map(|pieces| pieces.concat())
}

/// Returns the default key of a call.
fn key(namespace: Option<&str>, values: &[&dyn KeyArgument]) -> String {
    let function = Function::new("m:f");
    let function = namespace.map_or(function, |namespace| function.in_namespace(namespace));
    let arguments: Vec<_> = values.iter().map(|value| Argument::new("argument", *value)).collect();
    let mut key = String::new();
    default_key_generator(&FunctionCall::new(&function, &arguments), &mut key);
    key
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
    proptest::collection::vec(call, 2..40)
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn texts_in_namespaces_have_distinct_keys(calls in many((proptest::option::of(text()), text(), text()))) {
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
    fn single_texts_have_distinct_keys(calls in many((proptest::option::of(text()), text()))) {
        assert_distinct(calls, |(namespace, a)| key(namespace.as_deref(), &[a]))?;
    }

    #[test]
    fn texts_around_a_number_have_distinct_keys(calls in many((text(), 0..3_i32, text()))) {
        assert_distinct(calls, |(a, b, c)| key(None, &[a, b, c]))?;
    }

    #[test]
    fn optional_texts_have_distinct_keys(calls in many((proptest::option::of(text()), proptest::option::of(text())))) {
        assert_distinct(calls, |(a, b)| key(None, &[a, b]))?;
    }

    #[test]
    fn nested_optional_texts_have_distinct_keys(
        calls in many((proptest::option::of(proptest::option::of(text())), text()))
    ) {
        assert_distinct(calls, |(a, b)| key(None, &[a, b]))?;
    }

    #[test]
    fn lists_and_texts_have_distinct_keys(calls in many((
        proptest::collection::vec(text(), 0..3),
        text(),
        proptest::collection::vec(proptest::option::of(proptest::option::of(text())), 0..3),
    ))) {
        assert_distinct(calls, |(a, b, c)| key(None, &[a, b, c]))?;
    }

    #[test]
    fn tuples_have_distinct_keys(calls in many(((text(), proptest::option::of(0..2_u8)), (text(), any::<bool>())))) {
        assert_distinct(calls, |(a, b)| key(Some("ns"), &[a, b]))?;
    }

    #[test]
    fn numbers_have_distinct_keys(calls in many((any::<f64>().prop_filter("NaN differs from itself", |n| !n.is_nan()), 0..9_i8))) {
        assert_distinct(calls, |(a, b)| key(None, &[a, b]))?;
    }
}
