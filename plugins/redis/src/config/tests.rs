use super::*;

fn connection(config: &RedisConfig) -> ConnectionInfo {
    config.server(&config.options(Deployment::Single)).unwrap()
}

/// Behaviour: `redis-connect-defaults`
#[test]
fn default_server_is_localhost() {
    let server = connection(&RedisConfig::default());
    assert_eq!(server.addr().to_string(), "localhost:6379");
    let login = server.redis_settings();
    assert_eq!((login.db(), login.username(), login.password()), (0, None, None));
}

/// Behaviour: `redis-connect-basics`, `redis-connect-password`, `redis-connect-username-password`
#[test]
fn server_and_login_are_as_configured() {
    let mut config = RedisConfig { host: "h".into(), port: 7, db: Some(3), ..RedisConfig::default() };
    config.password = Some("0123".into());
    let server = connection(&config);
    assert_eq!((server.addr().to_string().as_str(), server.redis_settings().db()), ("h:7", 3));
    assert_eq!(server.redis_settings().username(), None);
    assert_eq!(server.redis_settings().password(), Some("0123"));
    config.username = Some("user".into());
    assert_eq!(connection(&config).redis_settings().username(), Some("user"));
}

/// Behaviour: `redis-connect-url-wins`
#[test]
fn url_overrides_host_port_and_login() {
    let config = RedisConfig {
        url: Some("redis://u:p@there:5/2".into()),
        password: Some("other".into()),
        ..RedisConfig::default()
    };
    let server = connection(&config);
    assert_eq!(server.addr().to_string(), "there:5");
    assert_eq!((server.redis_settings().db(), server.redis_settings().password()), (2, Some("p")));
}

/// Behaviour: `redis-connect-socket-timeout`, `redis-connect-socket-timeout-1s`
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
    let error = config.server(&config.options(Deployment::Single)).unwrap_err();
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
    let server = config.sentinel_options().to(&Node::new("h", 1)).unwrap();
    assert_eq!(server.redis_settings().password(), None);
}
