//! The names of oslo.cache that the entry points accept. `docs/oslo-cache.md` is made of them.

use dogpile_sdk::{Conversion, ForeignArgument, ForeignArguments, OSLO_CACHE};

const OTHERS: &str = "it is for another entry point or store";

/// Accepted by `dogpile.cache.redis`, `dogpile.cache.valkey`, and their forms for clusters.
pub const SINGLE_FOREIGN: ForeignArguments =
    ForeignArguments::new(&[SINGLE, COMMON]).with_others(OSLO_CACHE, OTHERS);

/// Accepted by `dogpile.cache.redis_sentinel` and `dogpile.cache.valkey_sentinel`.
pub const SENTINEL_FOREIGN: ForeignArguments =
    ForeignArguments::new(&[SENTINEL, COMMON]).with_others(OSLO_CACHE, OTHERS);

const COMMON: &[ForeignArgument] = &[
    ForeignArgument::same("backend_expiration_time", &["redis_expiration_time"]),
    ForeignArgument::same("redis_db", &["db"]),
    ForeignArgument::same("redis_username", &["username"]),
    ForeignArgument::same("redis_password", &["password"]),
    ForeignArgument::same("redis_socket_timeout", &["socket_timeout"]),
    ForeignArgument::same("enable_socket_keepalive", &["socket_keepalive"]),
    ForeignArgument::when(
        "enable_socket_keepalive",
        "socket_keepalive_idle",
        &["socket_keepalive_options.TCP_KEEPIDLE"],
    ),
    ForeignArgument::when(
        "enable_socket_keepalive",
        "socket_keepalive_interval",
        &["socket_keepalive_options.TCP_KEEPINTVL"],
    ),
    ForeignArgument::when(
        "enable_socket_keepalive",
        "socket_keepalive_count",
        &["socket_keepalive_options.TCP_KEEPCNT"],
    ),
    ForeignArgument::same("tls_enabled", &["ssl"]),
    ForeignArgument::when("tls_enabled", "tls_cafile", &["connection_kwargs.ssl_ca_certs"]),
    ForeignArgument::when("tls_enabled", "tls_certfile", &["connection_kwargs.ssl_certfile"]),
    ForeignArgument::when("tls_enabled", "tls_keyfile", &["connection_kwargs.ssl_keyfile"]),
    ForeignArgument::without_effect("tls_allowed_ciphers", "only strong ciphers are offered"),
    ForeignArgument::without_effect("enforce_fips_mode", "there is no FIPS mode"),
];

const SINGLE: &[ForeignArgument] =
    &[ForeignArgument::same("redis_server", &["url"]).converted(Conversion::Prefix("redis://"))];

const SENTINEL: &[ForeignArgument] = &[
    ForeignArgument::same("redis_sentinels", &["sentinels"]),
    ForeignArgument::same("redis_sentinel_service_name", &["service_name"]),
    ForeignArgument::same("tls_enabled", &["ssl", "sentinel_kwargs.ssl"]),
    ForeignArgument::when(
        "tls_enabled",
        "tls_cafile",
        &["connection_kwargs.ssl_ca_certs", "sentinel_kwargs.ssl_ca_certs"],
    ),
    ForeignArgument::when(
        "tls_enabled",
        "tls_certfile",
        &["connection_kwargs.ssl_certfile", "sentinel_kwargs.ssl_certfile"],
    ),
    ForeignArgument::when(
        "tls_enabled",
        "tls_keyfile",
        &["connection_kwargs.ssl_keyfile", "sentinel_kwargs.ssl_keyfile"],
    ),
];
