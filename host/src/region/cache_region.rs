//! [`CacheRegion`]: a named front end over one backend.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::{CacheBackend, IntoProxy};

use super::build;
use super::call_options::CallOptions;
use super::front_end::Blocking;
use super::plain_value::PlainValue;
use super::settings::{ProxyFn, RegionConfig, Wrap};
use super::state::RegionState;
use crate::created::Aged;
use crate::engine::CreationInfo;
use crate::engine::blocking::drive;
use crate::error::{CreateError, RegionError};
use crate::invalidation::Invalidation;
use crate::observe::RegionStatistics;
use crate::outage::BackendState;
use crate::serializer::Serializer;
use crate::value::CacheValue;

/// How often a configuration is built again because another one came before it.
const TRIES: usize = 100;

/// A named front end over one backend. It is created first, for example as a `static`, and configured later.
///
/// ```
/// use dogpile::{CacheRegion, RegionConfig};
///
/// static USERS: CacheRegion = CacheRegion::new("users");
///
/// USERS.configure(RegionConfig::new("dogpile.cache.memory"))?;
/// let name = USERS.get_or_create("user:1", || "Ada".to_owned())?;
/// assert_eq!(USERS.get("user:1")?, Some(name));
/// # Ok::<(), dogpile::RegionError>(())
/// ```
///
/// The values under one key are of one type. A value that was stored as another type is a miss, and is replaced.
///
/// Calls that reach the backend block while it does. Their forms with the suffix `_async` are awaited instead. [`CallOptions`]
/// has the same calls with settings of their own.
pub struct CacheRegion {
    state: RegionState,
}

impl CacheRegion {
    /// Creates a region that is not configured yet.
    pub const fn new(name: &'static str) -> Self {
        CacheRegion { state: RegionState::new(Cow::Borrowed(name), None) }
    }

    /// Creates a region with defaults for settings that its configuration leaves out.
    ///
    /// The defaults outlive every replacement of the backend. A key mangler is an example.
    pub fn with_defaults(name: impl Into<String>, defaults: RegionConfig) -> Self {
        CacheRegion { state: RegionState::new(Cow::Owned(name.into()), Some(Box::new(defaults.settings))) }
    }

    /// Returns the name of the region.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Configures the region.
    ///
    /// This builds the backend, which may open files, load a plugin library, and connect to a server. It blocks for as long
    /// as that takes. An asynchronous form would not help: most backends can only be built by a call that blocks, and a
    /// region cannot be used before. Configure regions when the program starts, before its runtime does. A task that has
    /// to configure one does so on a thread for blocking calls, such as that of `tokio::task::spawn_blocking`.
    ///
    /// Threads that configure one region at the same time do not wait for each other. Each may build a backend, of which
    /// one is used. The others are dropped.
    ///
    /// # Errors
    /// If the region is already configured and `config` does not set `replace_existing_backend`, or if a setting is
    /// wrong. The region is unchanged then. Also if others configured the region 100 times meanwhile.
    pub fn configure(&self, config: RegionConfig) -> Result<&Self, RegionError> {
        if let Some(problem) = config.problem {
            return Err(RegionError::Arguments { region: self.name().to_owned(), source: problem });
        }
        // Building runs foreign code, which may configure this region, too. So no lock is held meanwhile.
        for _ in 0..TRIES {
            let present = self.state.current.load_full();
            let mut settings = config.settings.clone();
            if let Some(present) = &present {
                if !config.replace_existing_backend {
                    let (region, backend) = (self.name().to_owned(), present.stores.bottom.name.clone());
                    return Err(RegionError::AlreadyConfigured { region, backend });
                }
                settings = settings.or(&present.settings);
            }
            if let Some(defaults) = &self.state.defaults {
                settings = settings.or(defaults);
            }
            let (configured, ignored) = build::build(self.name(), settings)?;
            if self.state.replace(present.as_ref(), configured) {
                build::warn_of_ignored(self.name(), &ignored);
                return Ok(self);
            }
        }
        Err(RegionError::ConfiguredByOthers { region: self.name().to_owned() })
    }

    /// Wraps the backend of a configured region in another proxy, which becomes the outermost.
    ///
    /// `make` creates a `ProxyBackend` or a `ValueProxy`. It is called again if another thread configures the region
    /// meanwhile, and whenever another backend replaces this one. Calls in progress end without the proxy.
    ///
    /// # Errors
    /// If the region is not configured, if the capabilities of the proxy name an unknown serializer, or if others configured
    /// the region 100 times meanwhile.
    pub fn wrap<P: IntoProxy<Form>, Form>(
        &self,
        make: impl Fn(Arc<dyn CacheBackend>) -> P + Send + Sync + 'static,
    ) -> Result<&Self, RegionError> {
        let make: ProxyFn = Arc::new(move |proxied| make(proxied).into_backend());
        for _ in 0..TRIES {
            let present = self.state.shared()?;
            let backend = make(Arc::clone(&present.stores.bottom.backend));
            let mut settings = present.settings.clone();
            settings.wrap.get_or_insert_default().insert(0, Wrap::With(Arc::clone(&make)));
            if self.state.replace(Some(&present), build::rewrap(&present, settings, backend)?) {
                return Ok(self);
            }
        }
        Err(RegionError::ConfiguredByOthers { region: self.name().to_owned() })
    }

    /// Returns whether the region is configured.
    pub fn is_configured(&self) -> bool {
        self.state.current.load().is_some()
    }

    /// Returns the outermost proxy, or the backend if it has none.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn backend(&self) -> Result<Arc<dyn CacheBackend>, RegionError> {
        Ok(Arc::clone(&self.state.current()?.stores.bottom.backend))
    }

    /// Returns the backend beneath all proxies.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn actual_backend(&self) -> Result<Arc<dyn CacheBackend>, RegionError> {
        Ok(Arc::clone(&self.state.current()?.stores.bottom.actual_backend))
    }

    /// Returns options for one call, such as an expiration time of its own.
    #[inline]
    pub fn options(&self) -> CallOptions<'_> {
        CallOptions::new(&self.state)
    }

    /// Returns the value of `key`, or `None` if it is missing, stale, or invalidated.
    ///
    /// # Errors
    /// [`RegionError::Backend`] if the backend fails. Fails as well if the region is not configured, or if the key is
    /// empty or not one that the backend accepts.
    pub fn get<T: CacheValue>(&self, key: &str) -> Result<Option<T>, RegionError> {
        self.options().get(key)
    }

    /// Returns the values of many keys, in order, read in one call of the backend.
    ///
    /// `None` marks a key that is missing, stale, or invalidated.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn get_multi<T: CacheValue>(&self, keys: &[impl AsRef<str>]) -> Result<Vec<Option<T>>, RegionError> {
        self.options().get_multi(keys)
    }

    /// Returns the value of `key` with its creation time and age.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn get_value_metadata<T: CacheValue>(&self, key: &str) -> Result<Option<Aged<T>>, RegionError> {
        self.options().get_value_metadata(key)
    }

    /// Stores `value` under `key`.
    ///
    /// It supersedes a creation of the key that is running in this process: the created value goes to its callers, and
    /// is not stored. If a created value is just being stored, this call waits for the end of that store, for at most
    /// 10 seconds.
    ///
    /// # Errors
    /// [`RegionError::Serialize`] if the value cannot be serialized. See [`get`](Self::get) for the others.
    pub fn set<T: CacheValue>(&self, key: &str, value: T) -> Result<(), RegionError> {
        self.options().set(key, value)
    }

    /// Stores many values in one call of the backend. See [`set`](Self::set).
    ///
    /// # Errors
    /// See [`set`](Self::set). Some of the values may have been stored.
    pub fn set_multi<K: AsRef<str>, T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (K, T)>,
    ) -> Result<(), RegionError> {
        self.options().set_multi(values)
    }

    /// Deletes `key`. Deleting a missing key succeeds. Supersedes a running creation, as [`set`](Self::set) does.
    ///
    /// # Errors
    /// See [`get`](Self::get).
    pub fn delete(&self, key: &str) -> Result<(), RegionError> {
        self.options().delete(key)
    }

    /// Deletes many keys in one call of the backend. See [`delete`](Self::delete).
    ///
    /// # Errors
    /// See [`get`](Self::get). Some of the keys may have been deleted.
    pub fn delete_multi(&self, keys: &[impl AsRef<str>]) -> Result<(), RegionError> {
        self.options().delete_multi(keys)
    }

    /// Returns the value of `key`, calling `creator` if it is missing or stale.
    ///
    /// One caller creates. If there is a stale value, the other callers get it at once. Otherwise they wait for the
    /// new value and get it, even if it is not stored. A caller waits for at most the region's
    /// [`creation_wait_timeout`](RegionConfig::creation_wait_timeout).
    ///
    /// If the created value cannot be stored, a warning is logged and the value is returned. It is not stored either if
    /// the key was set or deleted since `creator` was called, or if the backend's lock expired meanwhile.
    ///
    /// A creator that returns a `Result` does not compile here. Use [`try_get_or_create`](Self::try_get_or_create), which
    /// does not cache the error.
    ///
    /// # Errors
    /// [`RegionError::Backend`] if the backend cannot be read. [`RegionError::Lock`] if the creator requests its own key,
    /// if the wait times out, or if the backend's mutex fails and there is no old value. See [`get`](Self::get) for the
    /// others.
    //
    // Source: dogpile.cache `region.py`, `CacheRegion.get_or_create`.
    #[inline]
    pub fn get_or_create<T: CacheValue + PlainValue<Kind>, Kind>(
        &self,
        key: &str,
        creator: impl FnOnce() -> T,
    ) -> Result<T, RegionError> {
        self.options().get_or_create(key, creator)
    }

    /// Returns the value of `key`, calling a fallible creator if it is missing or stale.
    ///
    /// If the creator fails, nothing is stored. What callers get that waited for it depends on
    /// [`on_creator_failure`](RegionConfig::on_creator_failure). By default, the next of them creates.
    ///
    /// # Errors
    /// [`CreateError::Creator`] if this caller's creator fails, and [`CreateError::Shared`] if another caller's did. See
    /// [`get_or_create`](Self::get_or_create) for the others.
    #[inline]
    pub fn try_get_or_create<T: CacheValue, E: fmt::Display>(
        &self,
        key: &str,
        creator: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CreateError<E>> {
        self.options().try_get_or_create(key, creator)
    }

    /// Returns the values of many keys, in the order of the keys, creating those that are missing or stale.
    ///
    /// `creator` is called with the sorted keys that this caller creates, and returns one value for each. This caller
    /// waits for keys that others create. If one of these fails, `creator` is called again with the key that it left.
    ///
    /// # Errors
    /// [`RegionError::CreatorCount`] if `creator` returns a wrong number of values. See
    /// [`get_or_create`](Self::get_or_create) for the others.
    //
    // Source: dogpile.cache `region.py`, `CacheRegion.get_or_create_multi`.
    pub fn get_or_create_multi<T: CacheValue + PlainValue<Kind>, Kind>(
        &self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(&[&str]) -> Vec<T>,
    ) -> Result<Vec<T>, RegionError> {
        self.options().get_or_create_multi(keys, creator)
    }

    /// Returns the values of many keys, with a creator that may fail. See
    /// [`get_or_create_multi`](Self::get_or_create_multi).
    ///
    /// # Errors
    /// See [`try_get_or_create`](Self::try_get_or_create) and [`get_or_create_multi`](Self::get_or_create_multi).
    pub fn try_get_or_create_multi<T: CacheValue, E: fmt::Display>(
        &self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(&[&str]) -> Result<Vec<T>, E>,
    ) -> Result<Vec<T>, CreateError<E>> {
        self.options().try_get_or_create_multi(keys, creator)
    }

    /// Returns whether `key` is being created in this process.
    ///
    /// If the backend has mutexes, creations of other processes count as well.
    ///
    /// Blocks while the backend checks the mutex. Await [`key_is_locked_async`](Self::key_is_locked_async) in a task.
    ///
    /// # Errors
    /// If the backend fails, or the region is not configured.
    pub fn key_is_locked(&self, key: &str) -> Result<bool, RegionError> {
        let current = self.state.current()?;
        drive(current.is_locked(Blocking, key))
    }

    /// Lists the creations in progress that this region began in this process, oldest first.
    ///
    /// ```
    /// use dogpile::{CacheRegion, RegionConfig};
    ///
    /// let region = CacheRegion::new("prices");
    /// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
    /// let waiting = region.get_or_create("tea", || region.creations().map_or(0, |creations| creations[0].waiters))?;
    /// assert_eq!((waiting, region.creations()?.len()), (0, 0));
    /// # Ok::<(), dogpile::RegionError>(())
    /// ```
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn creations(&self) -> Result<Vec<CreationInfo>, RegionError> {
        Ok(self.state.current()?.stores.gates.get().creations(self.name(), Instant::now()))
    }

    /// Returns the state of the backend, as this process sees it, without calling it.
    ///
    /// It includes the breaker, and the writes that were dropped or queued.
    ///
    /// ```
    /// use dogpile::{BreakerState, CacheRegion, RegionConfig};
    ///
    /// let region = CacheRegion::new("prices");
    /// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
    /// assert_eq!(region.backend_state()?.breaker, BreakerState::Closed);
    /// # Ok::<(), dogpile::RegionError>(())
    /// ```
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn backend_state(&self) -> Result<BackendState, RegionError> {
        Ok(self.state.current()?.stores.bottom.guard.state())
    }

    /// Returns what the region counted so far, or `None` if it keeps no statistics. See
    /// [`RegionConfig::statistics`](crate::RegionConfig::statistics).
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn statistics(&self) -> Result<Option<RegionStatistics>, RegionError> {
        Ok(self.state.current()?.statistics())
    }

    /// Returns the key that the backend gets for `key`.
    ///
    /// # Errors
    /// If the region is not configured, or the key is not one that it accepts.
    pub fn mangled_key(&self, key: &str) -> Result<String, RegionError> {
        self.state.current()?.mangle(key).map(Cow::into_owned)
    }

    /// Returns the serializer, or `None` if values are stored as they are.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn serializer(&self) -> Result<Option<Arc<dyn Serializer>>, RegionError> {
        Ok(self.state.current()?.stores.bottom.serializer.clone())
    }

    /// Hard-invalidates all values created before now: they are never served again.
    ///
    /// This affects the region in this process only, and stores nothing. A creation in progress serves its callers, but its
    /// value counts as created before the invalidation.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn invalidate(&self) -> Result<(), RegionError> {
        self.state.current()?.clock.invalidate(Invalidation::Hard);
        Ok(())
    }

    /// Soft-invalidates all values created before now: they are stale.
    ///
    /// This affects the region in this process only, and stores nothing. See [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn invalidate_soft(&self) -> Result<(), RegionError> {
        self.state.current()?.clock.invalidate(Invalidation::Soft);
        Ok(())
    }
}

impl fmt::Debug for CacheRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}
