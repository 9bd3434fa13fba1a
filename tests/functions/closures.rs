//! Cached closures.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use dogpile::function::{Argument, FunctionCall, dogpile_key_generator, kwarg_key_generator};
use dogpile::{CreateError, RegionConfig};
use dogpile_tests::errors::OutOfStock;
use dogpile_tests::regions::{Subject, on_each, region_of};

use super::Calls;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn closure_is_called_once_per_tuple_of_arguments() {
    on_each(|Subject { region, clock }| {
        let calls = Calls::default();
        let count = |text: &str, number: i32| format!("{text}{number}, call {}", calls.next());
        let cached = region.cache_on_arguments("m:f").namespace("ns").expiration_time(SECOND).wrap(count);
        assert_eq!(cached.call(("a", 1)), "a1, call 1");
        assert_eq!(cached.call(("a", 2)), "a2, call 2");
        assert_eq!(cached.call(("a", 1)), "a1, call 1");
        assert_eq!(cached.get(&("a", 1)).unwrap().as_deref(), Some("a1, call 1"));
        clock.advance(2 * SECOND);
        assert_eq!(cached.get(&("a", 1)).unwrap(), None);
        assert_eq!(cached.call((String::from("a").as_str(), 1)), "a1, call 3");

        cached.set("set".to_owned(), &("a", 1)).unwrap();
        assert_eq!(cached.call(("a", 1)), "set");
        assert_eq!(cached.refresh(("a", 1)).unwrap(), "a1, call 4");
        cached.invalidate(&("a", 1)).unwrap();
        assert_eq!(cached.call(("a", 1)), "a1, call 5");
        assert_eq!((cached.original())("a", 1), "a1, call 6");
        assert_eq!(cached.key(&("a b", 1)), "m:f|ns|a b 1");
    });
}

#[test]
fn closure_errors_and_rejected_values_are_not_cached() {
    let region = region_of("closures", RegionConfig::new("dogpile.cache.memory"));
    let calls = Calls::default();
    let price = |item: &str| if item == "gone" { Err(OutOfStock) } else { Ok(calls.next()) };
    let cached = region
        .cache_on_arguments("m:price")
        .expiration_time(|| 60_u64)
        .should_cache_fn(|price: &u32| price.is_multiple_of(2))
        .wrap_fallible(price);
    assert_eq!((cached.call(("gone",)), cached.call(("gone",))), (Err(OutOfStock), Err(OutOfStock)));
    assert_eq!([(); 3].map(|()| cached.call(("tea",))), [Ok(1), Ok(2), Ok(2)]);
    assert!(matches!(cached.refresh(("gone",)), Err(CreateError::Creator(OutOfStock))));
    assert_eq!((cached.refresh(("tea",)).unwrap(), cached.call(("tea",))), (3, Ok(2)));
}

fn first_two(call: &FunctionCall<'_>, key: &mut String) {
    let texts: Vec<String> = call.arguments().iter().take(2).map(Argument::text).collect();
    key.push_str(&texts.concat());
}

#[test]
fn closure_uses_its_own_key_generator() {
    let region = region_of("closures", RegionConfig::new("dogpile.cache.memory"));
    let options = || region.cache_on_arguments("m:f").argument_names(["b", "a", "c"]);
    let key = ("x y", "z", 3);
    let f = |b: &str, a: &str, c: i32| format!("{a}{b}{c}");
    assert_eq!(options().wrap(f).key(&key), "m:f|\"x y\" z 3");
    assert_eq!(options().function_key_generator(dogpile_key_generator).wrap(f).key(&key), "m:f|x y z 3");
    assert_eq!(options().function_key_generator(kwarg_key_generator).wrap(f).key(&key), "m:f|z x y 3");
    let shouted = options().to_str(|value| Argument::new("", value).text().to_uppercase());
    assert_eq!(shouted.wrap(f).key(&key), "m:f|\"X Y\" Z 3");
    let cached = options().function_key_generator(first_two).wrap(f);
    assert_eq!((cached.call(key), cached.call(("x y", "z", 4))), ("zx y3".into(), "zx y3".into()));
    assert_eq!(region.cache_on_arguments("m:none").wrap(|| 7).call(()), 7);
}

#[test]
fn multi_closure_is_called_for_missing_keys_only() {
    on_each(|Subject { region, .. }| {
        let calls = Calls::default();
        let squares = |numbers: &[u32]| -> Vec<(u32, u32)> {
            let call = calls.next();
            numbers.iter().map(|number| (number * number, call)).collect()
        };
        let cached = region.cache_multi_on_arguments("m:squares").wrap(squares);
        assert_eq!(cached.call(&[1, 2]), [(1, 1), (4, 1)]);
        assert_eq!(cached.call(&[3, 2]), [(9, 2), (4, 1)]);
        assert_eq!(cached.get(&[4, 3]).unwrap(), [None, Some((9, 2))]);
        cached.set([(4, (0, 0))]).unwrap();
        cached.invalidate(&[3]).unwrap();
        assert_eq!(cached.call(&[4, 3]), [(0, 0), (9, 3)]);
        assert_eq!(cached.refresh(&[4]).unwrap(), [(16, 4)]);
        assert_eq!(cached.key(&[4, 5]), ["m:squares|4", "m:squares|5"]);
    });
}

#[test]
fn multi_closure_returning_a_map_may_leave_keys_out() {
    let region = region_of("closures", RegionConfig::new("dogpile.cache.memory"));
    let calls = Calls::default();
    let roots = |numbers: &[i32]| {
        calls.next();
        match numbers {
            [] => Err(OutOfStock),
            _ => Ok(numbers.iter().filter(|n| **n >= 0).map(|n| (*n, n.isqrt())).collect::<HashMap<_, _>>()),
        }
    };
    let keys = |call: &FunctionCall<'_>| call.arguments().iter().map(Argument::text).collect::<Vec<_>>();
    let cached =
        region.cache_multi_on_arguments("m:roots").function_multi_key_generator(keys).wrap_fallible(roots);
    assert_eq!(cached.call(&[4, -4]), Ok(HashMap::from([(4, 2)])));
    assert_eq!(cached.call(&[4, 9]), Ok(HashMap::from([(4, 2), (9, 3)])));
    assert_eq!(cached.get(&[9, -4]).unwrap(), HashMap::from([(9, 3)]));
    assert_eq!((region.get("9").unwrap(), calls.count()), (Some(3), 2));
    assert!(matches!(cached.refresh(&[]), Err(CreateError::Creator(OutOfStock))));
    let sorted = region.cache_multi_on_arguments("m:sorted");
    let sorted =
        sorted.wrap(|keys: &[u8]| keys.iter().map(|key| (*key, 2 * key)).collect::<BTreeMap<_, _>>());
    assert_eq!(sorted.call(&[2, 1]), BTreeMap::from([(1, 2), (2, 4)]));
}

#[test]
fn closure_is_called_uncached_if_the_region_fails() {
    let memory = RegionConfig::new("dogpile.cache.memory");
    let failing = memory.wrap_with("dogpile.proxy.chaos", serde_json::json!({ "errors": 1 }));
    let region = region_of("failing closures", failing);
    let cached = region.cache_on_arguments("m:f").wrap(|number: i32| 2 * number);
    let many = region.cache_multi_on_arguments("m:g").wrap(|numbers: &[i32]| numbers.to_vec());
    assert_eq!(cached.call((2,)), 4);
    assert_eq!(many.call(&[2, 3]), [2, 3]);
    assert!(many.get(&[2]).is_err());
}
