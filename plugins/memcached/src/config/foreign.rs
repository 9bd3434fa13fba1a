//! The names of oslo.cache that the entry points accept. `docs/oslo-cache.md` is made of them.

use dogpile_sdk::{Conversion, ForeignArgument, ForeignArguments, OSLO_CACHE};

const OTHERS: &str = "it is for another store";
const KEPT: &str = "a connection is kept until it fails";
const WAITING: &str = "waiting for a connection counts towards `socket_timeout`";
const FLUSH: &str = "a server that comes back keeps its values";
const SASL: &str = "`username` and `password` turn it on, with `dogpile.cache.bmemcached`";
const ONLY_MEMCACHED: &str = "only `dogpile.cache.memcached` has it";
const ONLY_PYMEMCACHE: &str = "only `dogpile.cache.pymemcache` has it";

/// Accepted by `dogpile.cache.memcached`.
pub const MEMCACHED_FOREIGN: ForeignArguments =
    ForeignArguments::new(&[DEAD_RETRY, NO_RETRIES, COMMON]).with_others(OSLO_CACHE, OTHERS);

/// Accepted by `dogpile.cache.pymemcache`.
pub const PYMEMCACHE_FOREIGN: ForeignArguments =
    ForeignArguments::new(&[RETRIES, NO_DEAD_RETRY, COMMON]).with_others(OSLO_CACHE, OTHERS);

/// Accepted by `dogpile.cache.pylibmc` and `dogpile.cache.bmemcached`.
pub const OTHER_FOREIGN: ForeignArguments =
    ForeignArguments::new(&[NO_DEAD_RETRY, NO_RETRIES, COMMON]).with_others(OSLO_CACHE, OTHERS);

const COMMON: &[ForeignArgument] = &[
    ForeignArgument::same("memcache_servers", &["url"]),
    ForeignArgument::same("backend_expiration_time", &["memcached_expire_time"]),
    ForeignArgument::same("memcache_socket_timeout", &["socket_timeout"]),
    ForeignArgument::same("memcache_username", &["username"]),
    ForeignArgument::same("memcache_password", &["password"]),
    ForeignArgument::without_effect("memcache_sasl_enabled", SASL),
    ForeignArgument::without_effect("sasl_enabled", SASL),
    ForeignArgument::same("memcache_pool_maxsize", &["pool_size"]),
    ForeignArgument::same("pool_maxsize", &["pool_size"]),
    ForeignArgument::without_effect("memcache_pool_unused_timeout", KEPT),
    ForeignArgument::without_effect("pool_unused_timeout", KEPT),
    ForeignArgument::without_effect("memcache_pool_connection_get_timeout", WAITING),
    ForeignArgument::without_effect("pool_connection_get_timeout", WAITING),
    ForeignArgument::without_effect("memcache_pool_flush_on_reconnect", FLUSH),
    ForeignArgument::without_effect("pool_flush_on_reconnect", FLUSH),
    ForeignArgument::without_effect("flush_on_reconnect", FLUSH),
    // An entry point without TLS refuses `tls_context`.
    ForeignArgument::same("tls_enabled", &["tls_context"]).converted(Conversion::Table),
    ForeignArgument::when("tls_enabled", "tls_cafile", &["tls_context.cafile"]),
    ForeignArgument::when("tls_enabled", "tls_certfile", &["tls_context.certfile"]),
    ForeignArgument::when("tls_enabled", "tls_keyfile", &["tls_context.keyfile"]),
    ForeignArgument::without_effect("tls_allowed_ciphers", "only strong ciphers are offered"),
    ForeignArgument::without_effect("enforce_fips_mode", "there is no FIPS mode"),
];

const DEAD_RETRY: &[ForeignArgument] = &[ForeignArgument::same("memcache_dead_retry", &["dead_retry"])];

const NO_DEAD_RETRY: &[ForeignArgument] = &[
    ForeignArgument::without_effect("memcache_dead_retry", ONLY_MEMCACHED),
    ForeignArgument::without_effect("dead_retry", ONLY_MEMCACHED),
];

const RETRIES: &[ForeignArgument] = &[
    ForeignArgument::same("enable_socket_keepalive", &["socket_keepalive"]).converted(Conversion::Table),
    ForeignArgument::when("enable_socket_keepalive", "socket_keepalive_idle", &["socket_keepalive.idle"]),
    ForeignArgument::when(
        "enable_socket_keepalive",
        "socket_keepalive_interval",
        &["socket_keepalive.intvl"],
    ),
    ForeignArgument::when("enable_socket_keepalive", "socket_keepalive_count", &["socket_keepalive.cnt"]),
    ForeignArgument::same("enable_retry_client", &["enable_retry_client"]),
    ForeignArgument::when("enable_retry_client", "retry_attempts", &["retry_attempts"]),
    ForeignArgument::when("enable_retry_client", "retry_delay", &["retry_delay"]),
    ForeignArgument::same("hashclient_retry_attempts", &["hashclient_retry_attempts"]),
    ForeignArgument::same("hashclient_retry_timeout", &["hashclient_retry_timeout"]),
    ForeignArgument::same("hashclient_retry_delay", &["hashclient_retry_timeout"]),
    ForeignArgument::same("hashclient_dead_timeout", &["hashclient_dead_timeout"]),
    ForeignArgument::same("dead_timeout", &["hashclient_dead_timeout"]),
];

const NO_RETRIES: &[ForeignArgument] = &[
    ForeignArgument::without_effect("enable_socket_keepalive", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("socket_keepalive_idle", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("socket_keepalive_interval", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("socket_keepalive_count", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("enable_retry_client", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("retry_attempts", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("retry_delay", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("hashclient_retry_attempts", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("hashclient_retry_timeout", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("hashclient_retry_delay", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("hashclient_dead_timeout", ONLY_PYMEMCACHE),
    ForeignArgument::without_effect("dead_timeout", ONLY_PYMEMCACHE),
];
