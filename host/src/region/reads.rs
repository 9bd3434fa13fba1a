//! Calls that read.

use std::borrow::Cow;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::call_options::CallOptions;
use super::configured::Configured;
use super::ending::end_read;
use super::front_end::{Blocking, FrontEnd};
use crate::created::Aged;
use crate::decision::Reading;
use crate::engine::Found;
use crate::engine::blocking::drive;
use crate::error::RegionError;
use crate::observe::Request;
use crate::policy::Policy;
use crate::value::CacheValue;

impl CallOptions<'_> {
    /// Returns what `fresh` makes of a fresh value of `key`, or what `otherwise` makes of any other reading.
    #[inline]
    pub(super) fn fresh_or<T: CacheValue, R, E: From<RegionError>>(
        &self,
        key: &str,
        fresh: impl FnOnce(T) -> R,
        otherwise: impl FnOnce(&Arc<Configured>, &str, Policy, Found<T>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.fresh_in(&*self.state().current()?, key, fresh, otherwise)
    }

    /// Does what [`fresh_or`](Self::fresh_or) does, with the configuration that the caller loaded.
    #[inline(always)]
    pub(super) fn fresh_in<T: CacheValue, R, E: From<RegionError>>(
        &self,
        current: &Arc<Configured>,
        key: &str,
        fresh: impl FnOnce(T) -> R,
        otherwise: impl FnOnce(&Arc<Configured>, &str, Policy, Found<T>) -> Result<R, E>,
    ) -> Result<R, E> {
        let changed;
        // Not through a `Cow`, which is assembled in memory and loaded as a whole: the backend would wait for the key.
        let mangled = if current.keeps(key) {
            key
        } else {
            changed = current.mangle(key).map_err(|error| current.note_failed(key, error))?;
            &*changed
        };
        let own;
        // A copy of the region's policy would cost a hit ten instructions.
        let policy = if self.is_default() {
            &current.policy
        } else {
            own = self.policy(current);
            &own
        };
        // Only a value that is not fresh leaves its metadata there. So a hit has nothing to drop.
        let mut old = ManuallyDrop::new(None);
        match current.read(mangled, policy, &mut old) {
            Ok(Reading::Fresh(value)) => {
                current.note_hit(key);
                Ok(fresh(value))
            }
            Ok(reading) => {
                let found = Found { reading, metadata: ManuallyDrop::into_inner(old) };
                // Some options matter only here, so that a hit does not read them.
                otherwise(current, mangled, self.policy(current), found)
            }
            Err(unread) => {
                drop(ManuallyDrop::into_inner(old));
                let read = current.read_closely(mangled, self.policy(current), unread);
                match read.map_err(|error| current.note_failed(key, error))? {
                    (policy, Found { reading: Reading::Fresh(value), .. }) => {
                        current.note_found(key, &policy);
                        Ok(fresh(value))
                    }
                    (policy, other) => otherwise(current, mangled, policy, other),
                }
            }
        }
    }

    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    ///
    /// # Errors
    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    pub fn get<T: CacheValue>(&self, key: &str) -> Result<Option<T>, RegionError> {
        self.fresh_or(key, Some, |current, _, policy, found| Ok(current.found(key, &policy, found.reading)))
    }

    /// See [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
    pub fn get_multi<T: CacheValue>(&self, keys: &[impl AsRef<str>]) -> Result<Vec<Option<T>>, RegionError> {
        let current = self.state().current()?;
        drive(current.get_multi(Blocking, keys, &mut self.policy(&current)))
    }

    /// See [`CacheRegion::get_value_metadata`](crate::CacheRegion::get_value_metadata).
    ///
    /// # Errors
    /// See [`CacheRegion::get_value_metadata`](crate::CacheRegion::get_value_metadata).
    pub fn get_value_metadata<T: CacheValue>(&self, key: &str) -> Result<Option<Aged<T>>, RegionError> {
        let current = self.state().current()?;
        drive(current.get_aged(Blocking, key, &mut self.policy(&current)))
    }
}

impl Configured {
    /// Notes and returns what a call without a creator found.
    #[cold]
    pub(super) fn found<T>(&self, key: &str, policy: &Policy, reading: Reading<T>) -> Option<T> {
        let found = reading.into_fresh();
        if found.is_some() {
            self.note_found(key, policy);
        } else {
            self.note_absent(key);
        }
        found
    }

    /// Returns the fresh value of `key`.
    pub(super) async fn get<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        key: &str,
        policy: &mut Policy,
    ) -> Result<Option<T>, RegionError> {
        let keys = [key];
        let request = Request::new(&self.watch, &keys);
        let read = async {
            let mangled = self.mangle(key)?;
            Ok(vec![self.find(front, &mangled, policy).await?.reading.into_fresh()])
        };
        let ended = read.await;
        Ok(end_read(request, policy, ended)?.pop().flatten())
    }

    /// Returns the fresh values of many keys.
    pub(super) async fn get_multi<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        keys: &[impl AsRef<str>],
        policy: &mut Policy,
    ) -> Result<Vec<Option<T>>, RegionError> {
        let is_noted = self.watch.is_on();
        let names: Vec<&str> = keys.iter().filter(|_| is_noted).map(AsRef::as_ref).collect();
        let request = Request::new(&self.watch, &names);
        let read = async {
            let mangled = self.mangle_multi(keys)?;
            let mangled: Vec<&str> = mangled.iter().map(Cow::as_ref).collect();
            let found = self.read_multi(front, &mangled, policy).await?;
            Ok(found.into_iter().map(|found| found.reading.into_fresh()).collect())
        };
        let ended = read.await;
        end_read(request, policy, ended)
    }

    /// Returns the fresh value of `key` with its age.
    pub(super) async fn get_aged<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        key: &str,
        policy: &mut Policy,
    ) -> Result<Option<Aged<T>>, RegionError> {
        let keys = [key];
        let request = Request::new(&self.watch, &keys);
        let read = async {
            let mangled = self.mangle(key)?;
            let found = self.find(front, &mangled, policy).await?;
            let (Some(value), Some(metadata)) = (found.reading.into_fresh(), found.metadata) else {
                return Ok(vec![None]);
            };
            let creation_time = metadata.creation_time;
            Ok(vec![Some(Aged { value, age: creation_time.age(self.clock.present()), creation_time })])
        };
        let ended = read.await;
        Ok(end_read(request, policy, ended)?.pop().flatten())
    }

    /// Returns whether `key` is being created, by this process or, if the store has mutexes, by any.
    pub(super) async fn is_locked(&self, front: impl FrontEnd, key: &str) -> Result<bool, RegionError> {
        let mangled = self.mangle(key)?;
        if self.stores.gates.get().is_closed(&self.store_key(&mangled)) {
            return Ok(true);
        }
        let store = &self.stores.bottom;
        let Some(mutex) = store.backend.get_mutex(&mangled) else { return Ok(false) };
        store.is_locked(front, &mutex, &mangled, &mut self.policy.clone()).await
    }

    /// Returns the keys that `keys` are stored under.
    pub(super) fn mangle_multi<'k>(
        &self,
        keys: &'k [impl AsRef<str>],
    ) -> Result<Vec<Cow<'k, str>>, RegionError> {
        keys.iter().map(|key| self.mangle(key.as_ref())).collect()
    }
}
