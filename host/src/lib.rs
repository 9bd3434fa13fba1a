//! A caching framework that creates each value once, for any number of callers.
//!
//! An application names *regions*. A region stores values in a *backend*, which is found by its entry-point name, under a stack
//! of *proxies*. *Creators* make the values under the *dogpile lock*. If a value is missing, one caller creates it and the
//! others wait. If it is stale, one caller creates a new one and the others get the old value at once. This holds across tasks,
//! threads, processes, and machines, and for Python programs that use dogpile.cache.
//!
//! ```
//! use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};
//!
//! static PRICES: CacheRegion = CacheRegion::new("prices");
//!
//! #[cache_on_arguments(region = PRICES, expiration_time = "5m")]
//! fn price(item: &str) -> Result<u32, String> {
//!     match item {
//!         "tea" => Ok(350),
//!         _ => Err(format!("no price for {item}")),    // returned, and not cached
//!     }
//! }
//!
//! PRICES.configure(RegionConfig::new("dogpile.cache.memory"))?;
//! assert_eq!(price("tea")?, 350);
//! price::invalidate("tea")?;                           // the next call runs the function again
//!
//! let total = PRICES.get_or_create("total", || 7)?;    // the same with a key and a closure
//! assert_eq!(total, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to find what
//! * [`CacheRegion`] has the calls, each also with the suffix `_async`. [`CallOptions`] overrides settings for one call.
//! * [`RegionConfig`] configures a region in code, [`Configuration`] from a TOML file, and [`RegionConfig::from_flat`] from the
//!   section of an ini file.
//! * [`macro@cache_on_arguments`] and [`macro@cache_multi_on_arguments`] cache functions. [`function`] makes their keys.
//! * [`Preset`], [`OnStale`], [`FailSafe`], [`CreatorTimeout`], and [`OnBackendFailure`] decide what callers get while values age and
//!   things fail.
//! * [`serializer`] converts values to bytes. [`proxy`] has proxies, and [`lock`] the dogpile lock on its own.
//! * [`Registry`] finds entry points: in linked crates, in plugin libraries, and in code. [`sdk`] has the traits of backends and
//!   proxies.
//!
//! The [book](https://github.com/dogpile-rs/dogpile/blob/main/docs/README.md) has a tutorial, every option, and the guarantees.
//!
//! # Features
//! | feature | default | adds |
//! |---|---|---|
//! | `memory` | yes | the backends in memory, and the one that stores nothing |
//! | `toml` | yes | [`Configuration`] |
//! | `macros` | yes | the attributes and the derive macro [`macro@CacheKey`] |
//! | `msgpack`, `pickle` | yes | the serializers of those names; `json` is always included |
//! | `plugins` | yes | plugin libraries |
//! | `redis`, `memcached`, `dbm` | no | the backends of those names |
//! | `tokio` | no | asynchronous calls use tokio's timers and threads. Redis and memcached share few connections among all tasks. |
//! | `log` | no | log records for the crate `log`, as long as no subscriber of `tracing` was ever set |
//! | `metrics` | no | `MetricsObserver`, for the crate `metrics` |
//! | `opentelemetry` | no | `OpenTelemetryObserver`: metrics and spans for OpenTelemetry |
//! | `bytes1`, `chrono04`, `time03`, `uuid1` | no | types of those crates in the keys of cached functions |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bundled;
mod caller;
mod causes;
mod clock;
mod config;
mod created;
mod decision;
mod engine;
mod error;
mod expiration;
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
mod export;
pub mod function;
mod invalidation;
mod key;
pub mod lock;
pub mod log_targets;
pub mod metric_names;
mod observe;
mod outage;
mod outcome;
mod policy;
pub mod proxy;
mod python_names;
mod redacted;
mod region;
mod region_limits;
pub mod registry;
mod round_trip;
mod runner;
mod runtime;
pub mod serializer;
mod sha256;
#[cfg(all(unix, any(feature = "plugins", feature = "toml")))]
mod shell_word;
mod shorten;
mod spy;
#[cfg(feature = "toml")]
mod statistics_socket;
mod time;
mod value;
mod walk;

pub use dogpile_sdk as sdk;

/// Caches the return values of a function, under a key made of its name and arguments.
///
/// ```
/// use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};
///
/// static PRICES: CacheRegion = CacheRegion::new("prices");
///
/// /// What an item costs in a year.
/// #[cache_on_arguments(region = PRICES, expiration_time = 300)]
/// fn price(item: &str, year: u32) -> u32 {
///     item.len() as u32 * 100 + year
/// }
///
/// PRICES.configure(RegionConfig::new("dogpile.cache.memory"))?;
/// assert_eq!(price("tea", 2026), 2326);                // evaluated
/// assert_eq!(price("tea", 2026), 2326);                // served for 300 seconds
/// assert_eq!(price::get("tea", 2026)?, Some(2326));    // not evaluated
/// price::set(350, "tea", 2026)?;
/// assert_eq!(price("tea", 2026), 350);
/// assert_eq!(price::refresh("tea", 2026)?, 2326);      // evaluated and stored
/// price::invalidate("tea", 2026)?;                     // the next call evaluates
/// assert_eq!(price::original("tea", 2026), 2326);      // without the cache
/// assert!(price::key("tea", 2026).ends_with("|tea 2026"));
/// # Ok::<(), dogpile::RegionError>(())
/// ```
///
/// The function keeps its signature, attributes, and documentation. It returns a [`CacheValue`]. If it returns a `Result`, also
/// through an alias, only `Ok` values are cached. The function runs under the dogpile lock: meanwhile, the other callers wait or
/// get the old value. A call waits for the backend, and for another caller that creates a missing value. If its region fails or
/// is not configured, a warning is logged, and the function is evaluated as if it were not cached.
///
/// `get`, `set`, `refresh`, `invalidate`, `key`, and `original` are the *companions* of the function. The first four return the
/// errors of the region.
///
/// | setting | |
/// |---|---|
/// | `region = REGION` | the [`CacheRegion`]: a `static`, or an expression, which may use `self` |
/// | `namespace = "ns"` | part of the key, between the function and its arguments |
/// | `version = 2` | part of the key, after the function's name: change it when the type or the meaning of the values changes |
/// | `expiration_time = 300` | overrides the region's: seconds such as `60` or `0.5`, a duration such as `"5m"`, `-1` for never, a `Duration`, or an [`Expiration`]. A function is called for each call, and returns a `Duration`, an [`Expiration`], or whole seconds. |
/// | `should_cache_fn = f` | stores only values for which `f(&value)` or `f(key, &value)` is true |
/// | `to_str = f` | converts each argument, except those of `key_by`, to text with `f(&argument)`, such as `ToString::to_string` |
/// | `function_key_generator = f` | [`default_key_generator`](function::default_key_generator), [`dogpile_key_generator`](function::dogpile_key_generator), [`kwarg_key_generator`](function::kwarg_key_generator), or [your own](function::FunctionCall) |
/// | `key_by(self.id)` | expressions that become the first arguments in the key; they may use `self` and the arguments |
/// | `ignore(connection, log)` | arguments that the key does not depend on; may contain `self` |
/// | `key_name = "shop.prices:price"` | the first part of the key. Default: the module, a colon, and the function's name. For a method, its type replaces the module. For a function within a function, the outer one does. |
/// | `defaults(currency = "EUR")` | parameters of the Python function of this name and their defaults, which [`kwarg_key_generator`](function::kwarg_key_generator) fills in |
/// | `background` | lets the region's [runner](Runner) evaluate a blocking function for stale values; the arguments must be owned, and `self` an `Arc<Self>` |
/// | `detach` | evaluates an `async fn` in a task of its own, which goes on if the caller is dropped; the arguments must be owned, `Clone`, and `Send`, and `self` an `Arc<Self>` |
/// | `associated` | makes the companions of a function without `self` in an `impl` methods |
///
/// In an `impl`, the companions are called `price_get`, `price_set`, `price_refresh`, `price_invalidate`, `price_original`, and
/// `price_key`. A method states how its key depends on `self`: with `key_by(self.id)`, or with `ignore(self)` if its value does
/// not depend on `self`. Otherwise it does not compile, because two objects would share one value, even if each has a region
/// of its own. Methods of a trait cannot have companions: cache a method of the type, and call it in the trait's method.
/// Functions that take `&mut` are refused, because a hit would lose their changes.
///
/// ```
/// use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};
///
/// struct Shop {
///     id: u32,
///     region: CacheRegion,
/// }
///
/// impl Shop {
///     #[cache_on_arguments(region = self.region, key_by(self.id))]
///     fn price(&self, item: &str) -> Result<usize, String> {
///         if item.is_empty() { Err("no item".to_owned()) } else { Ok(item.len()) }
///     }
/// }
///
/// let shop = Shop { id: 7, region: CacheRegion::new("shop") };
/// shop.region.configure(RegionConfig::new("dogpile.cache.memory"))?;
/// assert_eq!(shop.price("tea"), Ok(3));
/// assert_eq!(shop.price(""), Err("no item".to_owned()));
/// assert!(shop.price_key("tea").ends_with("|7 tea"));
/// assert_eq!((shop.price_get("tea")?, shop.price_get("")?), (Some(3), None));
/// # Ok::<(), dogpile::RegionError>(())
/// ```
///
/// # Asynchronous functions
/// An `async fn` is cached in the same way. Its companions are asynchronous too, except `key`.
///
/// ```
/// # fn main() -> Result<(), dogpile::RegionError> { smol::block_on(run()) }
/// # async fn run() -> Result<(), dogpile::RegionError> {
/// use dogpile::{CacheRegion, RegionConfig, cache_on_arguments};
///
/// static PRICES: CacheRegion = CacheRegion::new("prices");
///
/// #[cache_on_arguments(region = PRICES)]
/// async fn price(item: &str, year: u32) -> Result<u32, String> {
///     request(item).await.map(|price| price + year)
/// }
///
/// /// Goes on if its caller is dropped.
/// #[cache_on_arguments(region = PRICES, detach)]
/// async fn report(year: u32) -> String {
///     format!("prices of {year}")
/// }
/// # async fn request(item: &str) -> Result<u32, String> { Ok(item.len() as u32 * 100) }
///
/// PRICES.configure(RegionConfig::new("dogpile.cache.memory"))?;
/// assert_eq!(price("tea", 2026).await, Ok(2326));                // evaluated
/// assert_eq!(price::get("tea", 2026).await?, Some(2326));        // not evaluated
/// price::set(350, "tea", 2026).await?;
/// assert_eq!(price("tea", 2026).await, Ok(350));
/// price::invalidate("tea", 2026).await?;                         // the next call evaluates
/// assert_eq!(report(2026).await, "prices of 2026");
/// assert!(report::key(2026).ends_with("|2026"));
/// # Ok(())
/// # }
/// ```
///
/// * No call blocks the thread that polls it. See [`CacheRegion`](CacheRegion#asynchronous-calls).
/// * The future is `Send` if the arguments, the future of the body, and the error are.
/// * If a caller is dropped while it evaluates the function, the evaluation ends, and the next caller evaluates. With `detach`,
///   the evaluation is a task on the region's [runtime](RegionConfig::runtime). It runs to its end, and its value is stored. If
///   the runtime drops the task, the caller evaluates the function itself.
/// * The key is that of a blocking function of the same name. Tasks and threads share values if both functions have one
///   `key_name`, and values of one type.
/// * The function may call itself. With `detach`, it calls a function that returns `Box::pin` of it as a
///   `Pin<Box<dyn Future<Output = T> + Send>>`.
/// * In `cache_multi_on_arguments`, arguments other than the slice are cloned for each evaluation. References are cheap to
///   clone.
//
// Source: dogpile.cache `region.py`, `CacheRegion.cache_on_arguments`.
#[cfg(feature = "macros")]
pub use dogpile_macros::cache_on_arguments;

/// Caches each value that a function returns for a slice of keys.
///
/// ```
/// use dogpile::{CacheRegion, RegionConfig, cache_multi_on_arguments};
///
/// static USERS: CacheRegion = CacheRegion::new("users");
///
/// #[cache_multi_on_arguments(region = USERS)]
/// fn names(ids: &[u64]) -> Vec<String> {
///     ids.iter().map(|id| format!("user {id}")).collect()
/// }
///
/// USERS.configure(RegionConfig::new("dogpile.cache.memory"))?;
/// names::set([(2, "Ada".to_owned())])?;
/// assert_eq!(names(&[1, 2]), ["user 1", "Ada"]);    // evaluated for 1 only
/// assert_eq!(names::get(&[2, 3])?, [Some("Ada".to_owned()), None]);
/// names::invalidate(&[2])?;
/// assert_eq!(names::refresh(&[2])?, ["user 2"]);
/// # Ok::<(), dogpile::RegionError>(())
/// ```
///
/// The function takes its keys as one slice and returns a `Vec` with one value per key, in order. It is called once with the
/// keys whose values are missing or stale, sorted by the texts under which they are stored. With `asdict`, it returns a
/// `HashMap` or `BTreeMap` instead. A key that it leaves out is missing in the result and is not cached.
///
/// The settings are those of [`cache_on_arguments`](macro@cache_on_arguments), except that `function_multi_key_generator`
/// replaces `function_key_generator`, and that there is no `defaults`. The values of `key_by` are part of each key, before the
/// item of the slice. Arguments other than the slice are left out of the keys with `ignore(shop)`, or added to each of them with
/// `ignore(shop), key_by(shop)`. A custom key generator finds the values of `key_by` in
/// [`FunctionCall::shared`](function::FunctionCall::shared).
//
// Source: dogpile.cache `region.py`, `CacheRegion.cache_multi_on_arguments`.
#[cfg(feature = "macros")]
pub use dogpile_macros::cache_multi_on_arguments;

pub use crate::clock::{Clock, ManualClock, SystemClock};
#[cfg(feature = "toml")]
pub use crate::config::{Configuration, ConfigurationError, Regions};
pub use crate::config::{FlatError, OSLO_CACHE_BACKENDS, OSLO_CACHE_REGION};
pub use crate::created::{Aged, Created};
pub use crate::engine::{CreationInfo, CreationStage, SharedFailure};
pub use crate::error::{CreateError, RegionError};
pub use crate::expiration::{Expiration, InvalidExpiration};
#[cfg(feature = "metrics")]
pub use crate::export::MetricsObserver;
#[cfg(feature = "opentelemetry")]
pub use crate::export::OpenTelemetryObserver;
pub use crate::function::CacheKey;
pub use crate::invalidation::{
    DefaultInvalidationStrategy, Invalidation, RegionInvalidationStrategy, Validity,
};
pub use crate::key::{length_conditional_mangler, sha1_mangle_key};
pub use crate::observe::{
    BackendStatistics, CallSpan, Event, EventKind, Histogram, Observer, RegionStatistics, prometheus_text,
};
pub use crate::outage::{BackendState, BreakerConfig, BreakerState};
pub use crate::outcome::{Outcome, Served};
pub use crate::region::{
    BackgroundCall, CacheRegion, CallOptions, CreatorTimeout, DetachedCall, DetachedOutcomeCall, FailSafe,
    InvalidJitter, InvalidOnStale, InvalidShare, Jitter, OnBackendFailure, OnCreatorFailure, OnStale,
    OutcomeCall, Preset, RegionConfig, Share, answer, shared,
};
pub use crate::registry::Registry;
pub use crate::runner::{Creation, PoolRunner, Runner, TaskCreation, ThreadRunner};
pub use crate::runtime::{Runtime, RuntimeFuture};
pub use crate::value::{CacheValue, InMemory};

/// Compiles the program of the README of this crate.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../README.md")]
struct CrateReadme;
