//! Different calls have different keys.

use std::collections::HashMap;
use std::fmt::Debug;

use dogpile::function::{Argument, Function, FunctionCall, KeyArgument, default_key_generator};
use proptest::prelude::*;
use proptest::sample::select;

/// What keys are made of themselves, so that they meet.
const PIECES: &[&str] =
    &["a", "b", " ", "|", "\"", "\\", "'", ",", "[", "]", "None", "\\x7c", "1", "ns", ":", "é"];

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(PIECES), 0..5).prop_map(|pieces| pieces.concat())
}

/// The key of a call of a function in one of three namespaces, or in none.
fn key(namespace: Option<&str>, values: &[&dyn KeyArgument]) -> String {
    let function = Function::new("m:f");
    let function = namespace.map_or(function, |namespace| function.in_namespace(namespace));
    let arguments: Vec<_> = values.iter().map(|value| Argument::new("argument", *value)).collect();
    let mut key = String::new();
    default_key_generator(&FunctionCall::new(&function, &arguments), &mut key);
    key
}

/// Fails if two of `calls` that differ share a key.
fn tell_apart<C: Debug + PartialEq + Clone>(
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

/// All texts of up to three of the characters that matter.
fn short_texts() -> Vec<String> {
    let longer = |texts: &[String]| -> Vec<String> {
        texts.iter().flat_map(|text| ["a", " ", "|", "\"", "\\"].map(|end| format!("{text}{end}"))).collect()
    };
    let mut all = vec![vec![String::new()]];
    (0..3).for_each(|length| all.push(longer(&all[length])));
    all.concat()
}

#[test]
fn every_two_short_texts_with_and_without_a_namespace() {
    let (texts, mut seen) = (short_texts(), HashMap::new());
    for namespace in [None, Some("a"), Some("a|"), Some("\"a"), Some("a a"), Some("\"a\\"), Some("|")] {
        for (a, b) in texts.iter().flat_map(|a| texts.iter().map(move |b| (a, b))) {
            let other = seen.insert(key(namespace, &[a, b]), (namespace, a, b));
            assert_eq!(other, None, "shares its key with {:?}", (namespace, a, b));
        }
    }
}

#[test]
fn every_three_short_texts() {
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
    fn texts_in_any_namespace(calls in many((proptest::option::of(text()), text(), text()))) {
        tell_apart(calls, |(namespace, a, b)| key(namespace.as_deref(), &[a, b]))?;
    }

    /// One text, taken apart at each blank and at each bar: the calls that Python confuses.
    #[test]
    fn one_text_taken_apart(text in text(), more in text(), last in text()) {
        let whole = [text, more, last].join(" ");
        let apart = |at: char| whole.match_indices(at).map(|(at, _)| (&whole[..at], &whole[at + 1..]));
        tell_apart(apart(' ').collect(), |(a, b)| key(None, &[a, b]))?;
        tell_apart(apart(' ').collect(), |(a, b)| key(None, &[a, &1, b]))?;
        let mut namespaced: Vec<_> = apart('|').map(|(a, b)| (Some(a), b)).collect();
        namespaced.push((None, whole.as_str()));
        tell_apart(namespaced, |(namespace, a)| key(*namespace, &[a]))?;
    }

    #[test]
    fn one_text(calls in many((proptest::option::of(text()), text()))) {
        tell_apart(calls, |(namespace, a)| key(namespace.as_deref(), &[a]))?;
    }

    #[test]
    fn texts_around_a_number(calls in many((text(), 0..3_i32, text()))) {
        tell_apart(calls, |(a, b, c)| key(None, &[a, b, c]))?;
    }

    #[test]
    fn texts_that_may_be_missing(calls in many((proptest::option::of(text()), proptest::option::of(text())))) {
        tell_apart(calls, |(a, b)| key(None, &[a, b]))?;
    }

    #[test]
    fn what_may_be_missing_in_what_may_be_missing(
        calls in many((proptest::option::of(proptest::option::of(text())), text()))
    ) {
        tell_apart(calls, |(a, b)| key(None, &[a, b]))?;
    }

    #[test]
    fn lists_and_texts(calls in many((
        proptest::collection::vec(text(), 0..3),
        text(),
        proptest::collection::vec(proptest::option::of(proptest::option::of(text())), 0..3),
    ))) {
        tell_apart(calls, |(a, b, c)| key(None, &[a, b, c]))?;
    }

    #[test]
    fn tuples(calls in many(((text(), proptest::option::of(0..2_u8)), (text(), any::<bool>())))) {
        tell_apart(calls, |(a, b)| key(Some("ns"), &[a, b]))?;
    }

    #[test]
    fn numbers(calls in many((any::<f64>().prop_filter("one NaN is as good as another", |n| !n.is_nan()), 0..9_i8))) {
        tell_apart(calls, |(a, b)| key(None, &[a, b]))?;
    }
}
