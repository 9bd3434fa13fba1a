//! The keys that key generators make.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use dogpile::function::{
    Argument, CacheKey, Function, FunctionCall, KeyForm, default_key_generator, default_multi_key_generator,
    dogpile_key_generator, dogpile_multi_key_generator, kwarg_key_generator,
};
use dogpile::{CacheRegion, RegionConfig, cache_multi_on_arguments, cache_on_arguments, sha1_mangle_key};
use dogpile_tests::regions::region_of;

type Generator = fn(&FunctionCall<'_>, &mut String);

fn key(generator: Generator, function: &Function<'_>, arguments: &[Argument<'_>]) -> String {
    let mut key = String::new();
    generator(&FunctionCall::new(function, arguments), &mut key);
    key
}

fn of_values(generator: Generator, function: &Function<'_>, values: &[&dyn CacheKey]) -> String {
    let arguments: Vec<_> = values.iter().map(|value| Argument::new("argument", *value)).collect();
    key(generator, function, &arguments)
}

const ONE: Function<'static> = Function::new("tests.cache.test_decorator:one");

/// Behavior: `keygen-default-text`, `keygen-namespace-text`, `keygen-key-is-text`
#[test]
fn key_consists_of_the_function_name_and_its_arguments() {
    for generator in [default_key_generator as Generator, dogpile_key_generator] {
        assert_eq!(of_values(generator, &ONE, &[&1, &2]), "tests.cache.test_decorator:one|1 2");
        assert_eq!(of_values(generator, &ONE, &[&None::<i32>, &5]), "tests.cache.test_decorator:one|None 5");
        let named = ONE.in_namespace("mynamespace");
        assert_eq!(of_values(generator, &named, &[&1, &2]), "tests.cache.test_decorator:one|mynamespace|1 2");
        assert_eq!(of_values(generator, &ONE, &[]), "tests.cache.test_decorator:one|");
    }
}

/// Behavior: `keygen-non-ascii`, `keygen-non-ascii-is-text`
#[test]
fn non_ascii_letters_are_kept_in_keys() {
    for generator in [default_key_generator as Generator, dogpile_key_generator] {
        let key = of_values(generator, &ONE, &[&"méil", &"drôle", &'é']);
        assert_eq!(key, "tests.cache.test_decorator:one|méil drôle é");
    }
}

/// Behavior: `keygen-multi-text`, `keygen-multi-non-ascii`
#[test]
fn multi_key_generators_return_one_key_per_argument() {
    let arguments = [Argument::new("key", &1), Argument::new("key", &"méil"), Argument::new("key", &"a b")];
    let call = FunctionCall::new(&ONE, &arguments);
    let expected = ["1", "méil", "a b"].map(|text| format!("tests.cache.test_decorator:one|{text}"));
    assert_eq!(default_multi_key_generator(&call), expected);
    assert_eq!(dogpile_multi_key_generator(&call), expected);
}

#[cache_on_arguments(region = region, ignore(region), key_name = "m:f", function_key_generator = kwarg_key_generator)]
fn a_first(region: &CacheRegion, a: u32, b: u32) -> u32 {
    a + b
}

#[cache_on_arguments(region = region, ignore(region), key_name = "m:f", function_key_generator = kwarg_key_generator)]
fn b_first(region: &CacheRegion, b: u32, a: u32) -> u32 {
    a + b
}

#[cache_on_arguments(
    region = region,
    ignore(region),
    key_name = "m:f",
    namespace = "ns",
    function_key_generator = kwarg_key_generator,
    defaults(b = None, a2 = "é", c = 10)
)]
fn with_defaults(region: &CacheRegion, a: u32) -> u32 {
    a
}

// DIFFERENCE: a call in Rust always has all its arguments. `defaults(...)` names the parameters that Python fills in.

/// Behavior: `keygen-kwarg-order-free`, `keygen-kwarg-default-of-last`, `keygen-kwarg-all-defaults`,
/// `keygen-kwarg-namespace-text`, `keygen-kwarg-key-is-text`, `keygen-kwarg-non-ascii`,
/// `keygen-kwarg-non-ascii-is-text`
#[test]
fn kwarg_key_sorts_arguments_and_fills_in_defaults() {
    let region = CacheRegion::new("keywords");
    assert_eq!(a_first::key(&region, 1, 2), "m:f|1 2");
    assert_eq!(b_first::key(&region, 2, 1), "m:f|1 2");
    assert_eq!(with_defaults::key(&region, 1), "m:f|ns|1 é None 10");

    let none = None::<i32>;
    let all_defaults = [Argument::default_of("a", &1), Argument::default_of("b", &none)];
    assert_eq!(key(kwarg_key_generator, &ONE, &all_defaults), "tests.cache.test_decorator:one|1 None");
    let one_given = [Argument::new("b", &none), Argument::default_of("a", &1)];
    assert_eq!(key(kwarg_key_generator, &ONE, &one_given), "tests.cache.test_decorator:one|1 None");
    assert_eq!(
        key(dogpile_key_generator, &ONE, &one_given),
        "tests.cache.test_decorator:one|None",
        "Python's plain generator ignores defaults"
    );
}

/// Behavior: `mangler-sha1-of-generated-key`
#[test]
fn sha1_of_a_generated_key_equals_pythons() {
    let key = of_values(dogpile_key_generator, &ONE, &[&1, &2]);
    assert_eq!(sha1_mangle_key(&key), "aead490a8ace2d69a00160f1fd8fd8a16552c24f");
}

/// Calls that share a key in Python have different keys here. All other keys are Python's.
#[test]
fn ambiguous_arguments_are_quoted() {
    let f = Function::new("m:f");
    let of = |values: &[&dyn CacheKey]| of_values(default_key_generator, &f, values);
    assert_eq!(of(&[&"a b"]), "m:f|a b");
    assert_eq!(of(&[&1, &"a b", &2]), "m:f|1 a b 2");
    assert_eq!(of(&[&"a b", &"c"]), "m:f|\"a b\" c");
    assert_eq!(of(&[&"a", &"b c"]), "m:f|a \"b c\"");
    assert_eq!(of(&[&"\"a", &"\\"]), "m:f|\"\\\"a\" \\");
    assert_eq!(of(&[&Some("None")]), "m:f|Some(None)");
    assert_eq!(of(&[&Some(Some("x")), &None::<&str>]), "m:f|x None");
    assert_eq!(of(&[&"ns|a"]), "m:f|\"ns\\x7ca\"");
    assert_eq!(of(&[&vec!["a b", "c"], &"d e"]), "m:f|['a b', 'c'] d e");
    assert_eq!(of_values(default_key_generator, &f.in_namespace("ns"), &[&"ns|a"]), "m:f|ns|ns|a");
    assert_eq!(of_values(default_key_generator, &f.in_namespace("n|s"), &[&1]), "m:f|\"n\\x7cs\"|1");
    assert_eq!(of_values(default_key_generator, &f.of("m::T<A>"), &[&1]), "m::T<A>:f|1");
    assert_eq!(of_values(default_key_generator, &f.with_types(&["u8", "str"]), &[&1]), "m:f<u8, str>|1");
    let shared: &[&[&dyn CacheKey]] = &[&[&"a b", &"c"], &[&"a", &"b c"]];
    assert!(shared.iter().all(|values| of_values(dogpile_key_generator, &f, values) == "m:f|a b c"));
}

struct UserId(u64);

impl CacheKey for UserId {
    fn write(&self, key: &mut String, form: KeyForm) {
        self.0.write(key, form);
    }
}

struct Pair(&'static str);

impl CacheKey for Pair {
    fn write(&self, key: &mut String, _form: KeyForm) {
        key.push_str(self.0);
    }
}

#[test]
fn pointers_lists_tuples_and_own_types_have_texts() {
    let f = Function::new("m:f");
    let of = |value: &dyn CacheKey| of_values(default_key_generator, &f, &[value]);
    assert_eq!(of(&Arc::new(Box::new(7_u128))), "m:f|7");
    assert_eq!(of(&Cow::Borrowed("x")), "m:f|x");
    assert_eq!(of(&VecDeque::from([(1, "a"), (2, "b'")])), "m:f|[(1, 'a'), (2, \"b'\")]");
    assert_eq!(of(&((), (1,), [true, false])), "m:f|((), (1,), [True, False])");
    assert_eq!(of(&UserId(7)), "m:f|7");
    // One item and two items of the same characters.
    assert_eq!(of(&vec![Pair("a, b")]), "m:f|[\"a, b\"]");
    assert_eq!(of(&vec![Pair("a"), Pair("b")]), "m:f|[a, b]");
}

static SHOP: CacheRegion = CacheRegion::new("shop");

/// A function and an argument named like Rust keywords.
#[cache_on_arguments(region = SHOP, namespace = ["a", "b"].concat())]
fn r#match(r#type: &str) -> String {
    r#type.to_owned()
}

#[test]
fn raw_identifiers_lose_their_prefix_in_keys() {
    SHOP.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    assert_eq!(r#match("x"), "x");
    assert_eq!(r#match::key("x"), format!("{}:match|ab|x", module_path!()));
    assert_eq!(SHOP.get::<String>(&r#match::key("x")).unwrap().as_deref(), Some("x"));
}

/// A function whose arguments are named like variables in the code that the macro generates.
#[expect(clippy::too_many_arguments, reason = "one argument per name")]
#[cache_on_arguments(region = region, ignore(region), key_name = name_of_shop(), namespace = ["n"].concat())]
fn well_named(
    region: &CacheRegion,
    function: u8,
    arguments: u8,
    call: u8,
    key: u8,
    types: u8,
    name: u8,
    namespace: u8,
    value: u8,
    draft: u8,
    this: u8,
) -> Vec<u8> {
    vec![function, arguments, call, key, types, name, namespace, value, draft, this]
}

fn name_of_shop() -> String {
    "shop".to_owned()
}

#[cache_multi_on_arguments(region = values, ignore(values, made, missing, new), key_name = "m:f")]
fn well_named_too(values: &CacheRegion, made: u8, key: &[u8], missing: u8, new: u8) -> Vec<u8> {
    key.iter().map(|key| key + made + missing + new).collect()
}

#[test]
fn arguments_may_be_named_like_generated_variables() {
    let region = region_of("names", RegionConfig::new("dogpile.cache.memory"));
    let all: Vec<u8> = (0..10).collect();
    assert_eq!(well_named::key(&region, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), "shop|n|0 1 2 3 4 5 6 7 8 9");
    assert_eq!(well_named(&region, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), all);
    assert_eq!(well_named::get(&region, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9).unwrap(), Some(all.clone()));
    well_named::set(vec![1], &region, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9).unwrap();
    assert_eq!(well_named(&region, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), [1]);
    assert_eq!(well_named::refresh(&region, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9).unwrap(), all);
    assert_eq!(well_named_too(&region, 1, &[1, 2], 2, 3), [7, 8]);
    well_named_too::set([(1, 0)], &region, 1, 2, 3).unwrap();
    assert_eq!(well_named_too::get(&region, 1, &[1, 3], 2, 3).unwrap(), [Some(0), None]);
    assert_eq!(well_named_too::key(&region, 1, &[1], 2, 3), ["m:f|1"]);
}

fn one_body(region: &CacheRegion) -> (u8, String) {
    #[cache_on_arguments(region = region, ignore(region))]
    fn inner(region: &CacheRegion) -> u8 {
        1
    }
    (inner(region), inner::key(region))
}

const ONE_BODY: u32 = line!() - 7;

fn another_body(region: &CacheRegion) -> (u8, String) {
    #[cache_on_arguments(region = region, ignore(region))]
    fn inner(region: &CacheRegion) -> u8 {
        2
    }
    (inner(region), inner::key(region))
}

const ANOTHER_BODY: u32 = line!() - 7;

#[test]
fn inner_functions_of_two_bodies_do_not_share_entries() {
    let region = region_of("bodies", RegionConfig::new("dogpile.cache.memory"));
    let module = module_path!();
    assert_eq!(one_body(&region), (1, format!("{module}::one_body:inner@{ONE_BODY}:5|")));
    assert_eq!(another_body(&region), (2, format!("{module}::another_body:inner@{ANOTHER_BODY}:5|")));
}

/// Returns the values and keys of two functions of one name, in two blocks.
fn two_blocks(region: &CacheRegion) -> [(u32, String); 2] {
    let gross = {
        #[cache_on_arguments(region = region, ignore(region))]
        fn price(region: &CacheRegion, item: u32) -> u32 {
            item * 120
        }
        (price(region, 1), price::key(region, 1))
    };
    let net = {
        #[cache_on_arguments(region = region, ignore(region))]
        fn price(region: &CacheRegion, item: u32) -> u32 {
            item * 100
        }
        (price(region, 1), price::key(region, 1))
    };
    [gross, net]
}

/// Returns the values and keys of methods of two types of one name, in two blocks.
fn two_types(region: &CacheRegion) -> [(u32, String); 2] {
    let gross = {
        struct Shop<T>(T);
        impl<T: Clone> Shop<T> {
            #[cache_on_arguments(region = region, ignore(region), associated)]
            fn price(region: &CacheRegion, item: u32) -> u32 {
                item * 120
            }
        }
        (Shop::<u8>::price(region, 1), Shop::<u8>::price_key(region, 1))
    };
    let net = {
        struct Shop<T>(T);
        impl<T: Clone> Shop<T> {
            #[cache_on_arguments(region = region, ignore(region), associated)]
            fn price(region: &CacheRegion, item: u32) -> u32 {
                item * 100
            }
        }
        (Shop::<u8>::price(region, 1), Shop::<u8>::price_key(region, 1))
    };
    [gross, net]
}

macro_rules! price {
    ($region:expr, $factor:literal) => {{
        #[cache_on_arguments(region = region, ignore(region))]
        fn price(region: &CacheRegion, item: u32) -> u32 {
            item * $factor
        }
        (price($region, 1), price::key($region, 1))
    }};
}

macro_rules! prices {
    ($region:expr) => {{
        let gross = {
            #[cache_on_arguments(region = region, ignore(region))]
            fn price(region: &CacheRegion, item: u32) -> u32 {
                item * 120
            }
            (price($region, 1), price::key($region, 1))
        };
        let net = {
            #[cache_on_arguments(region = region, ignore(region))]
            fn price(region: &CacheRegion, item: u32) -> u32 {
                item * 100
            }
            (price($region, 1), price::key($region, 1))
        };
        [gross, net]
    }};
}

fn one_macro_twice(region: &CacheRegion) -> [(u32, String); 2] {
    [price!(region, 120), price!(region, 100)]
}

fn two_in_one_macro(region: &CacheRegion) -> [(u32, String); 2] {
    prices!(region)
}

#[test]
fn functions_of_one_name_in_two_blocks_do_not_share_entries() {
    let region = region_of("blocks", RegionConfig::new("dogpile.cache.memory"));
    for two in [two_blocks, two_types, one_macro_twice, two_in_one_macro] {
        let made = two(&region);
        assert_eq!(made.clone().map(|(value, _)| value), [120, 100]);
        assert_eq!(made, two(&region), "keys and values are the same at the next call");
        let [(_, gross), (_, net)] = made;
        assert_ne!(gross, net);
        assert!(gross.ends_with("|1") && gross.contains(":price@"), "{gross}");
    }
}

mod r#loop {
    use super::*;

    pub(super) struct Shop<T>(T);

    impl Shop<std::cell::Cell<u8>> {
        #[cache_on_arguments(region = region, ignore(region), associated)]
        pub(super) fn price(region: &CacheRegion, item: u32) -> u32 {
            item + 1
        }
    }

    #[cache_on_arguments(region = region, ignore(region))]
    pub(super) fn price(region: &CacheRegion, item: u32) -> u32 {
        item
    }
}

/// Functions outside of bodies keep their keys when lines are added above them.
#[test]
fn keys_of_items_in_modules_contain_no_line() {
    let region = CacheRegion::new("modules");
    let module = module_path!();
    assert_eq!(r#loop::price::key(&region, 1), format!("{module}::r#loop:price|1"));
    let method = r#loop::Shop::<std::cell::Cell<u8>>::price_key(&region, 1);
    assert!(method.ends_with("loop::Shop<core::cell::Cell<u8>>:price|1"), "{method}");
}
