//! Links our own plugins, one line for each feature.
//!
//! A crate that is only named in a manifest is not linked, and its entry points would silently be missing.

#[cfg(feature = "dbm")]
use dogpile_dbm as _;
#[cfg(feature = "memcached")]
use dogpile_memcached as _;
#[cfg(feature = "memory")]
use dogpile_memory as _;
#[cfg(feature = "redis")]
use dogpile_redis as _;

/// How the names of our entry points begin, the feature that brings them, and whether it is on.
const OURS: &[(&str, &str, bool)] = &[
    ("dogpile.cache.bmemcached", "memcached", cfg!(feature = "memcached")),
    ("dogpile.cache.dbm", "dbm", cfg!(feature = "dbm")),
    ("dogpile.cache.lmdb", "dbm", cfg!(feature = "dbm")),
    ("dogpile.cache.memcached", "memcached", cfg!(feature = "memcached")),
    ("dogpile.cache.memory", "memory", cfg!(feature = "memory")),
    ("dogpile.cache.null", "memory", cfg!(feature = "memory")),
    ("dogpile.cache.pylibmc", "memcached", cfg!(feature = "memcached")),
    ("dogpile.cache.pymemcache", "memcached", cfg!(feature = "memcached")),
    ("dogpile.cache.redis", "redis", cfg!(feature = "redis")),
    ("dogpile.cache.valkey", "redis", cfg!(feature = "redis")),
];

/// The feature that would bring the entry point `name`, if it is one of ours that is not linked.
pub(crate) fn missing_feature(name: &str) -> Option<&'static str> {
    let ours = OURS.iter().find(|(start, _, linked)| name.starts_with(start) && !linked);
    ours.map(|(_, feature, _)| *feature)
}
