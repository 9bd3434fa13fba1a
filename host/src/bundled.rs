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

/// Returns whether the panics of the linked crate `package` become errors.
///
/// Those of our memory backend do not. The containment would add a virtual call and a closure to each hit in memory, and the
/// only code in it that can panic is the application's own: it clones and drops the values.
pub(crate) fn is_contained(package: &str) -> bool {
    package != "dogpile-memory"
}

/// Returns the feature that would link the entry point `name`, if `name` is one of ours and is not linked.
///
/// The name may be a short one, such as `redis`. The full name is returned, too.
pub(crate) fn missing_feature(name: &str) -> Option<(String, &'static str)> {
    missing_among(OURS, name)
}

fn missing_among(ours: &[(&str, &'static str, bool)], name: &str) -> Option<(String, &'static str)> {
    [name.to_owned(), format!("dogpile.cache.{name}")].into_iter().find_map(|name| {
        let (_, feature, _) = ours.iter().find(|(start, _, linked)| name.starts_with(start) && !linked)?;
        Some((name, *feature))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_of_an_entry_point_that_is_not_linked_is_found() {
        let ours = [("dogpile.cache.memory", "memory", true), ("dogpile.cache.redis", "redis", false)];
        let found = |name| missing_among(&ours, name);
        let redis = |name: &str| Some((name.to_owned(), "redis"));
        assert_eq!(found("dogpile.cache.redis"), redis("dogpile.cache.redis"));
        assert_eq!(found("redis_cluster"), redis("dogpile.cache.redis_cluster"));
        assert_eq!((found("memory"), found("acme.redis")), (None, None));
    }
}
