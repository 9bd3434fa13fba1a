use dogpile_sdk::Arguments;

use super::*;
use crate::connection::Login;

/// Returns the address of the server, and the login.
fn connection(config: &RedisConfig) -> (String, Login) {
    let (address, options) = config.server(Deployment::Single).unwrap();
    (address.to_string(), options.profile(false).unwrap().login)
}

fn login(username: Option<&str>, password: Option<&str>, db: u32) -> Login {
    Login { username: username.map(str::to_owned), password: password.map(str::to_owned), db }
}

/// Behavior: `redis-connect-defaults`
#[test]
fn default_server_is_localhost() {
    assert_eq!(connection(&RedisConfig::default()), ("localhost:6379".to_owned(), Login::default()));
}

/// Behavior: `redis-connect-basics`, `redis-connect-password`, `redis-connect-username-password`
#[test]
fn server_and_login_are_as_configured() {
    let mut config = RedisConfig { host: "h".into(), port: 7, db: Some(3), ..RedisConfig::default() };
    config.password = Some("0123".into());
    assert_eq!(connection(&config), ("h:7".to_owned(), login(None, Some("0123"), 3)));
    config.username = Some("user".into());
    assert_eq!(connection(&config).1, login(Some("user"), Some("0123"), 3));
}

/// Behavior: `redis-connect-url-wins`
#[test]
fn url_overrides_host_port_and_login() {
    let config = RedisConfig {
        url: Some("redis://u:p@there:5/2?socket_timeout=7".into()),
        password: Some("other".into()),
        socket_timeout: Some(Duration::from_secs(1)),
        ..RedisConfig::default()
    };
    assert_eq!(connection(&config), ("there:5".to_owned(), login(Some("u"), Some("p"), 2)));
    let (_, options) = config.server(Deployment::Single).unwrap();
    assert_eq!(options.timeout().unwrap(), Duration::from_secs(7));
}

/// Behavior: `redis-connect-extra-kwargs`
#[test]
fn options_complete_a_url() {
    let written = r#"{"url": "redis://there:5/2", "connection_kwargs": {"ssl": true, "ssl_cert_reqs": "none", "socket_timeout": 0.5}}"#;
    let config: RedisConfig = serde_json::from_str(written).unwrap();
    let (address, options) = config.server(Deployment::Single).unwrap();
    assert_eq!(address.to_string(), "there:5");
    assert!(options.profile(false).unwrap().tls.is_some());
    assert_eq!(options.timeout().unwrap(), Duration::from_millis(500));
}

#[test]
fn url_in_place_of_a_host_is_refused_and_not_repeated() {
    let config = RedisConfig { host: "redis://:hunter2@there".into(), ..RedisConfig::default() };
    let error = config.check(Deployment::Single).unwrap_err();
    assert!(error.to_string().contains("a URL belongs in \"url\"") && !error.to_string().contains("hunter2"));
}

#[test]
fn number_out_of_bounds_is_refused() {
    let refused = |written: &str| {
        let config: RedisConfig = serde_json::from_str(written).unwrap();
        let checked = config.check(Deployment::Single);
        let error = checked.and_then(|()| config.leases()).map(drop).unwrap_err();
        (error.argument().unwrap().to_owned(), error.to_string())
    };
    let bounds = [
        (r#"{"redis_expiration_time": 9223372036854775807}"#, "redis_expiration_time", "at most 36500d"),
        (r#"{"redis_expiration_time": 0}"#, "redis_expiration_time", "at least 1"),
        (r#"{"lock_timeout": 1e19}"#, "lock_timeout", "at most 36500d"),
        (r#"{"lock_sleep": 1e19}"#, "lock_sleep", "at most 36500d"),
        (r#"{"lock_blocking_timeout": 1e19}"#, "lock_blocking_timeout", "at most 36500d"),
        (r#"{"pool_size": 0}"#, "pool_size", "at least 1"),
        (r#"{"max_value_bytes": 0}"#, "max_value_bytes", "at least 1"),
    ];
    for (written, argument, bound) in bounds {
        let (refused, error) = refused(written);
        assert!(refused == argument && error.contains(bound), "{written}: {error}");
    }
}

/// Behavior: `redis-connect-socket-timeout`, `redis-connect-socket-timeout-1s`
#[test]
fn timeouts_are_as_configured_and_never_none() {
    let options =
        |socket_timeout| RedisConfig { socket_timeout, ..RedisConfig::default() }.options(Deployment::Single);
    let half = Duration::from_millis(500);
    assert_eq!(options(Some(half)).timeout().unwrap(), half);
    assert_eq!(options(Some(half)).connect_timeout().unwrap(), half);
    assert_eq!(options(None).timeout().unwrap(), Duration::from_secs(3));
    let error = options(Some(Duration::ZERO)).timeout().unwrap_err();
    assert_eq!(error.to_string(), "invalid argument \"socket_timeout\": 0s is too short; use at least 1ms");
}

#[test]
fn times_are_seconds_or_durations() {
    for written in ["3", "3.0", "\"3s\"", "\"3\""] {
        let written = format!(r#"{{"socket_timeout": {written}, "lock_sleep": {written}}}"#);
        let config: RedisConfig = serde_json::from_str(&written).unwrap();
        let expected = Duration::from_secs(3);
        assert_eq!((config.socket_timeout, config.lock_sleep), (Some(expected), expected));
    }
}

#[test]
fn debug_and_errors_show_no_password() {
    let config = RedisConfig {
        url: Some("nonsense://u:hunter2@there:5/2".into()),
        password: Some("hunter2".into()),
        ..RedisConfig::default()
    };
    let error = config.server(Deployment::Single).unwrap_err();
    assert!(!format!("{config:?} {error} {error:?}").contains("hunter2"));
}

#[test]
fn invalid_lock_prefix_is_refused() {
    for prefix in ["", "a", "elevenchars", "_lo k"] {
        let config = RedisConfig { lock_prefix: prefix.into(), ..RedisConfig::default() };
        assert!(config.check(Deployment::Single).is_err(), "{prefix:?}");
    }
    let config = RedisConfig { lock_prefix: "_lok.".into(), ..RedisConfig::default() };
    assert!(config.check(Deployment::Single).is_ok());
}

#[test]
fn servers_of_another_deployment_are_refused() {
    let refused = |written: &str, deployment| {
        let config: RedisConfig = serde_json::from_str(written).unwrap();
        let error = config.check(deployment).unwrap_err();
        assert!(error.to_string().contains(&format!("{:?}", error.argument().unwrap())), "{error}");
        error.to_string()
    };
    let names = [
        (refused("{}", Deployment::Sentinel), "\"sentinels\": it is missing"),
        (refused("{}", Deployment::Cluster), "\"startup_nodes\": it is missing"),
        (refused(r#"{"service_name": "m"}"#, Deployment::Single), "_sentinel"),
        (refused(r#"{"startup_nodes": ["h:1"]}"#, Deployment::Single), "_cluster"),
        (refused(r#"{"allowed_hosts": ["h"]}"#, Deployment::Single), "_sentinel or _cluster"),
        (
            refused(r#"{"startup_nodes": ["h:1"], "db": 1}"#, Deployment::Cluster),
            "\"db\": a cluster has only database 0",
        ),
        (refused(r#"{"sentinels": ["h:1"], "url": "redis://h"}"#, Deployment::Sentinel), "\"url\""),
    ];
    for (refused, name) in names {
        assert!(refused.contains(name), "{refused}");
    }
}

#[test]
fn sentinels_get_the_login_unless_overridden() {
    let config: RedisConfig = serde_json::from_str(r#"{"username": "u", "password": "p", "db": 2}"#).unwrap();
    let options = config.sentinel_options();
    assert_eq!(
        (options.username.as_deref(), options.password.as_deref(), options.db),
        (Some("u"), Some("p"), None)
    );
    let more = r#"{"password": "p", "sentinel_kwargs": {"password": ""}}"#;
    let config: RedisConfig = serde_json::from_str(more).unwrap();
    assert_eq!(config.sentinel_options().profile(false).unwrap().login.password, None);
}

#[test]
fn login_of_servers_with_tls_is_not_sent_in_the_clear() {
    let password = |written: &str| {
        let config: RedisConfig = serde_json::from_str(written).unwrap();
        config.sentinel_options().password
    };
    assert_eq!(password(r#"{"password": "p", "ssl": true}"#), None);
    assert_eq!(password(r#"{"password": "p", "connection_kwargs": {"ssl": true}}"#), None);
    let both = r#"{"password": "p", "ssl": true, "sentinel_kwargs": {"ssl": true}}"#;
    assert_eq!(password(both), Some("p".into()));
    let own = r#"{"password": "p", "ssl": true, "sentinel_kwargs": {"password": "q"}}"#;
    assert_eq!(password(own), Some("q".into()));
}

#[test]
fn lists_may_be_one_string() {
    let parsed = |given: serde_json::Value| {
        Arguments::from_serialize(given).unwrap().parse::<RedisConfig>().map_err(|error| error.to_string())
    };
    let config = parsed(serde_json::json!({ "sentinels": "a:1, [::1]:2", "startup_nodes": "b:3" })).unwrap();
    assert_eq!(config.sentinels, [Node::new("a", 1), Node::new("::1", 2)]);
    assert_eq!(config.startup_nodes, [Node::new("b", 3)]);
    let config = parsed(serde_json::json!({ "allowed_hosts": "10.0.0.7,*.cache.internal" })).unwrap();
    assert_eq!(config.allowed_hosts.unwrap(), ["10.0.0.7", "*.cache.internal"]);
    let refused = parsed(serde_json::json!({ "sentinels": "a:1,redis://:hunter2@b:2" })).unwrap_err();
    assert!(refused.contains("\"sentinels\"") && refused.contains("not a URL"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
}
