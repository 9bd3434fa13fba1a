//! Functions of one name in several places have different keys.

use dogpile::function::CacheKey;
use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};
use dogpile_tests::regions::region_of;

use super::key_pieces::{assert_distinct, options, pairs, texts_of};

static REGION: CacheRegion = CacheRegion::new("places");

#[cache_on_arguments(region = REGION)]
fn free(a: &str, b: Option<&str>) -> usize {
    a.len() + b.map_or(0, str::len)
}

#[cache_on_arguments(region = REGION)]
fn generic<T: CacheKey>(a: T, b: Option<&str>) -> usize {
    let _ = a;
    b.map_or(0, str::len)
}

#[cache_on_arguments(region = REGION)]
fn sized<const N: usize>(a: [&str; N], b: Option<&str>) -> usize {
    a.len() + b.map_or(0, str::len)
}

struct Shop<T>(T);

impl<T> Shop<T> {
    #[cache_on_arguments(region = REGION, associated)]
    fn free(a: &str, b: Option<&str>) -> usize {
        a.len() + b.map_or(0, str::len)
    }
}

#[cache_on_arguments(region = REGION, namespace = "ns")]
fn in_namespace(a: &str, b: Option<&str>) -> usize {
    a.len() + b.map_or(0, str::len)
}

/// Returns the keys that functions of one name in several blocks have for the same arguments.
fn in_blocks<T: CacheKey + Copy>(a: T, b: Option<&str>) -> Vec<String> {
    let first = {
        #[cache_on_arguments(region = REGION)]
        fn generic<T: CacheKey>(a: T, b: Option<&str>) -> usize {
            let _ = a;
            b.map_or(1, str::len)
        }
        generic::key(a, b)
    };
    let second = {
        #[cache_on_arguments(region = REGION)]
        fn generic<T: CacheKey>(a: T, b: Option<&str>) -> usize {
            let _ = a;
            b.map_or(2, str::len)
        }
        generic::key(a, b)
    };
    let in_closure = || {
        #[cache_on_arguments(region = REGION)]
        fn generic<T: CacheKey>(a: T, b: Option<&str>) -> usize {
            let _ = a;
            b.map_or(3, str::len)
        }
        generic::key(a, b)
    };
    let in_module = {
        mod generic {
            use super::{CacheKey, REGION, cache_on_arguments};

            #[cache_on_arguments(region = REGION)]
            pub(super) fn generic<T: CacheKey>(a: T, b: Option<&str>) -> usize {
                let _ = a;
                b.map_or(4, str::len)
            }
        }
        generic::generic::key(a, b)
    };
    vec![first, second, in_closure(), in_module]
}

/// Returns the keys of all functions above, with numbers instead of their names.
fn keys(a: &str, b: Option<&str>) -> Vec<String> {
    let mut keys =
        vec![free::key(a, b), generic::key(a, b), generic::key(a.to_owned(), b), in_namespace::key(a, b)];
    keys.extend([
        Shop::<u8>::free_key(a, b),
        Shop::<&str>::free_key(a, b),
        sized::key([a], b),
        sized::key([a, a], b),
    ]);
    keys.extend(in_blocks(a, b));
    keys.extend(in_blocks(a.len(), b));
    keys
}

#[test]
fn functions_methods_and_blocks_have_distinct_keys() {
    let texts = texts_of(&["a", " ", "|", "\"", "None", "\\x7c"], 2);
    let some: Vec<Option<String>> = options(&texts_of(&["a", " ", "\""], 1));
    let all = pairs(&texts, &some);
    let count = keys("", None).len();
    let numbered = pairs(&(0..count).collect::<Vec<_>>(), &all);
    // The functions that take the length take equal lengths for different texts.
    let numbered =
        numbered.into_iter().filter(|(number, (a, _))| *number < count - 4 || a.chars().all(|c| c == 'a'));
    assert_distinct(numbered, |(number, (a, b))| keys(a, b.as_deref())[*number].clone());
}

/// The functions of the finding, which called each other's values.
fn price(region: &CacheRegion, item: u32, gross: bool) -> u32 {
    if gross {
        #[cache_on_arguments(region = region, ignore(region))]
        fn look_up(region: &CacheRegion, item: u32) -> u32 {
            item * 120
        }
        look_up(region, item)
    } else {
        #[cache_on_arguments(region = region, ignore(region))]
        fn look_up(region: &CacheRegion, item: u32) -> u32 {
            item * 100
        }
        look_up(region, item)
    }
}

#[test]
fn functions_of_one_name_in_two_branches_share_no_values() {
    let region = region_of("branches", RegionConfig::new("dogpile.cache.memory"));
    for _ in 0..2 {
        assert_eq!((price(&region, 1, true), price(&region, 1, false)), (120, 100));
    }
}

#[test]
fn closures_of_two_names_or_namespaces_share_no_values() {
    let region = region_of("closures", RegionConfig::new("dogpile.cache.memory"));
    let one = region.cache_on_arguments("m:f").wrap(|item: u32| item);
    let another = region.cache_on_arguments("m:g").wrap(|item: u32| item + 1);
    let named = region.cache_on_arguments("m:f").namespace("g").wrap(|item: u32| item + 2);
    for _ in 0..2 {
        assert_eq!((one.call((1,)), another.call((1,)), named.call((1,))), (1, 2, 3));
    }
}

macro_rules! of_factor {
    ($region:expr, $factor:expr) => {{
        #[cache_on_arguments(region = region, ignore(region))]
        fn price(region: &CacheRegion, item: u32) -> u32 {
            item * $factor
        }
        price($region, 1)
    }};
}

macro_rules! of_both {
    ($region:expr) => {
        (of_factor!($region, 120), of_factor!($region, 100))
    };
}

#[test]
fn functions_of_nested_macros_share_no_values() {
    let region = region_of("nested", RegionConfig::new("dogpile.cache.memory"));
    for _ in 0..2 {
        assert_eq!(of_both!(&region), (120, 100));
    }
}

macro_rules! of_shop {
    ($region:expr, $factor:expr) => {{
        struct Shop;
        impl Shop {
            #[cache_on_arguments(region = region, ignore(region), associated)]
            fn price(region: &CacheRegion, item: u32) -> u32 {
                item * $factor
            }
        }
        Shop::price($region, 1)
    }};
}

macro_rules! of_both_shops {
    ($region:expr) => {
        (of_shop!($region, 120), of_shop!($region, 100))
    };
}

#[test]
fn methods_of_nested_macros_share_no_values() {
    let region = region_of("nested shops", RegionConfig::new("dogpile.cache.memory"));
    for _ in 0..2 {
        assert_eq!(of_both_shops!(&region), (120, 100));
    }
}
