//! Keys that are named like locks.

use dogpile::RegionConfig;
use dogpile_tests::peer::Peer;
use dogpile_tests::regions::region_of;
use dogpile_tests::servers::python;
use dogpile_tests::threads::bounded;
use serde_json::json;

use super::{config, config_of, region, say, server};

/// Returns the names of all keys on the server, sorted.
fn names(port: u16) -> Vec<String> {
    let reply = say(port, "KEYS *");
    let mut names: Vec<String> =
        reply.lines().filter(|line| !line.starts_with(['*', '$'])).map(str::to_owned).collect();
    names.sort();
    names
}

/// Without the replacement, the value would be the lock of "report", and the creator would wait for five minutes.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn value_named_like_a_lock_does_not_block_a_creator() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        region.set("_lockreport", "text".to_owned()).unwrap();
        assert_eq!(region.get_or_create("report", || 5).unwrap(), 5);
        // While "report" is created, its lock exists. Setting and deleting the other key leaves it alone.
        let lost = region.get_or_create("report 2", || {
            region.set("_lockreport 2", 1).unwrap();
            region.delete("_lockreport 2").unwrap();
            names(server.port()).iter().all(|name| name != "_lockreport 2")
        });
        assert!(!lost.unwrap(), "the lock must survive");
        assert_eq!(region.get::<String>("_lockreport").unwrap().as_deref(), Some("text"));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn creator_of_a_key_named_like_a_lock_locks_its_replacement() {
    bounded(|| {
        let server = server(&[]);
        let region = region(&server);
        let stored = region.mangled_key("_locktea").unwrap();
        assert!(stored.starts_with("_dogpile:sha256:"), "{stored}");
        let locks = region.get_or_create("_locktea", || names(server.port())).unwrap();
        assert_eq!(locks, [format!("_lock{stored}")]);
        assert_eq!(names(server.port()), [stored]);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn lock_prefix_is_reserved_only_while_locks_are_in_use() {
    bounded(|| {
        let server = server(&[]);
        let set = |config: RegionConfig, key: &str| {
            say(server.port(), "FLUSHALL");
            region_of("keys", config).set(key, 1).unwrap();
            names(server.port()) == [key]
        };
        let other = || config(&server).argument("lock_prefix", "held.");
        assert!(!set(other(), "held.tea") && set(other(), "_locktea"));
        let none = || config_of("dogpile.cache.redis", &server).argument("distributed_lock", false);
        assert!(set(none(), "_locktea") && !set(none(), "_dogpile:tea"));
    });
}

/// Python stores every key as it is, so that the two sides share no key that begins like a lock.
#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn key_named_like_a_lock_is_not_shared_with_python() {
    bounded(|| {
        let python = python().unwrap();
        let server = server(&[]);
        let arguments = json!({ "host": "127.0.0.1", "port": server.port() });
        let configuration =
            json!({ "backend": "dogpile.cache.redis", "arguments": arguments, "serializer": "json" });
        let python = Peer::start(&python, &configuration);
        let region = region(&server);
        for key in ["tea", "_locktea"] {
            python.set(key, &json!("Python's"));
            let ours: Option<String> = region.get(key).unwrap();
            assert_eq!(ours.is_some(), key == "tea", "{key}");
        }
    });
}
