//! The Redis backends: one server for all, and one that asks who one is.

use std::sync::{Arc, OnceLock};

use dogpile::sdk::Arguments;

use super::Subject;
use crate::redis::RedisServer;
use crate::servers::installed;

pub(super) fn subjects() -> Vec<Subject> {
    vec![
        redis("redis", "dogpile.cache.redis", || on_port("")),
        redis("redis_distributed_lock", "dogpile.cache.redis", || on_port("distributed_lock = true")),
        redis("redis_lock_prefix", "dogpile.cache.redis", || {
            on_port("distributed_lock = true\nlock_prefix = '_lok.'")
        }),
        // The protocol is one; that a Valkey server speaks it is for a test that has one.
        redis("valkey_over_redis", "dogpile.cache.valkey", || on_port("distributed_lock = true")),
        redis("redis_expiring", "dogpile.cache.redis", || on_port("redis_expiration_time = 600")),
        redis("redis_unix_socket", "dogpile.cache.redis", || {
            format!("url = 'unix://{}?db=1'\ndistributed_lock = true", open_server().socket())
        }),
        redis("redis_user", "dogpile.cache.redis", || {
            let port = guarded_server().port();
            format!("port = {port}\nhost = '127.0.0.1'\nusername = 'tester'\npassword = '0123'")
        }),
    ]
}

fn on_port(more: &str) -> String {
    format!("host = '127.0.0.1'\nport = {}\n{more}", open_server().port())
}

fn open_server() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(|| RedisServer::start(&[]).expect("it is installed"))
}

fn guarded_server() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let user = ["--user", "tester", "on", ">0123", "~*", "&*", "+@all"];
        let arguments = [&["--requirepass", "secret"][..], &user].concat();
        RedisServer::start(&arguments).expect("it is installed")
    })
}

/// `arguments` is TOML.
fn redis(name: &'static str, backend: &'static str, arguments: fn() -> String) -> Subject {
    let missing = installed("redis-server").err();
    let arguments =
        Arc::new(move || toml::from_str::<Arguments>(&arguments()).expect("the arguments are TOML"));
    Subject { name, package: "dogpile-redis-dylib", backend, arguments, missing }
}
