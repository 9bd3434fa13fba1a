//! Passwords are nowhere to be read.

use std::error::Error;
use std::fmt::Debug;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::servers::free_port;
use dogpile_tests::threads::bounded;

use super::server;

const PASSWORD: &str = "hunter2";

fn has_no_password(shown: &dyn Debug) {
    let shown = format!("{shown:?} {shown:#?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

fn tells_no_password(error: &(dyn Error + 'static)) {
    has_no_password(&error);
    assert!(!told(error).contains(PASSWORD), "{}", told(error));
}

/// Configures a region so, uses it, and looks at all that is to be seen of it and its errors. Answers the first error.
fn look_at(config: RegionConfig) -> String {
    has_no_password(&config);
    let region = CacheRegion::new("secretive");
    if let Err(error) = region.configure(config) {
        tells_no_password(&error);
        return told(&error);
    }
    let backend = region.backend().unwrap();
    let mutex = backend.get_mutex("key").unwrap();
    has_no_password(&(&region, &backend, &mutex));
    let error = region.get::<i32>("key").unwrap_err();
    tells_no_password(&error);
    tells_no_password(&region.set("key", 1).unwrap_err());
    tells_no_password(&region.get_or_create("key", || 1).unwrap_err());
    tells_no_password(&mutex.try_acquire().unwrap_err());
    tells_no_password(&mutex.acquire_until(std::time::Instant::now()).unwrap_err());
    tells_no_password(&mutex.release().unwrap_err());
    told(&error)
}

fn config() -> RegionConfig {
    RegionConfig::new("dogpile.cache.redis")
        .argument("distributed_lock", true)
        .argument("socket_timeout", 1.0)
}

fn with_password(config: RegionConfig, port: u16) -> RegionConfig {
    config.argument("host", "127.0.0.1").argument("port", port).argument("password", PASSWORD)
}

#[test]
fn neither_errors_nor_debug_show_a_password_that_is_refused() {
    bounded(|| {
        let Some(server) = server(&["--requirepass", "0123"]) else { return };
        let port = server.port();
        let url = |url: String| config().argument("url", url);
        for config in [
            with_password(config(), port),
            with_password(config().argument("username", "nobody"), port),
            url(format!("redis://:{PASSWORD}@127.0.0.1:{port}/0")),
            url(format!("redis://nobody:{PASSWORD}@127.0.0.1:{port}/0")),
        ] {
            let error = look_at(config);
            assert!(error.contains("the Redis server refuses the user"), "{error}");
        }
    });
}

#[test]
fn neither_errors_nor_debug_show_a_password_for_a_server_that_is_not_there() {
    bounded(|| {
        let port = free_port();
        let error = look_at(with_password(config(), port));
        assert!(error.contains("the Redis server cannot be reached"), "{error}");
        look_at(config().argument("url", format!("redis://:{PASSWORD}@127.0.0.1:{port}/0")));
    });
}

#[test]
fn neither_errors_nor_debug_show_a_password_in_arguments_that_are_refused() {
    for url in [
        format!("nonsense://user:{PASSWORD}@there/0"),
        format!("redis://user:{PASSWORD}@there:no/0"),
        format!("redis://user:{PASSWORD}@there/no"),
        format!("{PASSWORD}@there"),
    ] {
        look_at(config().argument("url", url));
    }
    for name in ["pasword", "lock_prefix", "port", "pool_size"] {
        look_at(with_password(config(), 6379).argument(name, "refused"));
    }
}
