//! `set` and `delete`, which supersede running creations.

use std::borrow::Cow;

use super::call_options::CallOptions;
use crate::error::RegionError;
use crate::value::CacheValue;

impl<P> CallOptions<'_, P> {
    /// See [`CacheRegion::set`](crate::CacheRegion::set).
    ///
    /// # Errors
    /// See [`CacheRegion::set`](crate::CacheRegion::set).
    pub fn set<T: CacheValue>(&self, key: &str, value: T) -> Result<(), RegionError> {
        let current = self.state().current()?;
        let mangled = current.mangle(key)?;
        let value = current.encode::<T>(key, Cow::Owned(value), current.clock.stamp())?;
        let _writing = current.write([&*mangled]);
        current.store(&mangled, value)
    }

    /// See [`CacheRegion::set_multi`](crate::CacheRegion::set_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::set_multi`](crate::CacheRegion::set_multi).
    pub fn set_multi<K: AsRef<str>, T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (K, T)>,
    ) -> Result<(), RegionError> {
        let current = self.state().current()?;
        let now = current.clock.stamp();
        let encoded = values.into_iter().map(|(key, value)| {
            let mangled = current.mangle(key.as_ref())?.into_owned();
            Ok((mangled, current.encode::<T>(key.as_ref(), Cow::Owned(value), now)?))
        });
        let entries = encoded.collect::<Result<Vec<_>, RegionError>>()?;
        let _writing = current.write(entries.iter().map(|(mangled, _)| mangled.as_str()));
        current.store_multi(entries)
    }

    /// See [`CacheRegion::delete`](crate::CacheRegion::delete).
    ///
    /// # Errors
    /// See [`CacheRegion::delete`](crate::CacheRegion::delete).
    pub fn delete(&self, key: &str) -> Result<(), RegionError> {
        let current = self.state().current()?;
        let mangled = current.mangle(key)?;
        let _writing = current.write([&*mangled]);
        current.backend.delete(&mangled).map_err(|error| current.failed("delete", &mangled, error))
    }

    /// See [`CacheRegion::delete_multi`](crate::CacheRegion::delete_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::delete_multi`](crate::CacheRegion::delete_multi).
    pub fn delete_multi(&self, keys: &[impl AsRef<str>]) -> Result<(), RegionError> {
        let current = self.state().current()?;
        let mangled = keys.iter().map(|key| current.mangle(key.as_ref()));
        let mangled = mangled.collect::<Result<Vec<_>, RegionError>>()?;
        if mangled.is_empty() {
            return Ok(());
        }
        let mangled: Vec<&str> = mangled.iter().map(Cow::as_ref).collect();
        let _writing = current.write(mangled.iter().copied());
        let deleted = current.backend.delete_multi(&mangled);
        deleted.map_err(|error| current.failed("delete_multi", &mangled, error))
    }
}
