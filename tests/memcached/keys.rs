//! Keys that are named like locks, or that a server does not accept.

use dogpile_tests::regions::region_of;
use dogpile_tests::threads::bounded;
use serde_json::json;

use super::{BACKENDS, RegionConfig, region, say, server};

/// Without the replacement, the value would be the lock of "report", and the creator would wait for five minutes.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn value_named_like_a_lock_does_not_block_a_creator() {
    bounded(|| {
        let server = server();
        for backend in BACKENDS {
            say(server.port(), "flush_all");
            let region = region(&(backend, json!({})), &[server.port()]);
            region.set("_lockreport", "text".to_owned()).unwrap();
            assert_eq!(region.get_or_create("report", || 5).unwrap(), 5, "{backend}");
            assert_eq!(region.get::<String>("_lockreport").unwrap().as_deref(), Some("text"));
        }
    });
}

/// The lock of a replaced key has at most 250 bytes, too.
#[cfg_attr(missing_memcached, ignore = "needs memcached")]
#[test]
fn refused_keys_are_stored_and_locked_under_their_sha256() {
    bounded(|| {
        let server = server();
        let region = region(&("dogpile.cache.memcached", json!({})), &[server.port()]);
        for key in ["with a space", "line\nbreak", "_locktea", "_dogpile:tea", &"k".repeat(246)] {
            let stored = region.mangled_key(key).unwrap();
            assert!(stored.starts_with("_dogpile:sha256:") && stored.len() == 80, "{stored}");
            let is_locked = || !say(server.port(), &format!("mg _lock{stored} v")).starts_with("EN");
            assert!(region.get_or_create(key, is_locked).unwrap(), "{key:?}");
            assert!(!is_locked(), "{key:?}");
            assert!(!say(server.port(), &format!("mg {stored} v")).starts_with("EN"), "{key:?}");
        }
        let fitting = "k".repeat(245);
        assert_eq!(region.mangled_key(&fitting).unwrap(), fitting);
    });
}

#[test]
fn lock_prefix_is_reserved_only_while_locks_are_in_use() {
    let region = |has_locks: bool| {
        let config = RegionConfig::new("dogpile.cache.memcached").argument("url", "127.0.0.1:1");
        region_of("keys", config.argument("distributed_lock", has_locks))
    };
    assert!(region(true).mangled_key("_locktea").unwrap().starts_with("_dogpile:sha256:"));
    assert_eq!(region(false).mangled_key("_locktea").unwrap(), "_locktea");
    assert!(region(false).mangled_key("_dogpile:tea").unwrap().starts_with("_dogpile:sha256:"));
}
