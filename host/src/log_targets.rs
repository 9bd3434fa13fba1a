//! The targets of all that the host logs, for the filters of applications.
//!
//! The host logs with `tracing`. With the feature `log`, it logs with `log` instead, as long as no subscriber of `tracing` is set.
//! `docs/observability.md` describes each target. Backends log under the names of their crates, such as `dogpile_redis`.

/// Regions: configurations, values that cannot be read, and, at the level `debug`, hits and misses.
pub const REGION: &str = "dogpile::region";
/// Creators: what failed, was not stored, or makes others wait.
pub const CREATION: &str = "dogpile::creation";
/// Backends that fail, and what becomes of calls meanwhile.
pub const OUTAGE: &str = "dogpile::outage";
/// Cached functions that are evaluated without their region.
pub const FUNCTION: &str = "dogpile::function";
/// Entry points and plugin libraries.
pub const REGISTRY: &str = "dogpile::registry";
/// The proxies `dogpile.proxy.logging` and `dogpile.proxy.chaos`.
pub const PROXY: &str = "dogpile::proxy";
/// Threads of the host: those of runners, timers, and blocking calls.
pub const RUNTIME: &str = "dogpile::runtime";
/// Observers that panic.
pub const OBSERVER: &str = "dogpile::observer";
/// Records of plugin libraries, once there are more than 1,024 targets. The others keep their own targets.
pub const PLUGINS: &str = "dogpile::plugins";

/// All targets.
pub const ALL: [&str; 9] = [REGION, CREATION, OUTAGE, FUNCTION, REGISTRY, PROXY, RUNTIME, OBSERVER, PLUGINS];
