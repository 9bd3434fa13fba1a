//! [`RegionConfig`]: what a region is configured with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{Arguments, BackendError, CacheBackend, IntoProxy, KeyMangler};
use serde::Serialize;

use super::instance_name::instance_name;
use crate::clock::Clock;
use crate::expiration::Expiration;
use crate::invalidation::RegionInvalidationStrategy;
use crate::observe::{Observer, Recorder};
use crate::outage::BreakerConfig;
use crate::policy::{
    CreatorTimeout, FailSafe, Jitter, Lifetimes, OnBackendFailure, OnCreatorFailure, OnStale, Preset, Share,
};
use crate::registry::Registry;
use crate::runner::Runner;
use crate::runtime::Runtime;
use crate::serializer::Serializer;
#[cfg(feature = "toml")]
use crate::statistics_socket::StatisticsSocket;
use crate::time::Marks;

/// The configuration of a region, built setting by setting.
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::{CacheRegion, RegionConfig};
///
/// static USERS: CacheRegion = CacheRegion::new("users");
///
/// USERS.configure(
///     RegionConfig::new("dogpile.cache.memory")
///         .argument("max_entries", 10_000)
///         .expiration_time(Duration::from_secs(300))
///         .wrap("dogpile.proxy.logging"),
/// )?;
/// assert!(USERS.is_configured());
/// # Ok::<(), dogpile::RegionError>(())
/// ```
//
// Source: dogpile.cache `region.py`, `make_region` and `CacheRegion.configure`.
#[derive(Clone, Default)]
#[must_use = "a configuration does nothing until it is passed to `CacheRegion::configure`"]
pub struct RegionConfig {
    pub(crate) settings: Settings,
    pub(crate) replace_existing_backend: bool,
    /// The first invalid value, which is reported when the region is configured.
    pub(crate) problem: Option<Arc<BackendError>>,
}

/// The settings. `None` means that a setting was not given.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) backend: Option<BackendChoice>,
    pub(crate) expiration_time: Option<Expiration>,
    pub(crate) key_mangler: Option<Choice<KeyMangler>>,
    pub(crate) serializer: Option<Choice<Arc<dyn Serializer>>>,
    pub(crate) wrap: Option<Vec<Wrap>>,
    pub(crate) region_invalidator: Option<Arc<dyn RegionInvalidationStrategy>>,
    pub(crate) async_creation_runner: Option<Arc<dyn Runner>>,
    pub(crate) runtime: Option<Arc<dyn Runtime>>,
    pub(crate) mangle_invalid_keys: Option<bool>,
    pub(crate) creation_wait_timeout: Option<Duration>,
    pub(crate) on_creator_failure: Option<OnCreatorFailure>,
    pub(crate) on_backend_failure: Option<OnBackendFailure>,
    pub(crate) breaker: Option<BreakerConfig>,
    pub(crate) preset: Option<Preset>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) registry: Option<Registry>,
    /// Names in a configuration that have no effect. They are logged when the region is configured.
    pub(crate) ignored_names: Vec<String>,
    pub(crate) statistics: Option<bool>,
    /// What shows the statistics to `dogpile top`.
    #[cfg(feature = "toml")]
    pub(crate) statistics_socket: Option<Arc<StatisticsSocket>>,
    pub(crate) observers: Option<Vec<Arc<dyn Observer>>>,
    /// Set by the region when it is configured for the first time.
    pub(crate) time_marks: Option<Arc<Marks>>,
    /// Set by the region when it is configured with statistics for the first time.
    pub(crate) recorder: Option<Arc<Recorder>>,
}

/// A backend: an entry point with its arguments, or an instance.
#[derive(Clone)]
pub(crate) enum BackendChoice {
    Named { name: String, arguments: Arguments },
    Instance(Arc<dyn CacheBackend>),
}

/// A setting that is given by name or as an object.
#[derive(Clone)]
pub(crate) enum Choice<T> {
    Named(String),
    Given(T),
}

/// A proxy: an entry point with its arguments, or a function that creates one.
#[derive(Clone)]
pub(crate) enum Wrap {
    Named { name: String, arguments: Arguments },
    With(ProxyFn),
}

/// A function that creates a proxy around a backend.
pub(crate) type ProxyFn = Arc<dyn Fn(Arc<dyn CacheBackend>) -> Arc<dyn CacheBackend> + Send + Sync>;

impl Settings {
    /// Returns these settings, completed by those of `others`.
    pub(crate) fn or(self, others: &Settings) -> Settings {
        let others = others.clone();
        Settings {
            backend: self.backend.or(others.backend),
            expiration_time: self.expiration_time.or(others.expiration_time),
            key_mangler: self.key_mangler.or(others.key_mangler),
            serializer: self.serializer.or(others.serializer),
            wrap: self.wrap.or(others.wrap),
            region_invalidator: self.region_invalidator.or(others.region_invalidator),
            async_creation_runner: self.async_creation_runner.or(others.async_creation_runner),
            runtime: self.runtime.or(others.runtime),
            mangle_invalid_keys: self.mangle_invalid_keys.or(others.mangle_invalid_keys),
            creation_wait_timeout: self.creation_wait_timeout.or(others.creation_wait_timeout),
            on_creator_failure: self.on_creator_failure.or(others.on_creator_failure),
            on_backend_failure: self.on_backend_failure.or(others.on_backend_failure),
            breaker: self.breaker.or(others.breaker),
            preset: self.preset.or(others.preset),
            lifetimes: self.lifetimes.or(others.lifetimes),
            clock: self.clock.or(others.clock),
            registry: self.registry.or(others.registry),
            ignored_names: if self.ignored_names.is_empty() {
                others.ignored_names
            } else {
                self.ignored_names
            },
            statistics: self.statistics.or(others.statistics),
            #[cfg(feature = "toml")]
            statistics_socket: self.statistics_socket.or(others.statistics_socket),
            observers: self.observers.or(others.observers),
            time_marks: self.time_marks.or(others.time_marks),
            recorder: self.recorder.or(others.recorder),
        }
    }
}

impl RegionConfig {
    /// Creates a configuration with the backend whose entry point is `backend`.
    pub fn new(backend: impl Into<String>) -> Self {
        let backend = BackendChoice::Named { name: backend.into(), arguments: Arguments::default() };
        RegionConfig::default().with_backend(backend)
    }

    /// Creates a configuration with a backend that already exists.
    ///
    /// Regions with the same backend wait for each other's creators.
    pub fn from_instance(backend: Arc<dyn CacheBackend>) -> Self {
        RegionConfig::default().with_backend(BackendChoice::Instance(backend))
    }

    pub(crate) fn with_backend(mut self, backend: BackendChoice) -> Self {
        self.settings.backend = Some(backend);
        self
    }

    /// Sets one argument of the backend. `configure` rejects an unknown name.
    pub fn argument(mut self, name: &str, value: impl Serialize) -> Self {
        let one = Arguments::from_serialize(std::collections::BTreeMap::from([(name, value)]));
        match (&mut self.settings.backend, one) {
            (Some(BackendChoice::Named { arguments, .. }), Ok(one)) => arguments.extend(one),
            (_, Err(error)) => self.problem = Some(Arc::new(error)),
            (_, Ok(_)) => self.problem = Some(Arc::new(no_arguments())),
        }
        self
    }

    /// Sets further arguments of the backend, from a struct or a map.
    pub fn arguments(mut self, more: impl Serialize) -> Self {
        match (&mut self.settings.backend, Arguments::from_serialize(more)) {
            (Some(BackendChoice::Named { arguments, .. }), Ok(more)) => arguments.extend(more),
            (_, Err(error)) => self.problem = Some(Arc::new(error)),
            (_, Ok(_)) => self.problem = Some(Arc::new(no_arguments())),
        }
        self
    }

    /// Sets the age past which a value is stale. Default: never.
    pub fn expiration_time(mut self, expiration: impl Into<Expiration>) -> Self {
        self.settings.expiration_time = Some(expiration.into());
        self
    }

    /// Sets the function that makes stored keys from keys. Default: the backend's, or none.
    pub fn key_mangler(mut self, mangle: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.settings.key_mangler = Some(Choice::Given(KeyMangler::new(mangle)));
        self
    }

    /// Sets the key mangler by name: `sha1`. Default: the backend's, or none.
    pub fn key_mangler_named(mut self, name: impl Into<String>) -> Self {
        self.settings.key_mangler = Some(Choice::Named(name.into()));
        self
    }

    /// Sets the serializer. Default: the backend's, or none, which stores values as they are.
    ///
    /// The default of files and servers is `json`, and that of `dogpile.cache.memory_pickle` is `msgpack`.
    pub fn serializer(mut self, serializer: impl Serializer) -> Self {
        self.settings.serializer = Some(Choice::Given(Arc::new(serializer)));
        self
    }

    /// Sets the serializer by name: `json`, `msgpack`, `pickle`, or a [registered](crate::serializer::register) one.
    /// Default: `json` for files and servers, `msgpack` for `dogpile.cache.memory_pickle`, and none for `dogpile.cache.memory`.
    pub fn serializer_named(mut self, name: impl Into<String>) -> Self {
        self.settings.serializer = Some(Choice::Named(name.into()));
        self
    }

    /// Wraps the backend in the proxy whose entry point is `proxy`. The first proxy is the outermost.
    pub fn wrap(self, proxy: impl Into<String>) -> Self {
        self.push(Wrap::Named { name: proxy.into(), arguments: Arguments::default() })
    }

    /// Wraps the backend in a proxy with arguments, from a struct or a map. See [`wrap`](Self::wrap).
    pub fn wrap_with(mut self, proxy: impl Into<String>, arguments: impl Serialize) -> Self {
        match Arguments::from_serialize(arguments) {
            Ok(arguments) => self.push(Wrap::Named { name: proxy.into(), arguments }),
            Err(error) => {
                self.problem = Some(Arc::new(error));
                self
            }
        }
    }

    /// Wraps the backend in a proxy that `make` creates: a `ProxyBackend` or a `ValueProxy`. See [`wrap`](Self::wrap).
    pub fn wrap_in<P: IntoProxy<Form>, Form>(
        self,
        make: impl Fn(Arc<dyn CacheBackend>) -> P + Send + Sync + 'static,
    ) -> Self {
        self.push(Wrap::With(Arc::new(move |proxied| make(proxied).into_backend())))
    }

    pub(crate) fn push(mut self, wrap: Wrap) -> Self {
        self.settings.wrap.get_or_insert_default().push(wrap);
        self
    }

    /// Removes the proxies that the region would otherwise keep when its backend is replaced.
    pub fn without_proxies(mut self) -> Self {
        self.settings.wrap = Some(Vec::new());
        self
    }

    /// Sets what records the region's invalidations. Default: [`DefaultInvalidationStrategy`](crate::DefaultInvalidationStrategy).
    pub fn region_invalidator(mut self, strategy: Arc<dyn RegionInvalidationStrategy>) -> Self {
        self.settings.region_invalidator = Some(strategy);
        self
    }

    /// Sets the runner of the creations of `background` and `detach` calls.
    ///
    /// Creations of calls through [`background`](crate::CallOptions::background) run on its threads, and those of calls
    /// through [`detach`](crate::CallOptions::detach) as its tasks.
    ///
    /// Default: none. The caller of a `background` call creates, and the creations of `detach` are spawned on the runtime.
    pub fn async_creation_runner(mut self, runner: Arc<dyn Runner>) -> Self {
        self.settings.async_creation_runner = Some(runner);
        self
    }

    /// Sets the async runtime that asynchronous calls use for timers, tasks, and blocking work.
    ///
    /// Default: tokio's (with the feature `tokio`) where a call is made in one, and otherwise threads of the host's own.
    pub fn runtime(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.settings.runtime = Some(runtime);
        self
    }

    /// Sets whether keys that cannot be stored unchanged are replaced. Default: true. If false, such a key is an error.
    ///
    /// The store may not accept the key, because it is too long or contains whitespace. Or the key begins with the prefix
    /// of the store's locks, or with `_dogpile:`. It is then stored as `_dogpile:sha256:` and the SHA-256 of the key.
    /// [`mangled_key`](crate::CacheRegion::mangled_key) returns the stored key.
    pub fn mangle_invalid_keys(mut self, mangle: bool) -> Self {
        self.settings.mangle_invalid_keys = Some(mangle);
        self
    }

    /// Sets how long a call waits for other creators, in all. Default: 5 minutes.
    ///
    /// After this time, a call returns the old value if there is one, and otherwise
    /// [`LockError::TimedOut`](crate::lock::LockError::TimedOut).
    pub fn creation_wait_timeout(mut self, limit: Duration) -> Self {
        self.settings.creation_wait_timeout = Some(limit);
        self
    }

    /// Sets what the waiters of a failed creator get. Default: [`OnCreatorFailure::Next`].
    pub fn on_creator_failure(mut self, policy: OnCreatorFailure) -> Self {
        self.settings.on_creator_failure = Some(policy);
        self
    }

    /// Sets what a call does if the backend fails. Default: [`OnBackendFailure::Error`].
    ///
    /// ```
    /// use dogpile::{CacheRegion, OnBackendFailure, RegionConfig};
    ///
    /// let region = CacheRegion::new("prices");
    /// region.configure(
    ///     RegionConfig::new("dogpile.cache.memory").on_backend_failure(OnBackendFailure::Degrade),
    /// )?;
    /// assert_eq!(region.backend_state()?.queued_deletions, 0);
    /// # Ok::<(), dogpile::RegionError>(())
    /// ```
    pub fn on_backend_failure(mut self, policy: OnBackendFailure) -> Self {
        self.settings.on_backend_failure = Some(policy);
        self
    }

    /// Sets when the breaker of the backend opens. Default: none with [`OnBackendFailure::Error`], and
    /// [`BreakerConfig::default`] with [`OnBackendFailure::Degrade`].
    ///
    /// While the breaker is open, calls of the backend fail at once. All regions over one store share its breaker, and the
    /// settings of the region that was configured last apply.
    pub fn breaker(mut self, breaker: BreakerConfig) -> Self {
        self.settings.breaker = Some(breaker);
        self
    }

    /// Sets the preset: settings that fit together. A setting that is given explicitly overrides the preset's. Default:
    /// [`Preset::Dogpile`].
    pub fn preset(mut self, preset: Preset) -> Self {
        self.settings.preset = Some(preset);
        self
    }

    /// Sets by how much at most the expiration time of a value is shortened. Each value gets its own part. Default: none.
    ///
    /// Values that were created together then do not all expire at once.
    pub fn jitter(mut self, jitter: impl Into<Jitter>) -> Self {
        self.settings.lifetimes.jitter = Some(jitter.into());
        self
    }

    /// Sets the share of a value's lifetime after which one caller refreshes it. All callers get the value meanwhile.
    /// Default: the whole lifetime, which turns early refreshes off.
    ///
    /// A creator that owns what it uses refreshes in the background: see [`background`](crate::CallOptions::background) and
    /// [`detach`](crate::CallOptions::detach). Otherwise the one caller waits for its creator. If an early refresh fails, the
    /// caller still gets the value, and a warning is logged.
    pub fn early_refresh(mut self, share: Share) -> Self {
        self.settings.lifetimes.early_refresh = Some(share);
        self
    }

    /// Sets how long after its expiration a value is stale. After that, it counts as missing. Default: without end.
    pub fn max_stale(mut self, time: impl Into<Expiration>) -> Self {
        self.settings.lifetimes.max_stale = Some(time.into());
        self
    }

    /// Sets what callers get if they find a stale value. Default: [`OnStale::Serve`].
    pub fn stale(mut self, policy: OnStale) -> Self {
        self.settings.lifetimes.stale = Some(policy);
        self
    }

    /// Sets when an old value is served because its creator failed or timed out. Default: never.
    ///
    /// It is served even if it is older than [`max_stale`](Self::max_stale). A creator marks errors
    /// that are not failures with [`answer`](crate::answer).
    pub fn fail_safe(mut self, fail_safe: FailSafe) -> Self {
        self.settings.lifetimes.fail_safe = Some(fail_safe);
        self
    }

    /// Sets how long calls wait for creators. Default: without limits.
    pub fn creator_timeout(mut self, limits: CreatorTimeout) -> Self {
        self.settings.lifetimes.creator_timeout = Some(limits);
        self
    }

    /// Sets whether the region keeps [statistics](crate::CacheRegion::statistics). Default: false.
    ///
    /// A hit takes 1 to 2 ns longer with them. Other calls read a clock.
    ///
    /// ```
    /// use dogpile::{CacheRegion, RegionConfig};
    ///
    /// let region = CacheRegion::new("prices");
    /// region.configure(RegionConfig::new("dogpile.cache.memory").statistics(true))?;
    /// region.get_or_create("tea", || 350)?;
    /// region.get_or_create("tea", || 350)?;
    /// let statistics = region.statistics()?.expect("they are kept");
    /// assert_eq!((statistics.created, statistics.fresh_hits), (1, 1));
    /// # Ok::<(), dogpile::RegionError>(())
    /// ```
    pub fn statistics(mut self, are_kept: bool) -> Self {
        self.settings.statistics = Some(are_kept);
        self
    }

    /// Adds an observer, which receives the [events](crate::Event) of the region. Default: none.
    ///
    /// [`Registry::observe`] adds one for all regions that are configured later.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.settings.observers.get_or_insert_default().push(observer);
        self
    }

    /// Sets the clock. Default: the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = Some(clock);
        self
    }

    /// Sets the registry that finds entry points. Default: [`Registry::global`].
    pub fn registry(mut self, registry: Registry) -> Self {
        self.settings.registry = Some(registry);
        self
    }

    /// Allows the configuration of a region that is already configured. Default: an error.
    ///
    /// Settings that this configuration leaves out stay as they are. Calls in progress end with the backend with which
    /// they began.
    pub fn replace_existing_backend(mut self) -> Self {
        self.replace_existing_backend = true;
        self
    }
}

fn no_arguments() -> BackendError {
    let message = "cannot set arguments: no entry point is named; call `RegionConfig::new` first";
    BackendError::new(dogpile_sdk::ErrorKind::Configuration, message)
}

/// Omits arguments and the fields of an instance, which may be secret.
impl fmt::Debug for RegionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend: Option<String> = self.settings.backend.as_ref().map(|backend| match backend {
            BackendChoice::Named { name, .. } => name.clone(),
            BackendChoice::Instance(backend) => instance_name(&**backend),
        });
        f.debug_struct("RegionConfig")
            .field("backend", &backend)
            .field("expiration_time", &self.settings.expiration_time)
            .finish_non_exhaustive()
    }
}
