//! `set` and `delete`, which supersede running creations.

use std::borrow::Cow;

use dogpile_sdk::Metadata;

use super::call_options::CallOptions;
use super::configured::Configured;
use super::front_end::{Blocking, FrontEnd};
use super::store_writes::Write;
use super::stores::Encoded;
use crate::engine::blocking::drive;
use crate::error::RegionError;
use crate::policy::Policy;
use crate::value::CacheValue;

impl CallOptions<'_> {
    /// See [`CacheRegion::set`](crate::CacheRegion::set).
    ///
    /// # Errors
    /// See [`CacheRegion::set`](crate::CacheRegion::set).
    pub fn set<T: CacheValue>(&self, key: &str, value: T) -> Result<(), RegionError> {
        let current = self.state().current()?;
        drive(current.set(Blocking, key, value, &mut self.policy(&current)))
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
        drive(current.set_multi(Blocking, current.encode_multi(values)?, &mut self.policy(&current)))
    }

    /// See [`CacheRegion::delete`](crate::CacheRegion::delete).
    ///
    /// # Errors
    /// See [`CacheRegion::delete`](crate::CacheRegion::delete).
    pub fn delete(&self, key: &str) -> Result<(), RegionError> {
        let current = self.state().current()?;
        drive(current.delete(Blocking, key, &mut self.policy(&current)))
    }

    /// See [`CacheRegion::delete_multi`](crate::CacheRegion::delete_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::delete_multi`](crate::CacheRegion::delete_multi).
    pub fn delete_multi(&self, keys: &[impl AsRef<str>]) -> Result<(), RegionError> {
        let current = self.state().current()?;
        drive(current.delete_multi(Blocking, &current.mangle_multi(keys)?, &mut self.policy(&current)))
    }
}

impl Configured {
    /// Stores `value` under `key`.
    pub(super) async fn set<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        key: &str,
        value: T,
        policy: &mut Policy,
    ) -> Result<(), RegionError> {
        let mangled = self.mangle(key)?;
        let metadata = Metadata::new(self.clock.stamp());
        let mut value = self.stores.encode::<T>(key, Cow::Owned(value), &metadata)?;
        value.options.keep_for = self.policy.keep_for(None);
        let _writing = self.write(front, [&*mangled]).await;
        let mut write = Write::of_set(policy, &self.clock);
        self.stores.set(front, &mangled, value, Vec::new(), &mut write).await
    }

    /// Returns the mangled keys of `values`, and the values in the form of each store.
    pub(super) fn encode_multi<K: AsRef<str>, T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (K, T)>,
    ) -> Result<Vec<(String, Encoded)>, RegionError> {
        let (metadata, keep_for) = (Metadata::new(self.clock.stamp()), self.policy.keep_for(None));
        let encoded = values.into_iter().map(|(key, value)| {
            let mangled = self.mangle(key.as_ref())?.into_owned();
            let mut value = self.stores.encode::<T>(key.as_ref(), Cow::Owned(value), &metadata)?;
            value.options.keep_for = keep_for;
            Ok((mangled, value))
        });
        encoded.collect()
    }

    /// Stores many encoded values.
    pub(super) async fn set_multi(
        &self,
        front: impl FrontEnd,
        entries: Vec<(String, Encoded)>,
        policy: &mut Policy,
    ) -> Result<(), RegionError> {
        let _writing = self.write(front, entries.iter().map(|(mangled, _)| mangled.as_str())).await;
        self.stores.set_multi(front, entries, Vec::new(), &mut Write::of_set(policy, &self.clock)).await
    }

    /// Deletes `key`.
    pub(super) async fn delete(
        &self,
        front: impl FrontEnd,
        key: &str,
        policy: &mut Policy,
    ) -> Result<(), RegionError> {
        let mangled = self.mangle(key)?;
        let _writing = self.write(front, [&*mangled]).await;
        self.stores.delete(front, &mangled, &mut Write::of_deletion(policy, &self.clock)).await
    }

    /// Deletes many mangled keys.
    pub(super) async fn delete_multi(
        &self,
        front: impl FrontEnd,
        mangled: &[Cow<'_, str>],
        policy: &mut Policy,
    ) -> Result<(), RegionError> {
        if mangled.is_empty() {
            return Ok(());
        }
        let mangled: Vec<&str> = mangled.iter().map(Cow::as_ref).collect();
        let _writing = self.write(front, mangled.iter().copied()).await;
        self.stores.delete_multi(front, &mangled, &mut Write::of_deletion(policy, &self.clock)).await
    }
}
