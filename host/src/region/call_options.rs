//! [`CallOptions`]: the settings of one call.

use std::borrow::Cow;
use std::convert::{Infallible, identity};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::call::{Call, CallKey, HandOver};
use super::configured::Configured;
use super::creator::{Creator, Multi, Single};
use super::should_cache::{CacheAll, ShouldCache};
use super::state::RegionState;
use super::value_metadata::ValueMetadata;
use crate::decision::Reading;
use crate::engine::Slot;
use crate::error::{CreateError, RegionError};
use crate::expiration::Expiration;
use crate::value::CacheValue;

/// The settings of one call, created by [`CacheRegion::options`](crate::CacheRegion::options).
///
/// ```
/// use std::time::Duration;
///
/// use dogpile::{CacheRegion, Expiration, RegionConfig};
///
/// let region = CacheRegion::new("prices");
/// region.configure(RegionConfig::new("dogpile.cache.memory").expiration_time(Duration::from_secs(5)))?;
/// let price = region
///     .options()
///     .expiration_time(Expiration::Never)
///     .should_cache(|price: &u32| *price > 0)
///     .get_or_create("price", || 0)?;
/// assert_eq!((price, region.get::<u32>("price")?), (0, None));
/// # Ok::<(), dogpile::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until a call is made through them"]
pub struct CallOptions<'r, P = CacheAll> {
    state: &'r RegionState,
    expiration: Option<Expiration>,
    ignore_expiration: bool,
    predicate: P,
}

impl<'r> CallOptions<'r> {
    #[inline]
    pub(super) fn new(state: &'r RegionState) -> Self {
        CallOptions { state, expiration: None, ignore_expiration: false, predicate: CacheAll }
    }

    /// Sets which created values are stored: those for which `predicate` returns true. Default: all.
    ///
    /// The others are returned and handed to waiters. This is dogpile.cache's `should_cache_fn`.
    pub fn should_cache<T, F: Fn(&T) -> bool>(self, predicate: F) -> CallOptions<'r, F> {
        let CallOptions { state, expiration, ignore_expiration, predicate: CacheAll } = self;
        CallOptions { state, expiration, ignore_expiration, predicate }
    }
}

impl<'r, P> CallOptions<'r, P> {
    /// Sets the age past which a value is stale. Default: the region's.
    pub fn expiration_time(mut self, expiration: impl Into<Expiration>) -> Self {
        self.expiration = Some(expiration.into());
        self
    }

    /// Makes `get`, `get_multi`, and `get_value_metadata` return stale and invalidated values too.
    pub fn ignore_expiration(mut self) -> Self {
        self.ignore_expiration = true;
        self
    }

    #[inline]
    fn limit(&self, current: &Configured) -> Option<Duration> {
        match self.expiration {
            None => current.expiration,
            Some(expiration) => expiration.limit(),
        }
    }

    /// Returns the options without their predicate, and the predicate.
    #[inline]
    pub(crate) fn apart(self) -> (CallOptions<'r, ()>, P) {
        let CallOptions { state, expiration, ignore_expiration, predicate } = self;
        (CallOptions { state, expiration, ignore_expiration, predicate: () }, predicate)
    }

    /// Returns the options with another predicate.
    pub(crate) fn with_predicate<Q>(self, predicate: Q) -> CallOptions<'r, Q> {
        let CallOptions { state, expiration, ignore_expiration, predicate: _ } = self;
        CallOptions { state, expiration, ignore_expiration, predicate }
    }

    /// Returns the name of the region that is called.
    pub(crate) fn region_name(&self) -> &'r str {
        &self.state.name
    }

    #[inline]
    pub(super) fn state(&self) -> &'r RegionState {
        self.state
    }

    /// Returns what `fresh` makes of a fresh value of `key`, or what `otherwise` makes of any other reading.
    #[inline]
    pub(super) fn fresh_or<T: CacheValue, R, E: From<RegionError>>(
        &self,
        key: &str,
        fresh: impl FnOnce(T) -> R,
        otherwise: impl FnOnce(&Arc<Configured>, &str, Option<Duration>, Reading<T>) -> Result<R, E>,
    ) -> Result<R, E> {
        let current = self.state.current()?;
        let changed;
        // Not through a `Cow`, which is assembled in memory and loaded as a whole: the backend would wait for the key.
        let mangled = if current.keeps(key) {
            key
        } else {
            changed = current.mangle(key)?;
            &*changed
        };
        let limit = self.limit(&current);
        match current.read(mangled, limit)? {
            Reading::Fresh(value) => Ok(fresh(value)),
            other => otherwise(&current, mangled, limit, other),
        }
    }

    /// Reads many keys, and creates those that are missing or stale in one go.
    pub(super) fn create_multi<T: CacheValue, C: Creator<T>>(
        &self,
        keys: &[impl AsRef<str>],
        creator: C,
        hand_over: Option<HandOver<T, C>>,
    ) -> Result<Vec<T>, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        let current = self.state.current()?;
        let limit = self.limit(&current);
        let mut sorted: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut call_keys = Vec::with_capacity(sorted.len());
        for key in &sorted {
            call_keys.push(CallKey::new(&current, key, current.mangle(key)?));
        }
        let mangled: Vec<&str> = call_keys.iter().map(|key| &*key.mangled).collect();
        let slots = current.read_multi(&mangled, limit)?.into_iter().map(Slot::from).collect();
        let values = Call::new(&current, call_keys, limit, creator, hand_over).run(slots)?;
        Ok(in_request_order(keys, &sorted, &values))
    }

    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    ///
    /// # Errors
    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    pub fn get<T: CacheValue>(&self, key: &str) -> Result<Option<T>, RegionError> {
        if !self.ignore_expiration {
            return self.fresh_or(key, Some, |_, _, _, _| Ok(None));
        }
        let current = self.state.current()?;
        let mangled = current.mangle(key)?;
        let found = current.backend.get(&mangled).map_err(|error| current.failed("get", &mangled, error))?;
        Ok(found.and_then(|found| current.decode_any(&mangled, &found)))
    }

    /// See [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
    pub fn get_multi<T: CacheValue>(&self, keys: &[impl AsRef<str>]) -> Result<Vec<Option<T>>, RegionError> {
        let current = self.state.current()?;
        let mangled =
            keys.iter().map(|key| current.mangle(key.as_ref())).collect::<Result<Vec<_>, RegionError>>()?;
        let mangled: Vec<&str> = mangled.iter().map(Cow::as_ref).collect();
        if self.ignore_expiration {
            let found = current.fetch_multi(&mangled)?;
            let values = mangled.iter().zip(found);
            return Ok(values.map(|(key, found)| current.decode_any(key, &found?)).collect());
        }
        let fresh = |reading| if let Reading::Fresh(value) = reading { Some(value) } else { None };
        Ok(current.read_multi(&mangled, self.limit(&current))?.into_iter().map(fresh).collect())
    }

    /// See [`CacheRegion::get_value_metadata`](crate::CacheRegion::get_value_metadata).
    ///
    /// # Errors
    /// See [`CacheRegion::get_value_metadata`](crate::CacheRegion::get_value_metadata).
    pub fn get_value_metadata<T: CacheValue>(
        &self,
        key: &str,
    ) -> Result<Option<ValueMetadata<T>>, RegionError> {
        let current = self.state.current()?;
        let mangled = current.mangle(key)?;
        let found = current.backend.get(&mangled).map_err(|error| current.failed("get", &mangled, error))?;
        let Some(found) = found else { return Ok(None) };
        let value = if self.ignore_expiration {
            current.decode_any(&mangled, &found)
        } else if let Reading::Fresh(value) = current.judge(&mangled, &found, self.limit(&current)) {
            Some(value)
        } else {
            None
        };
        let cached_time = found.metadata.creation_time;
        let age = cached_time.age(current.clock.present());
        Ok(value.map(|value| ValueMetadata { value, cached_time, age }))
    }

    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    #[inline]
    pub fn get_or_create<T: CacheValue>(
        self,
        key: &str,
        creator: impl FnOnce() -> T,
    ) -> Result<T, RegionError>
    where
        P: ShouldCache<T>,
    {
        self.try_get_or_create(key, || Ok::<T, Infallible>(creator())).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    #[inline]
    pub fn try_get_or_create<T: CacheValue, E: fmt::Display>(
        self,
        key: &str,
        creator: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CreateError<E>>
    where
        P: ShouldCache<T>,
    {
        let (call, predicate) = self.apart();
        call.fresh_or(key, identity, |current, mangled, limit, found| {
            let key = CallKey::new(current, key, Cow::Borrowed(mangled));
            let call = Call::new(current, vec![key], limit, Single::new(creator, predicate), None);
            one_of(call.run(vec![found.into()])?)
        })
    }

    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    pub fn get_or_create_multi<T: CacheValue>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Vec<T>,
    ) -> Result<Vec<T>, RegionError>
    where
        P: ShouldCache<T>,
    {
        let creator = |keys: &[&str]| Ok::<Vec<T>, Infallible>(creator(keys));
        self.try_get_or_create_multi(keys, creator).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    pub fn try_get_or_create_multi<T: CacheValue, E: fmt::Display>(
        self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(&[&str]) -> Result<Vec<T>, E>,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        P: ShouldCache<T>,
    {
        let (call, predicate) = self.apart();
        call.create_multi(keys, Multi::new(creator, predicate), None)
    }
}

/// Returns the value of a call for one key.
pub(super) fn one_of<T, E>(values: Vec<T>) -> Result<T, CreateError<E>> {
    Ok(values.into_iter().next().expect("a call for one key returns one value"))
}

/// Returns the values in the order of `keys`. `values` are those of the `sorted` keys.
fn in_request_order<T: Clone>(keys: &[impl AsRef<str>], sorted: &[&str], values: &[T]) -> Vec<T> {
    let value =
        |key: &_| sorted.binary_search(&AsRef::<str>::as_ref(key)).ok().map(|place| values[place].clone());
    keys.iter().filter_map(value).collect()
}
