use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::client::{Distribution, Hash};

fn config(written: &str) -> MemcachedConfig {
    serde_json::from_str(written).unwrap()
}

/// Returns the client options of a configuration with the arguments `more`.
fn options(variant: Variant, more: &str) -> Options {
    let config = config(&format!(r#"{{"url": "h" {more}}}"#));
    config.check(variant).unwrap();
    config.options(variant).unwrap()
}

fn refused(variant: Variant, more: &str) -> String {
    let config = config(&format!(r#"{{"url": "h" {more}}}"#));
    let refused = config.check(variant).err().or_else(|| config.options(variant).err()).unwrap();
    assert!(refused.to_string().contains(&format!("{:?}", refused.argument().unwrap())), "{refused}");
    refused.to_string()
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Behavior: `memcached-url-scalar`, `memcached-url-list`
#[test]
fn url_names_one_server_or_several() {
    let addresses = |written| -> Vec<String> {
        let addresses = config(written).addresses(Variant::Pylibmc).unwrap();
        addresses.iter().map(ToString::to_string).collect()
    };
    assert_eq!(addresses(r#"{"url": "h:1"}"#), ["h:1"]);
    assert_eq!(addresses(r#"{"url": ["a:1", "b:2", "/run/c"]}"#), ["a:1", "b:2", "/run/c"]);
}

#[test]
fn invalid_server_is_refused() {
    let refused = |written| config(written).addresses(Variant::Bmemcached).unwrap_err().to_string();
    assert!(refused("{}").contains("invalid argument \"url\": it is missing"));
    assert!(refused(r#"{"url": []}"#).contains("invalid argument \"url\": it is missing"));
    assert!(refused(r#"{"url": "h:x"}"#).contains("\"h:x\" is not a valid server"));
    assert!(
        refused(r#"{"url": "h:1:2"}"#).contains("a weight, which dogpile.cache.bmemcached does not support")
    );
}

/// Behavior: `pymemcache-client-defaults`
#[test]
fn defaults_follow_the_python_client() {
    let options = options(Variant::Pymemcache, "");
    let patience = Patience { attempts: 2, retry_after: secs(1), dead_for: secs(60) };
    assert_eq!(options.patience, patience);
    assert_eq!((options.distribution, options.kind), (Distribution::Rendezvous, Kind::Text));
    assert!(
        !options.noreply && options.tls.is_none() && options.keepalive.is_none() && options.login.is_none()
    );
    assert_eq!(config("{}").retries().attempts, 1);
}

/// Behavior: `pymemcache-hashclient-retry-attempts`, `pymemcache-hashclient-retry-timeout`, `pymemcache-dead-timeout`
#[test]
fn pymemcache_retry_times_are_as_configured() {
    let patience = |more| options(Variant::Pymemcache, more).patience;
    assert_eq!(patience(r#", "hashclient_retry_attempts": 4"#).attempts, 4);
    assert_eq!(patience(r#", "hashclient_retry_timeout": 4"#).retry_after, secs(4));
    assert_eq!(patience(r#", "hashclient_dead_timeout": 4"#).dead_for, secs(4));
    assert_eq!(patience(r#", "dead_timeout": 4"#).dead_for, secs(4));
}

/// Behavior: `python-memcached-dead-retry`, `python-memcached-socket-timeout`
#[test]
fn python_memcached_times_are_as_configured() {
    let dead_for = |more| options(Variant::PythonMemcached, more).patience.dead_for;
    assert_eq!((dead_for(""), dead_for(r#", "dead_retry": 4"#)), (secs(30), secs(4)));
    let given = options(Variant::PythonMemcached, r#", "socket_timeout": 6"#);
    assert_eq!((given.timeout, given.connect_timeout), (secs(6), secs(6)));
    assert_eq!(options(Variant::PythonMemcached, "").timeout, secs(3));
}

/// Behavior: `pymemcache-retry-wrapper`
#[test]
fn failed_operations_are_retried_as_configured() {
    let retries = |more: &str| config(&format!(r#"{{"enable_retry_client": true {more}}}"#)).retries();
    let all = retries(r#", "retry_attempts": 3"#);
    assert_eq!((all.attempts, all.delay), (3, Duration::ZERO));
    assert!(all.allow(Failure::Timeout) && all.allow(Failure::Unavailable));
    let some = retries(r#", "retry_delay": 0.5, "retry_for": ["timeout"]"#);
    assert_eq!((some.attempts, some.delay), (2, Duration::from_millis(500)));
    assert!(some.allow(Failure::Timeout) && !some.allow(Failure::Unavailable));
    assert!(!retries(r#", "do_not_retry_for": ["timeout"]"#).allow(Failure::Timeout));
}

/// The messages that any test logged.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LOGGED.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

/// Behavior: `pymemcache-warns-on-ignored-retry-options`
#[test]
fn retry_arguments_without_effect_are_logged() {
    log::set_logger(&Logger).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let warned =
        || LOGGED.lock().unwrap().iter().any(|line| line.contains("the retry arguments have no effect"));
    options(Variant::Pymemcache, r#", "enable_retry_client": true, "retry_attempts": 3"#);
    assert!(!warned());
    options(Variant::Pymemcache, r#", "retry_attempts": 3"#);
    assert!(warned());
}

/// Behavior: `pylibmc-binary-flag`
#[test]
fn protocol_follows_the_python_client_or_the_argument() {
    assert_eq!(options(Variant::Pylibmc, r#", "binary": true"#).kind, Kind::Binary);
    for (variant, kind) in [
        (Variant::PythonMemcached, Kind::Text),
        (Variant::Pymemcache, Kind::Text),
        (Variant::Pylibmc, Kind::Text),
        (Variant::Bmemcached, Kind::Binary),
    ] {
        assert_eq!(options(variant, "").kind, kind);
    }
}

/// Behavior: `pylibmc-behaviors`
#[test]
fn behaviors_reach_the_client() {
    let with = |behaviors: &str| options(Variant::Pylibmc, &format!(r#", "behaviors": {behaviors}"#));
    assert_eq!(with("{}").distribution, Distribution::Modula(Hash::OneAtATime));
    let given = with(r#"{"ketama": 1, "hash": "md5", "tcp_nodelay": true, "tcp_keepalive": true}"#);
    assert_eq!(given.distribution, Distribution::Ketama(Hash::Md5));
    assert!(given.keepalive.is_some());
    let given = with(
        r#"{"connect_timeout": 200, "receive_timeout": 5000, "_retry_timeout": 7, "distribution": "consistent"}"#,
    );
    assert_eq!(
        (given.connect_timeout, given.timeout),
        (Duration::from_millis(200), Duration::from_millis(5))
    );
    assert_eq!(given.patience.retry_after, secs(7));
    assert_eq!(given.distribution, Distribution::Ketama(Hash::OneAtATime));
    assert_eq!(with(r#"{"ketama_weighted": true}"#).distribution, Distribution::KetamaWeighted);
}

#[test]
fn unknown_behavior_is_refused() {
    let unknown = r#"{"url": "h", "behaviors": {"ketma": true}}"#;
    let error = serde_json::from_str::<MemcachedConfig>(unknown).unwrap_err().to_string();
    assert!(error.contains("ketma"), "{error}");
    let hash = refused(Variant::Pylibmc, r#", "behaviors": {"hash": "sha1"}"#);
    assert!(hash.contains("unknown \"hash\" \"sha1\"; use default, md5,"), "{hash}");
    let distribution = refused(Variant::Pylibmc, r#", "behaviors": {"distribution": "random"}"#);
    assert!(distribution.contains("\"modula\", \"consistent\""), "{distribution}");
}

#[test]
fn argument_of_another_client_is_refused() {
    for (variant, more, owner) in [
        (Variant::Pymemcache, r#", "dead_retry": 1"#, "dogpile.cache.memcached"),
        (Variant::Pymemcache, r#", "min_compress_len": 1"#, "dogpile.cache.pylibmc"),
        (Variant::PythonMemcached, r#", "binary": true"#, "dogpile.cache.pylibmc"),
        (Variant::PythonMemcached, r#", "behaviors": {}"#, "dogpile.cache.pylibmc"),
        (Variant::Pylibmc, r#", "username": "u""#, "dogpile.cache.bmemcached"),
        (Variant::Pylibmc, r#", "tls_context": {}"#, "dogpile.cache.pymemcache"),
        (Variant::Bmemcached, r#", "default_noreply": true"#, "dogpile.cache.pymemcache"),
        (Variant::Bmemcached, r#", "retry_delay": 1.0"#, "dogpile.cache.pymemcache"),
    ] {
        let error = refused(variant, more);
        assert!(error.contains(owner) && error.contains("does not have it"), "{error}");
    }
}

#[test]
fn invalid_values_are_refused() {
    for (more, what) in [
        (r#", "socket_timeout": 0"#, "\"socket_timeout\": 0s is too short; use at least 1ms"),
        (r#", "memcached_expire_time": 0"#, "\"memcached_expire_time\": 0 is too short"),
        (r#", "pool_size": 0"#, "\"pool_size\": 0 is too low; use at least 1"),
        (r#", "retry_attempts": 0"#, "\"retry_attempts\""),
        (r#", "hashclient_retry_timeout": 0"#, "\"hashclient_retry_timeout\": 0"),
        (
            r#", "socket_keepalive": {"idle": 0.5}"#,
            "\"socket_keepalive\": 500ms is too short; use at least 1s",
        ),
        (r#", "tls_context": {"certfile": "c"}"#, "set both or neither"),
        (r#", "tls_context": {"cafile": "/nowhere"}"#, "cannot read \"cafile\" /nowhere"),
        (r#", "tls_context": {"cadata": "nonsense"}"#, "there is no certificate of a trusted authority"),
    ] {
        let error = refused(Variant::Pymemcache, more);
        assert!(error.contains(what), "{error}");
    }
    let error = refused(Variant::Bmemcached, r#", "username": "u""#);
    assert!(error.contains("invalid argument \"password\": it is missing"), "{error}");
}

/// Returns the error for `argument` with `value`, which every entry point that has the argument must refuse.
fn out_of_bounds(argument: &str, value: &str) -> String {
    let text = match argument.split_once('.') {
        Some((table, name)) => format!(r#"{{"url": "h", "{table}": {{"{name}": {value}}}}}"#),
        None => format!(r#"{{"url": "h", "{argument}": {value}}}"#),
    };
    let refused = |variant| {
        let config: MemcachedConfig = match serde_json::from_str(&text) {
            Ok(config) => config,
            Err(error) => return Some(error.to_string()),
        };
        let refused = config.check(variant).err().or_else(|| config.options(variant).err());
        refused.or_else(|| config.leases().err()).map(|error| error.to_string())
    };
    let all = [Variant::PythonMemcached, Variant::Pymemcache, Variant::Pylibmc, Variant::Bmemcached];
    let errors: Vec<_> = all.into_iter().filter_map(refused).collect();
    assert_eq!(errors.len(), 4, "{argument} = {value} is accepted: {errors:?}");
    errors.into_iter().find(|error| !error.contains("does not have it")).unwrap()
}

/// The servers and the clock of the system cannot express these times.
#[test]
fn times_beyond_their_bounds_are_refused() {
    let times = [
        "socket_timeout",
        "connect_timeout",
        "lock_timeout",
        "lock_sleep",
        "lock_blocking_timeout",
        "memcached_expire_time",
        "dead_retry",
        "retry_delay",
        "hashclient_retry_timeout",
        "hashclient_dead_timeout",
        "behaviors.retry_timeout",
        "behaviors.connect_timeout",
        "behaviors.receive_timeout",
        "socket_keepalive.idle",
        "socket_keepalive.intvl",
    ];
    for argument in times {
        for value in ["1e19", "18446744073709551615", "-1", "\"forever\""] {
            out_of_bounds(argument, value);
        }
        let name = argument.split('.').next().unwrap();
        let error = out_of_bounds(argument, "10000000000000000000");
        assert!(error.contains(&format!("{name:?}")), "{error}");
        assert!(error.contains("is too long"), "{error}");
    }
    let error = out_of_bounds("memcached_expire_time", "3153600001");
    assert!(error.contains("is too long; use at most 36500d"), "{error}");
    config(r#"{"memcached_expire_time": 3153600000}"#).check(Variant::Pylibmc).unwrap();
}

#[test]
fn numbers_beyond_their_bounds_are_refused() {
    for (argument, value, why) in [
        ("pool_size", "0", "0 is too low; use at least 1"),
        ("retry_attempts", "101", "101 is too high; use at most 100"),
        ("item_size_max", "1024", "1024 is too low; use at least 1025"),
        ("item_size_max", "1073741825", "is too high; use at most 1073741824"),
        ("max_value_bytes", "0", "0 is too low; use at least 1"),
        ("max_decompressed_bytes", "0", "0 is too low; use at least 1"),
        ("socket_keepalive.cnt", "0", "0 is too low; use at least 1"),
        ("socket_keepalive.cnt", "128", "128 is too high; use at most 127"),
    ] {
        let error = out_of_bounds(argument, value);
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn default_sizes_follow_the_item_limit() {
    let sizes = |written| config(written).sizes().unwrap();
    let default = sizes("{}");
    assert_eq!((default.item, default.value, default.decompressed), (1 << 20, 512 << 20, 8 << 20));
    assert_eq!(default.largest(), (1 << 20) - 1024);
    assert_eq!(sizes(r#"{"item_size_max": 2097152}"#).decompressed, 16 << 20);
    assert_eq!(sizes(r#"{"max_decompressed_bytes": 7}"#).decompressed, 7);
    assert_eq!(sizes(r#"{"max_value_bytes": 7}"#).largest(), 7);
}

#[test]
fn tls_on_a_unix_socket_is_refused() {
    for url in ["/run/m", "unix:/run/m"] {
        let config = config(&format!(r#"{{"url": ["h:1", "{url}"], "tls_context": {{}}}}"#));
        let error = config.check(Variant::Bmemcached).unwrap_err().to_string();
        assert!(error.contains("\"tls_context\": a unix socket has no TLS"), "{error}");
    }
}

#[test]
fn lock_without_timeout_is_renewed() {
    let leases = |written| config(written).leases().unwrap();
    assert!(leases("{}").renewed);
    let timed = leases(r#"{"lock_timeout": 7, "lock_sleep": 0.2}"#);
    assert_eq!(
        (timed.lease, timed.renewed, timed.longest_pause),
        (secs(7), false, Duration::from_millis(200))
    );
}

#[test]
fn wait_for_a_lock_is_limited_or_disabled() {
    let give_up_after = |written| config(written).leases().unwrap().give_up_after;
    assert_eq!(give_up_after("{}"), secs(300));
    assert_eq!(give_up_after(r#"{"lock_blocking": true, "lock_blocking_timeout": 7}"#), secs(7));
    assert_eq!(give_up_after(r#"{"lock_blocking": false, "lock_blocking_timeout": 7}"#), Duration::ZERO);
    let error = config(r#"{"lock_blocking_timeout": 0}"#).leases().unwrap_err();
    assert!(error.to_string().contains("\"lock_blocking_timeout\""), "{error}");
}

#[test]
fn times_are_seconds_or_durations() {
    for written in ["3", "3.0", "\"3s\"", "\"3\""] {
        let config = config(&format!(r#"{{"socket_timeout": {written}, "lock_timeout": {written}}}"#));
        assert_eq!((config.socket_timeout, config.lock_timeout), (Some(secs(3)), Some(secs(3))));
        assert_eq!(config.leases().unwrap().lease, secs(3));
    }
    assert_eq!(config(r#"{"lock_timeout": "1500ms"}"#).leases().unwrap().lease, secs(2));
    assert!(config(r#"{"lock_timeout": 0}"#).leases().unwrap().renewed);
    let invalid = serde_json::from_str::<MemcachedConfig>(r#"{"retry_delay": -1}"#).unwrap_err();
    assert!(invalid.to_string().contains("invalid duration -1"), "{invalid}");
}

#[test]
fn debug_shows_no_password() {
    let config = config(r#"{"url": "h", "username": "u", "password": "hunter2"}"#);
    let options = config.options(Variant::Bmemcached).unwrap();
    assert!(!format!("{config:?} {options:?}").contains("hunter2"));
}

#[test]
fn servers_may_be_one_string() {
    for written in [r#"{"url": "a, b:2,unix:/run/m"}"#, r#"{"url": ["a", "b:2", "unix:/run/m"]}"#] {
        let config: MemcachedConfig = serde_json::from_str(written).unwrap();
        let servers = config.addresses(Variant::Pymemcache).unwrap();
        let shown: Vec<_> = servers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:11211", "b:2", "/run/m"]);
    }
    let empty: MemcachedConfig = serde_json::from_str(r#"{"url": " , "}"#).unwrap();
    assert!(empty.addresses(Variant::Pymemcache).unwrap_err().to_string().contains("it is missing"));
}

#[test]
fn url_as_a_server_is_refused_and_not_repeated() {
    for url in [
        "memcached://user:hunter2@h:11211",
        "user:hunter2@h",
        "hunter2@h",
        "h:1,memcached://user:hunter2@h:2",
        "redis://h:1?password=hunter2",
        "h:1#hunter2",
    ] {
        for written in [json!({ "url": url }), json!({ "url": ["a:1", url] })] {
            let config: MemcachedConfig = serde_json::from_value(written).unwrap();
            let error = config.addresses(Variant::Pymemcache).unwrap_err();
            assert!(error.to_string().contains("not a URL"), "{error}");
            assert_eq!(error.argument(), Some("url"));
            assert!(!format!("{error} {error:?} {config:?}").contains("hunter2"), "{error:?} {config:?}");
        }
    }
    let path: MemcachedConfig = serde_json::from_str(r#"{"url": "/run/m@1?"}"#).unwrap();
    assert!(path.addresses(Variant::Pymemcache).is_ok());
}
