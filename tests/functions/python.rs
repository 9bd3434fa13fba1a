//! Keys and values shared with dogpile.cache in Python.

use dogpile::function::{
    Argument, CacheKey, Function, FunctionCall, dogpile_key_generator, dogpile_multi_key_generator,
    kwarg_key_generator,
};
use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};
use dogpile_tests::peer::Peer;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::servers::python;
use dogpile_tests::threads::bounded;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// An argument in Rust and the same one in Python source.
struct Both {
    ours: Box<dyn CacheKey>,
    python: String,
}

impl std::fmt::Debug for Both {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.python)
    }
}

fn both(ours: impl CacheKey + 'static, python: impl Into<String>) -> Both {
    Both { ours: Box::new(ours), python: python.into() }
}

/// Returns `text` as a Python string literal.
fn literal(text: &str) -> String {
    let escaped: String = text.chars().map(|character| format!("\\U{:08x}", u32::from(character))).collect();
    format!("'{escaped}'")
}

/// Generates arguments that exist in both languages.
fn argument() -> impl Strategy<Value = Both> {
    let text = || "[ -~]{0,6}|[a-zé\u{301}\u{a0}\u{200b}\u{1f600}\n\t\\\\'\"|]{0,6}";
    prop_oneof![
        any::<i64>().prop_map(|number| both(number, number.to_string())),
        any::<u128>().prop_map(|number| both(number, number.to_string())),
        any::<bool>().prop_map(|truth| both(truth, if truth { "True" } else { "False" })),
        text().prop_map(|text| both(text.clone(), literal(&text))),
        any::<f64>().prop_map(|number| both(number, format!("float('{number:e}')"))),
        (-400..400_i32, 0..100_000_u32).prop_map(|(exponent, digits)| {
            let number: f64 = format!("{digits}e{exponent}").parse().unwrap();
            both(number, format!("float('{digits}e{exponent}')"))
        }),
        any::<Option<i8>>().prop_map(|number| {
            both(number, number.map_or_else(|| "None".to_owned(), |number| number.to_string()))
        }),
        proptest::collection::vec(text(), 0..3).prop_map(|texts| {
            let python: Vec<String> = texts.iter().map(|text| literal(text)).collect();
            both(texts, format!("[{}]", python.join(",")))
        }),
        (text(), any::<f64>()).prop_map(|(text, number)| {
            let python = format!("({}, float('{number:e}'))", literal(&text));
            both((text, number), python)
        }),
        any::<i8>().prop_map(|number| both((number,), format!("({number},)"))),
    ]
}

/// Argument names that are not sorted.
const NAMES: [&str; 4] = ["b", "a", "d", "c"];

/// Returns the call in the form that the peer expects.
fn asked(generator: &str, namespace: Option<&str>, values: &[Both]) -> Value {
    let names = &NAMES[..values.len()];
    let args: String = values.iter().map(|value| format!("{},", value.python)).collect();
    json!({
        "generator": generator, "name": "shop.prices:price", "namespace": namespace,
        "parameters": if generator == "multi" { "*keys".to_owned() } else { names.join(", ") },
        "args": format!("({args})"), "kwargs": "{}",
    })
}

fn ours(generator: &str, namespace: Option<&str>, values: &[Both]) -> Value {
    let function = Function::new("shop.prices:price");
    let function = namespace.map_or(function, |namespace| function.in_namespace(namespace));
    let arguments: Vec<_> =
        NAMES.iter().zip(values).map(|(name, value)| Argument::new(name, &*value.ours)).collect();
    let (call, mut key) = (FunctionCall::new(&function, &arguments), String::new());
    match generator {
        "multi" => return json!(dogpile_multi_key_generator(&call)),
        "kwarg" => kwarg_key_generator(&call, &mut key),
        _ => dogpile_key_generator(&call, &mut key),
    }
    json!(key)
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn generated_keys_equal_pythons_byte_for_byte() {
    let python = python().unwrap();
    let peer = Peer::start(&python, &json!({ "backend": "dogpile.cache.memory", "arguments": {} }));
    let (mut runner, values) = (TestRunner::deterministic(), proptest::collection::vec(argument(), 0..=4));
    let (mut calls, mut expected) = (Vec::new(), Vec::new());
    for number in 0..1500 {
        let values = values.new_tree(&mut runner).unwrap().current();
        let generator = ["plain", "kwarg", "multi"][number % 3];
        let namespace = ["", "ns", "a b|c"].get(number % 4).copied();
        calls.push(asked(generator, namespace, &values));
        expected.push(ours(generator, namespace, &values));
    }
    let reply = peer.ask(&json!({ "do": "function_keys", "calls": calls }));
    let reply = reply["values"].as_array().unwrap();
    assert_eq!(reply.len(), expected.len());
    for ((call, theirs), ours) in calls.iter().zip(reply).zip(&expected) {
        assert_eq!(ours, theirs, "{call}");
    }
}

#[cfg_attr(missing_python, ignore = "needs Python")]
#[test]
fn kwarg_key_fills_in_defaults_like_python() {
    let python = python().unwrap();
    let peer = Peer::start(&python, &json!({ "backend": "dogpile.cache.memory", "arguments": {} }));
    let call = |args: &str, kwargs: &str| {
        json!({
            "generator": "kwarg", "name": "m:f", "namespace": "ns", "parameters": "a, b=None, a2='é', c=10",
            "args": args, "kwargs": kwargs,
        })
    };
    let calls = [call("(1,)", "{}"), call("()", "{'a': 1}"), call("(1, None)", "{'c': 10}")];
    let reply = peer.ask(&json!({ "do": "function_keys", "calls": calls }));
    let none = None::<i32>;
    let defaults = [
        Argument::new("a", &1),
        Argument::default_of("b", &none),
        Argument::default_of("a2", &"é"),
        Argument::default_of("c", &10),
    ];
    let (function, mut key) = (Function::new("m:f").in_namespace("ns"), String::new());
    kwarg_key_generator(&FunctionCall::new(&function, &defaults), &mut key);
    assert_eq!(reply, json!({ "values": [key, key, key] }));
}

/// The counterpart of the Python function in the test below.
#[cache_on_arguments(region = region, ignore(region), key_name = "shop.prices:price", namespace = "eu")]
fn price(region: &CacheRegion, item: &str, year: u32) -> Vec<u32> {
    vec![u32::try_from(item.len()).unwrap(), year]
}

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn cached_function_shares_values_with_python() {
    bounded(|| {
        let (server, python) = (RedisServer::start(&[]).unwrap(), python().unwrap());
        let config = RegionConfig::new("dogpile.cache.redis").argument("port", server.port());
        let region = region_of("shared", config);
        let arguments = json!({ "host": "127.0.0.1", "port": server.port() });
        let peer = json!({ "backend": "dogpile.cache.redis", "arguments": arguments, "serializer": "json" });
        let peer = Peer::start(&python, &peer);
        let call = |args: &str| {
            peer.ask(&json!({
                "do": "call", "name": "shop.prices:price", "namespace": "eu", "parameters": "item, year",
                "args": args, "answer": "[7, 7]",
            }))
        };
        assert_eq!(price(&region, "green tea", 2026), [9, 2026]);
        assert_eq!(call("('green tea', 2026)"), json!({ "value": [9, 2026], "evaluated": false }));
        assert_eq!(call("('cup', 2026)"), json!({ "value": [7, 7], "evaluated": true }));
        assert_eq!(price(&region, "cup", 2026), [7, 7], "the value that Python stored");
        price::invalidate(&region, "green tea", 2026).unwrap();
        assert_eq!(call("('green tea', 2026)"), json!({ "value": [7, 7], "evaluated": true }));
    });
}
