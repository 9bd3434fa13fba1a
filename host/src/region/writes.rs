//! `set` and `delete`, which supersede running creations.

use std::borrow::Cow;

use dogpile_sdk::Metadata;

use super::call_options::CallOptions;
use crate::error::RegionError;
use crate::value::CacheValue;

impl CallOptions<'_> {
    /// See [`CacheRegion::set`](crate::CacheRegion::set).
    ///
    /// # Errors
    /// See [`CacheRegion::set`](crate::CacheRegion::set).
    pub fn set<T: CacheValue>(&self, key: &str, value: T) -> Result<(), RegionError> {
        let current = self.state().current()?;
        let mangled = current.mangle(key)?;
        let metadata = Metadata::new(current.clock.stamp());
        let value = current.stores.encode::<T>(key, Cow::Owned(value), &metadata)?;
        let _writing = current.write([&*mangled]);
        current.stores.set(&mangled, value)
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
        let metadata = Metadata::new(current.clock.stamp());
        let encoded = values.into_iter().map(|(key, value)| {
            let mangled = current.mangle(key.as_ref())?.into_owned();
            Ok((mangled, current.stores.encode::<T>(key.as_ref(), Cow::Owned(value), &metadata)?))
        });
        let entries = encoded.collect::<Result<Vec<_>, RegionError>>()?;
        let _writing = current.write(entries.iter().map(|(mangled, _)| mangled.as_str()));
        current.stores.set_multi(entries)
    }

    /// See [`CacheRegion::delete`](crate::CacheRegion::delete).
    ///
    /// # Errors
    /// See [`CacheRegion::delete`](crate::CacheRegion::delete).
    pub fn delete(&self, key: &str) -> Result<(), RegionError> {
        let current = self.state().current()?;
        let mangled = current.mangle(key)?;
        let _writing = current.write([&*mangled]);
        current.stores.delete(&mangled)
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
        current.stores.delete_multi(&mangled)
    }
}
