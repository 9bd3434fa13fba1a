//! [`Setup`]: one configuration of a backend.

use std::fmt;
use std::process::{self, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dogpile_sdk::lease::LeaseStore;
use dogpile_sdk::{BackendError, CacheBackend, CacheMutex, CachedValue};

use crate::expect::Stop;
use crate::freezer::Freezer;
use crate::holder::{self, Lease};
use crate::reference::Reference;
use crate::value::value_for;

type Build = dyn Fn() -> Result<Arc<dyn CacheBackend>, BackendError> + Send + Sync;
type BuildProxy = dyn Fn(Arc<dyn CacheBackend>) -> Result<Arc<dyn CacheBackend>, BackendError> + Send + Sync;
type BuildStore = dyn Fn() -> Result<Arc<dyn LeaseStore>, BackendError> + Send + Sync;

/// One configuration of a backend, on which all cases run. Cloning it is cheap.
#[derive(Clone)]
pub struct Setup {
    name: String,
    build: Arc<Build>,
    /// Builds the proxy around another store, if the setup is of a proxy.
    proxy: Option<Arc<BuildProxy>>,
    /// Whether the proxy handles failures of its store.
    pub(crate) handles_failures: bool,
    ignored: Option<String>,
    time_limit: Duration,
    lease: Option<Lease>,
    lease_store: Option<Arc<BuildStore>>,
    freezer: Option<Arc<Freezer>>,
    recovery: Duration,
}

impl Setup {
    /// Creates a setup. `build` makes one backend for each case; the backends may share a store.
    ///
    /// Wrap a `BytesBackend`: `Ok(Arc::new(Enveloped::new(backend)))`.
    pub fn new(
        name: impl Into<String>,
        build: impl Fn() -> Result<Arc<dyn CacheBackend>, BackendError> + Send + Sync + 'static,
    ) -> Self {
        Setup {
            name: name.into(),
            build: Arc::new(build),
            proxy: None,
            handles_failures: false,
            ignored: None,
            time_limit: Duration::from_secs(60),
            lease: None,
            lease_store: None,
            freezer: None,
            recovery: Duration::ZERO,
        }
    }

    /// Creates a setup of a proxy around a [`Reference`], a store that has every feature.
    ///
    /// `build` wraps the proxy around the backend that it is given. Most faults of proxies are features that they hide or
    /// forget, such as a form of a call, a mutex, or the options of a store. The level `proxy` also wraps it around a
    /// store that fails.
    pub fn proxy(
        name: impl Into<String>,
        build: impl Fn(Arc<dyn CacheBackend>) -> Result<Arc<dyn CacheBackend>, BackendError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let proxy: Arc<BuildProxy> = Arc::new(build);
        let build = Arc::clone(&proxy);
        let setup = Setup::new(name, move || build(Arc::new(Reference::new())));
        Setup { proxy: Some(proxy), ..setup }
    }

    /// Claims that the proxy handles failures of its store, for example with old values.
    ///
    /// The cases that expect a proxy to fail if its store fails are then skipped.
    #[must_use]
    pub fn handling_failures(mut self) -> Self {
        self.handles_failures = true;
        self
    }

    /// Shows the cases as ignored for the reason `why`, for example a missing server.
    #[must_use]
    pub fn ignored(mut self, why: impl Into<String>) -> Self {
        self.ignored = Some(why.into());
        self
    }

    /// Sets the time after which a case fails. Default: 60 seconds.
    ///
    /// A case of the level `lease` has six leases more.
    #[must_use]
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Claims that a mutex becomes free at most `lease` after its holder's process died.
    ///
    /// The cases fail if it takes more than two leases and two seconds. They also fail if a holder that is stopped loses
    /// its mutex much earlier than one lease. A holder that is stopped may keep its mutex forever, as with file locks.
    ///
    /// The child process that dies is this program. There, [`run`](crate::run) holds the mutex, with the setup of the
    /// same name. If that setup would not use the same store, call [`leased_by`](Self::leased_by) instead.
    #[must_use]
    pub fn leased(self, lease: Duration) -> Self {
        let name = self.name.clone();
        self.leased_by(lease, move |key| holder::this_program(&name, key))
    }

    /// Claims a lease like [`leased`](Self::leased), with another program as the child.
    ///
    /// `holder` returns the command for a key. The program calls [`hold`](crate::hold) with a backend over the same
    /// store.
    #[must_use]
    pub fn leased_by(
        mut self,
        lease: Duration,
        holder: impl Fn(&str) -> Command + Send + Sync + 'static,
    ) -> Self {
        self.lease = Some(Lease::new(lease, holder));
        self
    }

    /// Adds the lease store of the backend, whose commands are then tested directly.
    ///
    /// `build` makes one for each case. It locks what the mutexes of the backend lock, or has locks of its own.
    #[must_use]
    pub fn with_lease_store(
        mut self,
        build: impl Fn() -> Result<Arc<dyn LeaseStore>, BackendError> + Send + Sync + 'static,
    ) -> Self {
        self.lease_store = Some(Arc::new(build));
        self
    }

    /// Claims that each call ends within `bound` while the store does not reply.
    ///
    /// When the store replies again, the next call must succeed.
    ///
    /// `freeze` makes the store stop replying and `thaw` makes it reply again, for example by the signals `SIGSTOP` and
    /// `SIGCONT` to a server that the test started. `thaw` may be called several times. No other case of this setup runs
    /// meanwhile, but other setups must use another store. `bound` follows from the timeouts of the backend. Use timeouts
    /// of a second or two, and allow for a busy machine.
    #[must_use]
    pub fn freezable(
        mut self,
        bound: Duration,
        freeze: impl Fn() + Send + Sync + 'static,
        thaw: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        self.freezer = Some(Arc::new(Freezer::new(bound, freeze, thaw)));
        self
    }

    /// Sets the time for which the backend avoids a store that failed. Default: zero.
    ///
    /// The cases of the level `frozen` wait for it after the store replies again. The next call then succeeds.
    #[must_use]
    pub fn with_recovery(mut self, recovery: Duration) -> Self {
        self.recovery = recovery;
        self
    }

    /// Returns the name under which the cases are reported.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn why_ignored(&self) -> Option<&str> {
        self.ignored.as_deref()
    }

    pub(crate) fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// Builds a backend.
    ///
    /// # Errors
    /// If the backend cannot be built.
    pub fn backend(&self) -> Result<Arc<dyn CacheBackend>, Stop> {
        (self.build)().map_err(|error| self.not_built("backend", &error))
    }

    /// Builds the proxy around `store`.
    pub(crate) fn proxy_around(&self, store: Arc<dyn CacheBackend>) -> Result<Arc<dyn CacheBackend>, Stop> {
        (self.build_proxy()?)(store).map_err(|error| self.not_built("proxy", &error))
    }

    /// Returns the function that builds the proxy.
    pub(crate) fn build_proxy(&self) -> Result<&BuildProxy, Stop> {
        let proxy = self.proxy.as_deref();
        proxy.ok_or_else(|| Stop::skipped("the setup is not of a proxy (`Setup::proxy`)"))
    }

    /// Builds a lease store.
    pub(crate) fn lease_store(&self) -> Result<Arc<dyn LeaseStore>, Stop> {
        let build = self.lease_store.as_ref();
        let build =
            build.ok_or_else(|| Stop::skipped("no lease store is given (`Setup::with_lease_store`)"))?;
        build().map_err(|error| self.not_built("lease store", &error))
    }

    fn not_built(&self, what: &str, error: &BackendError) -> Stop {
        let (name, kind) = (&self.name, error.kind());
        Stop::failed(format!("expected setup {name:?} to build its {what}, got an error ({kind:?}): {error}"))
    }

    /// Returns a key that no other call returned, in this process or another. It has only letters, digits, and `-`.
    pub fn fresh_key(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        format!("dogpile-{:x}-{now:x}-{:x}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns `count` keys of [`fresh_key`](Setup::fresh_key).
    pub fn fresh_keys(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.fresh_key()).collect()
    }

    /// Returns a value of `bytes` in the form that `backend` stores by default. It is an object or bytes.
    pub fn value(&self, backend: &dyn CacheBackend, bytes: &[u8]) -> CachedValue {
        value_for(backend, bytes)
    }

    /// Returns the lease that the setup claims.
    pub(crate) fn lease(&self) -> Result<&Lease, Stop> {
        self.lease.as_ref().ok_or_else(|| Stop::skipped("no lease is claimed (`Setup::leased`)"))
    }

    /// Returns what freezes the store.
    pub(crate) fn freezer(&self) -> Result<&Freezer, Stop> {
        let freezer = self.freezer.as_deref();
        freezer.ok_or_else(|| Stop::skipped("the store cannot be frozen (`Setup::freezable`)"))
    }

    pub(crate) fn recovery(&self) -> Duration {
        self.recovery
    }

    /// Returns the backend's mutex for `key`.
    ///
    /// # Errors
    /// [`Stop::Skipped`] if the backend has no mutex of its own.
    pub fn mutex(&self, backend: &dyn CacheBackend, key: &str) -> Result<Arc<dyn CacheMutex>, Stop> {
        backend.get_mutex(key).ok_or_else(|| Stop::skipped("the backend has no mutex of its own"))
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup {
            name,
            build: _,
            proxy: _,
            handles_failures,
            ignored,
            time_limit,
            lease,
            lease_store,
            freezer,
            recovery,
        } = self;
        let mut shown = f.debug_struct("Setup");
        shown.field("name", name).field("ignored", ignored).field("time_limit", time_limit);
        shown.field("lease", lease).field("lease_store", &lease_store.is_some());
        shown.field("handles_failures", handles_failures);
        shown.field("freezer", freezer).field("recovery", recovery).finish()
    }
}
