//! Passwords never appear in errors or `Debug` output.

use std::error::Error;
use std::fmt::Debug;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::servers::free_port;
use dogpile_tests::threads::bounded;

use super::server;

const PASSWORD: &str = "hunter2";

fn assert_no_password_in_debug(shown: &dyn Debug) {
    let shown = format!("{shown:?} {shown:#?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}

fn assert_no_password(error: &(dyn Error + 'static)) {
    assert_no_password_in_debug(&error);
    assert!(!told(error).contains(PASSWORD), "{}", told(error));
}

/// Uses a region with `config` and checks that nothing it shows contains the password.
///
/// Returns the text of the first error.
fn inspect(config: RegionConfig) -> String {
    assert_no_password_in_debug(&config);
    let region = CacheRegion::new("secret");
    if let Err(error) = region.configure(config) {
        assert_no_password(&error);
        return told(&error);
    }
    let backend = region.backend().unwrap();
    let mutex = backend.get_mutex("key").unwrap();
    assert_no_password_in_debug(&(&region, &backend, &mutex));
    let error = region.get::<i32>("key").unwrap_err();
    assert_no_password(&error);
    assert_no_password(&region.set("key", 1).unwrap_err());
    assert_no_password(&region.get_or_create("key", || 1).unwrap_err());
    assert_no_password(&mutex.try_acquire().unwrap_err());
    assert_no_password(&mutex.acquire_until(std::time::Instant::now()).unwrap_err());
    assert_no_password(&mutex.release().unwrap_err());
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

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn rejected_password_is_not_shown() {
    bounded(|| {
        let server = server(&["--requirepass", "0123"]);
        let port = server.port();
        let url = |url: String| config().argument("url", url);
        for config in [
            with_password(config(), port),
            with_password(config().argument("username", "stranger"), port),
            url(format!("redis://:{PASSWORD}@127.0.0.1:{port}/0")),
            url(format!("redis://stranger:{PASSWORD}@127.0.0.1:{port}/0")),
        ] {
            let error = inspect(config);
            assert!(
                error.contains(&format!(
                    "Redis server 127.0.0.1:{port} rejected the login; check \"username\""
                )),
                "{error}"
            );
        }
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn password_for_unreachable_server_is_not_shown() {
    bounded(|| {
        let port = free_port();
        let error = inspect(with_password(config(), port));
        assert!(error.contains(&format!("cannot reach Redis server 127.0.0.1:{port}: ")), "{error}");
        inspect(config().argument("url", format!("redis://:{PASSWORD}@127.0.0.1:{port}/0")));
    });
}

#[test]
fn password_in_invalid_arguments_is_not_shown() {
    for url in [
        format!("nonsense://user:{PASSWORD}@there/0"),
        format!("redis://user:{PASSWORD}@there:no/0"),
        format!("redis://user:{PASSWORD}@there/no"),
        format!("{PASSWORD}@there"),
    ] {
        inspect(config().argument("url", url));
    }
    for name in ["pasword", "lock_prefix", "port", "pool_size"] {
        inspect(with_password(config(), 6379).argument(name, "invalid"));
    }
}
