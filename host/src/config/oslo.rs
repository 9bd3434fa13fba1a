//! The section `[cache]` of oslo.cache, which Keystone and other programs of OpenStack have.

// Source: oslo.cache `_opts.py` and `core.py`, `_build_cache_config` and `configure_cache_region`.

use dogpile_sdk::OSLO_CACHE;

/// The options of oslo.cache's section `[cache]` that concern a region, with their meaning here. Keystone has them in
/// other sections as well. [`RegionConfig::from_flat`](crate::RegionConfig::from_flat) reads them.
pub const OSLO_CACHE_REGION: [(&str, &str); 8] = [
    ("backend_argument", "`name:value`: the backend's argument `name`; may be given several times"),
    ("proxies", "like `wrap`, except that the last one is the outermost"),
    ("enabled", "`false`: the backend is `dogpile.cache.null`"),
    ("caching", "like `enabled`, in the section of a part of Keystone"),
    ("cache_time", "`expiration_time`, in the section of a part of Keystone"),
    ("debug_cache_backend", "`true`: the innermost proxy is `dogpile.proxy.logging`"),
    (CONFIG_PREFIX, "no effect: `from_flat` has a prefix of its own"),
    (CACHE_ON_ISSUE, "no effect: the application decides what it stores"),
];

const CONFIG_PREFIX: &str = "config_prefix";
const CACHE_ON_ISSUE: &str = "cache_on_issue";

/// Backends of oslo.cache and Keystone, and the entry points that take their place.
pub const OSLO_CACHE_BACKENDS: [(&str, &str); 4] = [
    ("oslo_cache.memcache_pool", "dogpile.cache.memcached"),
    ("keystone.cache.memcache_pool", "dogpile.cache.memcached"),
    ("oslo_cache.dict", "dogpile.cache.memory"),
    ("keystone.common.cache.noop", "dogpile.cache.null"),
];

/// What the options of a section request, besides the backend's arguments.
#[derive(Default)]
pub(super) struct OsloSection {
    /// Whether caching is turned off.
    pub(super) is_disabled: bool,
    /// Whether the backend's calls are logged.
    pub(super) is_logging: bool,
    /// Options without an effect.
    pub(super) ignored: Vec<String>,
}

impl OsloSection {
    /// Takes the option `name`. Returns false if the section does not have it, or if it is another option.
    ///
    /// # Errors
    /// If `value` is invalid. The text is the reason.
    pub(super) fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "enabled" | "caching" => self.is_disabled |= !boolean(value)?,
            "debug_cache_backend" => self.is_logging = boolean(value)?,
            CONFIG_PREFIX | CACHE_ON_ISSUE => self.ignored.push(name.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Returns the entry point that a configuration calls `backend`.
pub(super) fn entry_point(backend: &str) -> &str {
    OSLO_CACHE_BACKENDS.iter().find(|(theirs, _)| *theirs == backend).map_or(backend, |(_, ours)| ours)
}

/// Returns whether the section has an option `name` that is an argument of backends.
pub(super) fn is_argument(name: &str) -> bool {
    OSLO_CACHE.contains(&name) || ["username", "password"].contains(&name)
}

/// Parses `true` or `false`, in any case.
pub(super) fn boolean(value: &str) -> Result<bool, String> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}
