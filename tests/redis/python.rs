//! One cache for Python's dogpile.cache and for us.

use std::path::Path;
use std::process::Command;
use std::thread;

use dogpile::{CacheRegion, RegionConfig, sha1_mangle_key};
use dogpile_tests::interop;
use dogpile_tests::peer::Peer;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::servers::python;
use dogpile_tests::threads::{bounded, until};
use serde_json::{Value, json};

use super::{config, count, say, server};

/// The settings that both sides of a cache share.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// The serializer of Python. `None` is its default.
    serializer: &'static str,
    mangled: bool,
}

/// All combinations.
const TERMS: [Terms; 4] = [
    Terms { serializer: "pickle", mangled: false },
    Terms { serializer: "pickle", mangled: true },
    Terms { serializer: "json", mangled: false },
    Terms { serializer: "json", mangled: true },
];

impl Terms {
    fn python(self, python: &Path, server: &RedisServer) -> Peer {
        let arguments = json!({
            "host": "127.0.0.1", "port": server.port(), "distributed_lock": true, "thread_local_lock": false,
            "lock_sleep": 0.01,
        });
        Peer::start(
            python,
            &json!({
                "backend": "dogpile.cache.redis", "arguments": arguments,
                "serializer": self.serializer, "mangled": self.mangled,
            }),
        )
    }

    fn region(self, server: &RedisServer) -> CacheRegion {
        region_of("shared with Python", self.config(config(server)))
    }

    fn config(self, config: RegionConfig) -> RegionConfig {
        let config = config.serializer_named(self.serializer);
        if self.mangled { config.key_mangler(sha1_mangle_key) } else { config }
    }

    /// Returns the name of a key on the server.
    fn key(self, key: &str) -> String {
        if self.mangled { sha1_mangle_key(key) } else { key.to_owned() }
    }
}

/// Runs `test` with a Python process and with a region of ours, on one empty server, with each of the settings.
fn on_all_terms(test: impl Fn(Terms, &Peer, &CacheRegion, &RedisServer) + Send + 'static) {
    bounded(move || {
        let python = python().unwrap();
        let server = server(&[]);
        for terms in TERMS {
            say(server.port(), "FLUSHALL\r\nCONFIG RESETSTAT");
            test(terms, &terms.python(&python, &server), &terms.region(&server), &server);
        }
    });
}

/// Behavior: `redis-serializer-suite`
#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn values_are_read_by_both() {
    on_all_terms(|terms, python, region, server| {
        let values = [json!([1, 2.5]), json!({ "a": { "b": [] } }), json!("ä|é"), json!(null), json!(true)];
        for (key, value) in ["a", "b", "a key", "Schlüssel", "e"].iter().zip(&values) {
            region.set(key, value.clone()).unwrap();
            assert_eq!(python.get(key).as_ref(), Some(value), "{terms:?}");
            assert_eq!(say(server.port(), &format!("EXISTS '{}'", terms.key(key))), ":1\r\n");
            region.delete(key).unwrap();
            assert_eq!(python.get(key), None);
            python.set(key, value);
            assert_eq!(region.get(key).unwrap().as_ref(), Some(value), "{terms:?}");
        }
    });
}

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn many_values_at_once_are_read_by_both() {
    on_all_terms(|_, python, region, _| {
        region.set_multi([("a", 1), ("b", 2)]).unwrap();
        python.ask(&json!({ "do": "set_multi", "values": { "c": 3, "d": 4 } }));
        let keys = ["a", "missing", "c", "b", "d"];
        let found = [Some(1), None, Some(3), Some(2), Some(4)];
        assert_eq!(region.get_multi::<i32>(&keys).unwrap(), found);
        assert_eq!(python.ask(&json!({ "do": "get_multi", "keys": keys })), json!({ "values": found }));
    });
}

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn key_deleted_by_either_side_is_missing_for_the_other() {
    on_all_terms(|_, python, region, _| {
        region.set("key", 1).unwrap();
        python.ask(&json!({ "do": "delete", "key": "key" }));
        assert_eq!(region.get::<i32>("key").unwrap(), None);
    });
}

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn lock_of_either_side_excludes_the_other() {
    on_all_terms(|terms, python, region, _| interop::a_lock_is_shared(python, region, &terms.key("key")));
}

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn python_waits_for_our_creator() {
    on_all_terms(|_, python, region, server| {
        // The first attempt to set the lock was ours, and the others are Python's.
        interop::python_waits_for_our_creator(python, region, || count(server.port(), "set") >= 4);
    });
}

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn we_wait_for_pythons_creator() {
    on_all_terms(|_, python, region, server| {
        // The first attempt to set the lock was Python's, and the others are ours.
        interop::we_wait_for_pythons_creator(python, region, || count(server.port(), "set") >= 4);
    });
}

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn release_by_python_is_found_by_polling() {
    on_all_terms(|_, python, region, server| {
        python.begin_to_create("key", &json!(1));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| region.get_or_create("key", || 2).unwrap());
            until("we listen", || count(server.port(), "subscribe") == 1);
            python.end_creation();
            assert_eq!(waiting.join().unwrap(), 1);
        });
        // The one publication is our own release.
        assert_eq!(count(server.port(), "publish"), 1);
    });
}

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn lock_of_a_killed_python_is_held_until_its_timeout() {
    bounded(|| {
        let python = python().unwrap();
        let server = server(&[]);
        let arguments = json!({
            "host": "127.0.0.1", "port": server.port(), "distributed_lock": true, "lock_timeout": 1,
        });
        let configuration = json!({ "backend": "dogpile.cache.redis", "arguments": arguments });
        let python = Peer::start(&python, &configuration);
        python.begin_to_create("key", &json!(1));
        python.kill();
        let region = TERMS[0].region(&server);
        assert!(region.key_is_locked("key").unwrap());
        assert_eq!(region.get_or_create("key", || 2).unwrap(), 2);
    });
}

/// A cached function of Python. The program calls it with its arguments and prints the result.
const CACHED_FUNCTION: &str = "
import sys, json
from dogpile.cache import make_region
from dogpile.cache.util import sha1_mangle_key
port, mangled = int(sys.argv[1]), sys.argv[2] == 'mangled'
region = make_region(key_mangler=sha1_mangle_key if mangled else None).configure(
    'dogpile.cache.redis', arguments=dict(host='127.0.0.1', port=port, distributed_lock=True))

@region.cache_on_arguments()
def plain(left, right):
    return [left, right]

@region.cache_on_arguments(namespace='space')
def named(left, right):
    return [left, right]

print(json.dumps([plain(1, 'ä'), named(2, 'b')]))
";

#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
#[test]
fn values_of_functions_are_under_the_keys_that_python_generates() {
    bounded(|| {
        let python = python().unwrap();
        let server = server(&[]);
        for terms in [TERMS[0], TERMS[1]] {
            say(server.port(), "FLUSHALL");
            let region = terms.region(&server);
            let call = || -> Value {
                let port = server.port().to_string();
                let arguments = ["-c", CACHED_FUNCTION, &port, if terms.mangled { "mangled" } else { "" }];
                let ran = Command::new(&python).args(arguments).output().unwrap();
                assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
                serde_json::from_slice(&ran.stdout).unwrap()
            };
            assert_eq!(call(), json!([[1, "ä"], [2, "b"]]));
            let keys = ["__main__:plain|1 ä", "__main__:named|space|2 b"];
            assert_eq!(region.get_multi(&keys).unwrap(), [Some(json!([1, "ä"])), Some(json!([2, "b"]))]);
            region.set(keys[0], json!("ours")).unwrap();
            assert_eq!(call(), json!(["ours", [2, "b"]]));
        }
    });
}
