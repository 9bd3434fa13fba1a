//! Configurations of oslo.cache and Keystone.

use dogpile::sdk::{ForeignArguments, OSLO_CACHE};
use dogpile::{CacheRegion, Configuration, RegionConfig};
use dogpile_dbm::FOREIGN as FILES;
use dogpile_memcached::{MEMCACHED_FOREIGN, OTHER_FOREIGN, PYMEMCACHE_FOREIGN};
use dogpile_memory::FOREIGN as MEMORY;
use dogpile_redis::{SENTINEL_FOREIGN, SINGLE_FOREIGN};
use dogpile_tests::errors::told;
use dogpile_tests::events::Events;
use tracing::Level;

/// The names and values of required arguments.
type Required = &'static [(&'static str, &'static str)];

/// The entry points, their foreign names, and the arguments that they require.
const ENTRY_POINTS: [(&str, ForeignArguments, Required); 13] = [
    ("dogpile.cache.memcached", MEMCACHED_FOREIGN, &[("url", "h")]),
    ("dogpile.cache.pymemcache", PYMEMCACHE_FOREIGN, &[("url", "h")]),
    ("dogpile.cache.pylibmc", OTHER_FOREIGN, &[("url", "h")]),
    ("dogpile.cache.bmemcached", OTHER_FOREIGN, &[("url", "h")]),
    ("dogpile.cache.redis", SINGLE_FOREIGN, &[]),
    ("dogpile.cache.redis_sentinel", SENTINEL_FOREIGN, &[("sentinels", "h:1")]),
    ("dogpile.cache.redis_cluster", SINGLE_FOREIGN, &[("startup_nodes", "h:1")]),
    ("dogpile.cache.valkey", SINGLE_FOREIGN, &[]),
    ("dogpile.cache.valkey_sentinel", SENTINEL_FOREIGN, &[("sentinels", "h:1")]),
    ("dogpile.cache.valkey_cluster", SINGLE_FOREIGN, &[("startup_nodes", "h:1")]),
    ("dogpile.cache.memory", MEMORY, &[]),
    ("dogpile.cache.memory_pickle", MEMORY, &[]),
    ("dogpile.cache.null", MEMORY, &[]),
];

/// Configures the region `name` with the entries of a section, and returns it with its warnings.
fn configured(name: &'static str, section: &[(&str, &str)]) -> (CacheRegion, Vec<String>) {
    let events = Events::of_region(name);
    let region = CacheRegion::new(name);
    let config = RegionConfig::from_flat(section.iter().copied(), "").unwrap();
    region.configure(config).unwrap_or_else(|error| panic!("{}", told(&error)));
    let warnings = events.take().into_iter().filter(|event| event.level == Level::WARN);
    (region, warnings.map(|event| event.message).collect())
}

fn refused(section: &[(&str, &str)]) -> String {
    match RegionConfig::from_flat(section.iter().copied(), "") {
        Ok(config) => told(&CacheRegion::new("refused").configure(config).unwrap_err()),
        Err(error) => told(&error),
    }
}

fn scope(region: &CacheRegion) -> String {
    region.backend().unwrap().capabilities().scope.unwrap()
}

/// The section is that of a Keystone with memcached, as in its guides.
#[test]
fn section_of_keystone_configures_a_region_with_one_warning() {
    let section = [
        ("config_prefix", "cache.keystone"),
        ("enabled", "True"),
        ("backend", "oslo_cache.memcache_pool"),
        ("backend_argument", "distributed_lock:true"),
        ("backend_argument", "pool_unused_timeout:60"),
        ("expiration_time", "600"),
        ("backend_expiration_time", "86400"),
        ("debug_cache_backend", "False"),
        ("memcache_servers", "b:2, a:1"),
        ("memcache_dead_retry", "300"),
        ("memcache_socket_timeout", "1.0"),
        ("memcache_pool_maxsize", "10"),
        ("memcache_pool_connection_get_timeout", "10"),
        ("memcache_username", "None"),
        ("tls_enabled", "False"),
        ("enable_retry_client", "False"),
        ("retry_attempts", "2"),
    ];
    let (region, warnings) = configured("keystone", &section);
    assert_eq!(scope(&region), "memcached://a:1,b:2");
    assert!(region.backend().unwrap().get_mutex("key").is_some());
    let names = "config_prefix, enable_retry_client, retry_attempts, pool_unused_timeout, \
                 memcache_pool_connection_get_timeout";
    let mut expected: Vec<_> = names.split(", ").collect();
    let [warning] = &warnings[..] else { panic!("expected one warning: {warnings:?}") };
    let listed = warning.strip_prefix("these settings have no effect: ").unwrap();
    let mut listed: Vec<_> = listed.strip_suffix("; remove them").unwrap().split(", ").collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

#[test]
fn section_with_redis_configures_a_region() {
    let section = [
        ("backend", "dogpile.cache.redis"),
        ("redis_server", "cache1:6380"),
        ("redis_db", "3"),
        ("redis_password", "hunter2"),
        ("redis_socket_timeout", "1.0"),
        ("backend_expiration_time", "600"),
        ("enable_socket_keepalive", "true"),
        ("socket_keepalive_idle", "60"),
    ];
    let (region, warnings) = configured("redis section", &section);
    assert_eq!((scope(&region).as_str(), warnings), ("redis://cache1:6380/3", vec![]));
    let section = [
        ("backend", "dogpile.cache.redis_sentinel"),
        ("redis_sentinels", "b:2,a:1"),
        ("redis_sentinel_service_name", "tokens"),
        ("redis_server", "unused:1"),
    ];
    let (region, warnings) = configured("sentinel section", &section);
    assert_eq!(scope(&region), "redis-sentinel://a:1,b:2/tokens/0");
    assert_eq!(warnings, ["these settings have no effect: redis_server; remove them"]);
}

/// In oslo.cache, the last proxy is the outermost. The debug proxy is the innermost.
#[test]
fn proxies_are_stacked_as_in_oslo_cache() {
    let section = [
        ("backend", "dogpile.cache.memory"),
        ("proxies", "dogpile.proxy.logging,dogpile.proxy.readonly"),
        ("debug_cache_backend", "true"),
    ];
    let (region, warnings) = configured("proxies", &section);
    let shown = format!("{:?}", region.backend().unwrap());
    let places: Vec<_> = shown.match_indices("Logging").map(|(place, _)| place).collect();
    assert!(shown.starts_with("ReadOnly") && places.len() == 2, "{shown}");
    assert!(warnings.is_empty());
}

#[test]
fn section_that_is_not_enabled_caches_nothing() {
    for switch in ["enabled", "caching"] {
        let section = [("backend", "dogpile.cache.redis"), ("redis_server", "h:1"), (switch, "false")];
        let (region, warnings) = configured("disabled", &section);
        region.set("key", 1).unwrap();
        assert_eq!(region.get::<i32>("key").unwrap(), None);
        assert!(warnings.is_empty());
    }
    assert!(
        refused(&[("backend", "dogpile.cache.memory"), ("enabled", "yes")])
            .contains("expected true or false")
    );
}

#[test]
fn cache_time_overrides_the_expiration_time() {
    for order in [["cache_time", "expiration_time"], ["expiration_time", "cache_time"]] {
        let entries = order.map(|name| (name, if name == "cache_time" { "never" } else { "600" }));
        let error = refused(&[&[("backend", "dogpile.cache.memory")], &entries[..]].concat());
        assert!(error.contains("cache_time = \"never\": invalid expiration time"), "{error}");
    }
}

/// The warning is logged for TOML and for arguments in code, too.
#[test]
fn arguments_without_effect_are_logged_once_from_every_source() {
    let expected = ["these settings have no effect: sasl_enabled, pool_unused_timeout; remove them"];
    let events = Events::of_region("once");
    let region = CacheRegion::new("once");
    let config = RegionConfig::new("dogpile.cache.memcached").argument("url", "h");
    let config = config.argument("pool_unused_timeout", 60).argument("sasl_enabled", false);
    region.configure(config).unwrap();
    assert_eq!(events.messages(), expected);
    region.configure(RegionConfig::new("dogpile.cache.memory").replace_existing_backend()).unwrap();
    assert!(events.messages().is_empty(), "the new backend has no such arguments");

    let toml = "[regions.once]\nbackend = 'dogpile.cache.bmemcached'\n\
                arguments = { memcache_servers = ['h:1'], sasl_enabled = false, pool_unused_timeout = 60 }";
    let region = CacheRegion::new("once");
    Configuration::from_toml(toml).unwrap().configure(&region).unwrap();
    assert_eq!(scope(&region), "memcached://h:1");
    assert_eq!(events.messages(), expected);
}

/// Returns a value that fits `name`. Switches are off.
fn fitting(name: &str) -> &'static str {
    match name {
        "memcache_servers" | "redis_server" | "redis_sentinels" => "h:1",
        "redis_db" => "0",
        _ if name.contains("name") || name.contains("password") => "None",
        _ if name.contains("enable") || name.contains("enforce") || name.contains("flush") => "false",
        _ if name.contains("file") || name.contains("ciphers") => "/nowhere",
        _ => "1",
    }
}

#[test]
fn every_entry_point_accepts_every_name() {
    for (backend, foreign, required) in ENTRY_POINTS {
        for name in OSLO_CACHE.iter().copied().chain(foreign.names()) {
            let row = foreign.find(name);
            let is_given = |path| row.is_some_and(|row| row.paths.contains(path));
            let required = required.iter().filter(|(path, _)| !is_given(path));
            let required: Vec<_> =
                required.map(|(path, value)| (format!("arguments.{path}"), *value)).collect();
            let mut section = vec![("backend", backend), (name, fitting(name))];
            section.extend(required.iter().map(|(path, value)| (path.as_str(), *value)));
            configured("every name", &section);
        }
    }
}

#[test]
fn file_backends_accept_every_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache").display().to_string();
    for (backend, ending) in [("dogpile.cache.dbm", "db"), ("dogpile.cache.lmdb", "mdb")] {
        let file = format!("{file}.{ending}");
        let mut section = vec![("backend", backend), ("arguments.filename", &*file)];
        section.extend(FILES.names().map(|name| (name, fitting(name))));
        let (_, warnings) = configured("files", &section);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }
}

#[test]
fn unknown_or_ambiguous_names_are_refused() {
    let memcached = |entry| refused(&[("backend", "dogpile.cache.memcached"), entry]);
    let error = memcached(("memcache_severs", "h"));
    assert!(
        error.contains("unknown name") && error.contains("did you mean \"memcache_servers\"?"),
        "{error}"
    );
    let error = memcached(("backend_argument", "memcache_severs:h"));
    assert!(error.contains("unknown argument \"memcache_severs\""), "{error}");
    assert!(error.contains("did you mean \"memcache_servers\"?"), "{error}");
    let error = memcached(("backend_argument", "hunter2"));
    assert_eq!(error, "backend_argument: expected \"name:value\", the name and the value of an argument");
    let two =
        refused(&[("backend", "dogpile.cache.memcached"), ("arguments.url", "h"), ("memcache_servers", "i")]);
    assert!(two.contains("\"memcache_servers\": \"url\" is set, too, and means the same"), "{two}");
    let two = refused(&[
        ("backend", "dogpile.cache.redis"),
        ("password", "hunter2"),
        ("backend_argument", "password:hunter3"),
    ]);
    assert!(two.contains("sets the argument \"password\", too") && !two.contains("hunter"), "{two}");
}

/// A refused value is reported under the name that was given.
#[test]
fn error_names_the_option_that_was_given() {
    let error = refused(&[("backend", "dogpile.cache.redis"), ("redis_db", "many")]);
    assert!(error.contains("\"many\" is not a number; it was given as \"redis_db\""), "{error}");
    let error = refused(&[("backend", "dogpile.cache.memcached"), ("memcache_servers", "u:hunter2@h")]);
    assert!(error.contains("not a URL; it was given as \"memcache_servers\""), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

/// Otherwise, a password and values would be sent in the clear.
#[test]
fn tls_is_used_or_refused() {
    let tls = |backend, server| {
        refused(&[("backend", backend), server, ("tls_enabled", "true"), ("tls_cafile", "/nowhere/ca.pem")])
    };
    let memcached = ("memcache_servers", "h");
    for (backend, server, expected) in [
        ("dogpile.cache.memcached", memcached, "does not have it"),
        ("dogpile.cache.pylibmc", memcached, "does not have it"),
        ("dogpile.cache.pymemcache", memcached, "/nowhere/ca.pem"),
        ("dogpile.cache.bmemcached", memcached, "/nowhere/ca.pem"),
        ("dogpile.cache.redis", ("redis_server", "h:1"), "/nowhere/ca.pem"),
        ("dogpile.cache.redis_sentinel", ("redis_sentinels", "h:1"), "/nowhere/ca.pem"),
    ] {
        let error = tls(backend, server);
        assert!(error.contains(expected), "{backend}: {error}");
    }
}
