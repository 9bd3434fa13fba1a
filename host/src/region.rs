//! [`CacheRegion`]: a named front end over one backend.
//!
//! Source: dogpile.cache `region.py`, `CacheRegion`.

mod build;
mod call;
mod configured;
mod creator;
mod options;
mod release;
mod settings;
mod should_cache;
mod stores;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};
use dogpile_sdk::{CacheBackend, CreationTime, ProxyBackend, proxy};
use parking_lot::Mutex;

pub(crate) use self::settings::{BackendChoice, Wrap};

pub use self::options::{BackgroundCall, CallOptions};
pub use self::settings::{OnCreatorFailure, RegionConfig};
pub use self::should_cache::{CacheAll, ShouldCache};

use self::configured::Configured;
use self::settings::{ProxyFn, Settings};
use crate::engine::CreationInfo;
use crate::error::{CreateError, RegionError};
use crate::serializer::Serializer;
use crate::value::CacheValue;

/// A named front end over one backend, made first (as a `static`, if you like) and configured later.
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
/// Values under one key are of one type: what was stored as another is a miss, and is replaced.
pub struct CacheRegion {
    name: Cow<'static, str>,
    defaults: Option<Box<Settings>>,
    current: ArcSwapOption<Configured>,
    configuring: Mutex<()>,
}

/// A value with what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueMetadata<T> {
    /// The value.
    pub value: T,
    /// When it was made.
    pub cached_time: CreationTime,
    /// How long ago that is.
    pub age: Duration,
}

/// The configuration that a call works with, from its first step to its last.
struct Current(Guard<Option<Arc<Configured>>>);

impl Deref for Current {
    type Target = Arc<Configured>;

    #[inline]
    fn deref(&self) -> &Arc<Configured> {
        // `CacheRegion::current` makes none without.
        self.0.as_ref().expect("the region is configured")
    }
}

impl CacheRegion {
    /// A region called `name`, yet to be configured.
    pub const fn new(name: &'static str) -> Self {
        CacheRegion {
            name: Cow::Borrowed(name),
            defaults: None,
            current: ArcSwapOption::const_empty(),
            configuring: Mutex::new(()),
        }
    }

    /// A region called `name` that has `defaults` for all that its configuration does not say, such as a key
    /// mangler that outlives every replacement of the backend.
    pub fn with_defaults(name: impl Into<String>, defaults: RegionConfig) -> Self {
        let mut region = CacheRegion::new("");
        region.name = Cow::Owned(name.into());
        region.defaults = Some(Box::new(defaults.settings));
        region
    }

    /// The region's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Configures the region. Opens the backend, which may block while it connects.
    ///
    /// # Errors
    /// If the region is configured already and `config` does not say `replace_existing_backend`, or anything in
    /// it is wrong. Then nothing has changed.
    pub fn configure(&self, config: RegionConfig) -> Result<&Self, RegionError> {
        let _one_at_a_time = self.configuring.lock();
        if let Some(problem) = config.problem {
            let problem = format!("wrong arguments: {problem}");
            return Err(RegionError::Setting { region: self.name.to_string(), problem });
        }
        let mut settings = config.settings;
        if let Some(present) = self.current.load_full() {
            if !config.replace_existing_backend {
                let (region, backend) = (self.name.to_string(), present.backend_name.clone());
                return Err(RegionError::AlreadyConfigured { region, backend });
            }
            settings = settings.or(&present.settings);
        }
        if let Some(defaults) = &self.defaults {
            settings = settings.or(defaults);
        }
        self.current.store(Some(Arc::new(build::build(&self.name, settings)?)));
        Ok(self)
    }

    /// Wraps the backend of a configured region in one more proxy, which becomes the outermost.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn wrap<P: ProxyBackend>(
        &self,
        make: impl Fn(Arc<dyn CacheBackend>) -> P + Send + Sync + 'static,
    ) -> Result<&Self, RegionError> {
        let _one_at_a_time = self.configuring.lock();
        let present = self.current()?;
        let make: ProxyFn = Arc::new(move |proxied| proxy(make(proxied)));
        let backend = make(Arc::clone(&present.backend));
        let mut settings = present.settings.clone();
        settings.wrap.get_or_insert_default().insert(0, Wrap::With(make));
        self.current.store(Some(Arc::new(build::rewrap(&present, settings, backend)?)));
        Ok(self)
    }

    /// Whether the region is configured.
    pub fn is_configured(&self) -> bool {
        self.current.load().is_some()
    }

    #[inline]
    fn current(&self) -> Result<Current, RegionError> {
        let current = self.current.load();
        if current.is_none() {
            return Err(RegionError::NotConfigured { region: self.name.to_string() });
        }
        Ok(Current(current))
    }

    /// The outermost proxy, or the backend if there is none.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn backend(&self) -> Result<Arc<dyn CacheBackend>, RegionError> {
        Ok(Arc::clone(&self.current()?.backend))
    }

    /// The backend itself, beneath all proxies.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn actual_backend(&self) -> Result<Arc<dyn CacheBackend>, RegionError> {
        Ok(Arc::clone(&self.current()?.actual_backend))
    }

    /// Options for the next call: an expiration time of its own, which values are stored, and the like.
    #[inline]
    pub fn options(&self) -> CallOptions<'_> {
        CallOptions::new(self)
    }

    /// The value of `key`; `None` if there is none, or it is too old or invalidated.
    ///
    /// # Errors
    /// [`RegionError::Backend`] if the backend fails; the region may not be configured, or the key be empty.
    pub fn get<T: CacheValue>(&self, key: &str) -> Result<Option<T>, RegionError> {
        self.options().get(key)
    }

    /// The values of many keys, in the order asked, read in one go.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn get_multi<T: CacheValue>(&self, keys: &[impl AsRef<str>]) -> Result<Vec<Option<T>>, RegionError> {
        self.options().get_multi(keys)
    }

    /// The value of `key`, and when it was made.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn get_value_metadata<T: CacheValue>(
        &self,
        key: &str,
    ) -> Result<Option<ValueMetadata<T>>, RegionError> {
        self.options().get_value_metadata(key)
    }

    /// Stores `value` under `key`. A creator of this process that is at work on the key is overruled: what it
    /// makes goes to its caller, and is not stored.
    ///
    /// # Errors
    /// As for [`get`](Self::get); the value may not be serialisable.
    pub fn set<T: CacheValue>(&self, key: &str, value: T) -> Result<(), RegionError> {
        let current = self.current()?;
        let mangled = current.mangle(key)?;
        let value = current.encode::<T>(key, Cow::Owned(value), current.clock.stamp())?;
        let _writing = current.write([&*mangled]);
        current.store(&mangled, value)
    }

    /// Stores many values in one go.
    ///
    /// # Errors
    /// As for [`set`](Self::set); some of the values may have been stored.
    pub fn set_multi<K: AsRef<str>, T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (K, T)>,
    ) -> Result<(), RegionError> {
        let current = self.current()?;
        let now = current.clock.stamp();
        let encoded = values.into_iter().map(|(key, value)| {
            let mangled = current.mangle(key.as_ref())?.into_owned();
            Ok((mangled, current.encode::<T>(key.as_ref(), Cow::Owned(value), now)?))
        });
        let entries = encoded.collect::<Result<Vec<_>, RegionError>>()?;
        let _writing = current.write(entries.iter().map(|(mangled, _)| mangled.as_str()));
        current.store_multi(entries)
    }

    /// Removes `key`, if it is there. As with [`set`](Self::set), a creator at work on it is overruled.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn delete(&self, key: &str) -> Result<(), RegionError> {
        let current = self.current()?;
        let mangled = current.mangle(key)?;
        let _writing = current.write([&*mangled]);
        current.backend.delete(&mangled).map_err(|error| current.failed("delete", &mangled, error))
    }

    /// Removes many keys in one go.
    ///
    /// # Errors
    /// As for [`get`](Self::get); some of the keys may have been removed.
    pub fn delete_multi(&self, keys: &[impl AsRef<str>]) -> Result<(), RegionError> {
        let current = self.current()?;
        let mangled =
            keys.iter().map(|key| current.mangle(key.as_ref())).collect::<Result<Vec<_>, RegionError>>()?;
        if mangled.is_empty() {
            return Ok(());
        }
        let mangled: Vec<&str> = mangled.iter().map(Cow::as_ref).collect();
        let _writing = current.write(mangled.iter().copied());
        current
            .backend
            .delete_multi(&mangled)
            .map_err(|error| current.failed("delete_multi", &mangled, error))
    }

    /// Returns the value of `key`, calling `creator` when it is missing or stale.
    ///
    /// Blocks only when there is no old value and another caller is creating one. A stale value is served to all
    /// callers but the one that creates the new one.
    ///
    /// # Errors
    /// [`RegionError::Backend`] if the backend fails, [`RegionError::Lock`] if the creator asks for its own key;
    /// the region may not be configured, or the key be empty.
    ///
    /// Source: dogpile.cache `region.py`, `CacheRegion.get_or_create`.
    #[inline]
    pub fn get_or_create<T: CacheValue>(
        &self,
        key: &str,
        creator: impl FnOnce() -> T,
    ) -> Result<T, RegionError> {
        self.options().get_or_create(key, creator)
    }

    /// As [`get_or_create`](Self::get_or_create), with a creator that may fail. Then nothing is stored, and the
    /// next waiting caller creates.
    ///
    /// # Errors
    /// [`CreateError::Creator`] with the creator's own error; otherwise as for `get_or_create`.
    #[inline]
    pub fn try_get_or_create<T: CacheValue, E: fmt::Display>(
        &self,
        key: &str,
        creator: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CreateError<E>> {
        self.options().try_get_or_create(key, creator)
    }

    /// Returns the values of many keys, in the order asked. `creator` is called with those that are missing or
    /// stale, sorted, and answers a value for each. Keys that other callers are creating are waited for; should
    /// one of these fail, `creator` is called again with the key that it left.
    ///
    /// # Errors
    /// As for [`get_or_create`](Self::get_or_create); [`RegionError::CreatorCount`] if `creator` answers more or
    /// fewer values than it was given keys.
    ///
    /// Source: dogpile.cache `region.py`, `CacheRegion.get_or_create_multi`.
    pub fn get_or_create_multi<T: CacheValue>(
        &self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(&[&str]) -> Vec<T>,
    ) -> Result<Vec<T>, RegionError> {
        self.options().get_or_create_multi(keys, creator)
    }

    /// As [`get_or_create_multi`](Self::get_or_create_multi), with a creator that may fail.
    ///
    /// # Errors
    /// As for [`try_get_or_create`](Self::try_get_or_create).
    pub fn try_get_or_create_multi<T: CacheValue, E: fmt::Display>(
        &self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(&[&str]) -> Result<Vec<T>, E>,
    ) -> Result<Vec<T>, CreateError<E>> {
        self.options().try_get_or_create_multi(keys, creator)
    }

    /// Whether `key` is being created, by this process or, where the backend has mutexes, by any.
    ///
    /// # Errors
    /// If the backend fails, or the region is not configured.
    pub fn key_is_locked(&self, key: &str) -> Result<bool, RegionError> {
        let current = self.current()?;
        let mangled = current.mangle(key)?;
        if current.gates.is_closed(&current.store_key(&mangled)) {
            return Ok(true);
        }
        match current.backend.get_mutex(&mangled) {
            Some(mutex) => {
                mutex.locked().map_err(|error| current.failed("check the mutex of", &mangled, error))
            }
            None => Ok(false),
        }
    }

    /// Lists the creations in progress in this process that this region began, oldest first.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn creations(&self) -> Result<Vec<CreationInfo>, RegionError> {
        Ok(self.current()?.gates.creations(&self.name, Instant::now()))
    }

    /// What `key` is stored under.
    ///
    /// # Errors
    /// If the region is not configured, or cannot take the key.
    pub fn mangled_key(&self, key: &str) -> Result<String, RegionError> {
        self.current()?.mangle(key).map(Cow::into_owned)
    }

    /// What turns values into bytes; `None` where they are stored as they are.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn serializer(&self) -> Result<Option<Arc<dyn Serializer>>, RegionError> {
        Ok(self.current()?.serializer.clone())
    }

    /// Hard-invalidates all values made before now: they are as good as absent.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn invalidate(&self) -> Result<(), RegionError> {
        let current = self.current()?;
        current.clock.invalidate(true);
        Ok(())
    }

    /// Softly invalidates all values made before now: they are stale, and served while a new one is created.
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn invalidate_soft(&self) -> Result<(), RegionError> {
        let current = self.current()?;
        current.clock.invalidate(false);
        Ok(())
    }
}

impl fmt::Debug for CacheRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current.load();
        let backend = current.as_ref().map(|current| &current.backend_name);
        f.debug_struct("CacheRegion").field("name", &self.name).field("backend", &backend).finish()
    }
}
