//! The proxies that come with dogpile.

use std::sync::Arc;

use dogpile::sdk::ErrorKind;
use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::events::{Events, Told};
use dogpile_tests::regions::region_of;
use dogpile_tests::scripted::Scripted;

/// Returns a region that puts `prefix` before its keys in `store`.
fn prefixed(store: &Arc<Scripted>, prefix: &str) -> CacheRegion {
    let arguments = serde_json::json!({ "prefix": prefix });
    region_of(
        "proxied",
        RegionConfig::from_instance(store.clone()).wrap_with("dogpile.proxy.key_prefix", arguments),
    )
}

#[test]
fn readonly_proxy_serves_reads_and_rejects_writes() {
    let store = Scripted::new();
    let writer = region_of("proxied", RegionConfig::from_instance(store.clone()));
    let reader = region_of("proxied", RegionConfig::from_instance(store).wrap("dogpile.proxy.readonly"));
    writer.set("key", 1).unwrap();
    assert_eq!(reader.get("key").unwrap(), Some(1));
    let rejections = [
        reader.set("key", 2),
        reader.delete("key"),
        reader.set_multi([("key", 2)]),
        reader.delete_multi(&["key"]),
    ];
    for rejection in rejections {
        let error = rejection.unwrap_err();
        assert_eq!(error.backend_error().unwrap().kind(), ErrorKind::Refused);
        assert!(!error.is_transient());
    }
    assert_eq!(writer.get("key").unwrap(), Some(1));
}

#[test]
fn key_prefix_proxy_separates_regions_over_one_store() {
    let store = Scripted::with_mutexes();
    let (users, orders) = (prefixed(&store, "u:"), prefixed(&store, "o:"));
    users.set("1", 1).unwrap();
    orders.get_or_create("1", || 2).unwrap();
    orders.set_multi([("2", 3)]).unwrap();
    assert_eq!(store.stored_keys(), ["o:1", "o:2", "u:1"]);
    assert_eq!(store.keys_of("get_mutex"), ["o:1"]);
    orders.delete("1").unwrap();
    orders.delete_multi(&["2"]).unwrap();
    assert_eq!(users.get_multi(&["1"]).unwrap(), [Some(1)]);
    assert_eq!(store.stored_keys(), ["u:1"]);
}

#[test]
fn regions_with_different_key_prefixes_do_not_share_locks() {
    let store = Scripted::new();
    let (users, orders) = (prefixed(&store, "u:"), prefixed(&store, "o:"));
    let made = users.get_or_create("1", || {
        assert!(users.key_is_locked("1").unwrap() && !orders.key_is_locked("1").unwrap());
        orders.set("1", 5).unwrap();
        orders.delete("1").unwrap();
        orders.get_or_create("1", || 2).unwrap() + 1
    });
    assert_eq!(made.unwrap(), 3);
    assert_eq!((users.get("1").unwrap(), orders.get("1").unwrap()), (Some(3), Some(2)));

    let others = prefixed(&store, "u:");
    let plain = region_of("plain", RegionConfig::from_instance(store.clone()));
    users.delete("1").unwrap();
    users
        .get_or_create("1", || {
            assert!(others.key_is_locked("1").unwrap(), "regions with the same prefix share the lock");
            assert!(
                plain.key_is_locked("u:1").unwrap(),
                "a region without a prefix shares the lock of the stored key"
            );
            assert!(!plain.key_is_locked("1").unwrap(), "another stored key has another lock");
            4
        })
        .unwrap();
}

#[test]
fn logging_proxy_logs_every_call() {
    let events = Events::with("label", "logged calls");
    let store = Scripted::new();
    let arguments = serde_json::json!({ "label": "logged calls" });
    let config = RegionConfig::from_instance(store.clone()).wrap_with("dogpile.proxy.logging", arguments);
    let region = region_of("proxied", config);
    region.get::<i32>("key").unwrap();
    region.set("key", 1).unwrap();
    region.get_multi::<i32>(&["key", "other"]).unwrap();
    store.fail("delete", ErrorKind::Timeout);
    region.delete("key").unwrap_err();
    let lines: Vec<String> = events.take().iter().map(line).collect();
    let expected = [
        "DEBUG get \"key\" miss",
        "DEBUG set \"key\" done",
        "DEBUG get_multi [\"key\", \"other\"] 1 of 2 hit",
        "WARN delete \"key\" scripted failure",
    ];
    assert_eq!(lines, expected);
}

/// Formats an event of the logging proxy as one line.
fn line(event: &Told) -> String {
    let field = |name| event.fields.get(name).map_or("", String::as_str);
    let outcome = format!("{}{}", field("outcome"), field("error"));
    format!("{} {} {} {outcome}", event.level, field("operation"), field("keys"))
}
