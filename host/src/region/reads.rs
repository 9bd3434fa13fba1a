//! Calls that read.

use std::borrow::Cow;
use std::sync::Arc;

use super::call_options::CallOptions;
use super::configured::Configured;
use crate::created::Aged;
use crate::decision::Reading;
use crate::error::RegionError;
use crate::policy::Policy;
use crate::value::CacheValue;

impl CallOptions<'_> {
    /// Returns what `fresh` makes of a fresh value of `key`, or what `otherwise` makes of any other reading.
    #[inline]
    pub(super) fn fresh_or<T: CacheValue, R, E: From<RegionError>>(
        &self,
        key: &str,
        fresh: impl FnOnce(T) -> R,
        otherwise: impl FnOnce(&Arc<Configured>, &str, Policy, Reading<T>) -> Result<R, E>,
    ) -> Result<R, E> {
        let current = self.state().current()?;
        let changed;
        // Not through a `Cow`, which is assembled in memory and loaded as a whole: the backend would wait for the key.
        let mangled = if current.keeps(key) {
            key
        } else {
            changed = current.mangle(key)?;
            &*changed
        };
        let own;
        // A copy of the region's policy would cost a hit ten instructions.
        let policy = if self.is_default() {
            &current.policy
        } else {
            own = self.policy(&current);
            &own
        };
        match current.read(mangled, policy)? {
            Reading::Fresh(value) => Ok(fresh(value)),
            other => otherwise(&current, mangled, *policy, other),
        }
    }

    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    ///
    /// # Errors
    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    pub fn get<T: CacheValue>(&self, key: &str) -> Result<Option<T>, RegionError> {
        self.fresh_or(key, Some, |_, _, _, _| Ok(None))
    }

    /// See [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::get_multi`](crate::CacheRegion::get_multi).
    pub fn get_multi<T: CacheValue>(&self, keys: &[impl AsRef<str>]) -> Result<Vec<Option<T>>, RegionError> {
        let current = self.state().current()?;
        let mangled =
            keys.iter().map(|key| current.mangle(key.as_ref())).collect::<Result<Vec<_>, RegionError>>()?;
        let mangled: Vec<&str> = mangled.iter().map(Cow::as_ref).collect();
        let fresh = |reading| if let Reading::Fresh(value) = reading { Some(value) } else { None };
        Ok(current.read_multi(&mangled, &self.policy(&current))?.into_iter().map(fresh).collect())
    }

    /// See [`CacheRegion::get_value_metadata`](crate::CacheRegion::get_value_metadata).
    ///
    /// # Errors
    /// See [`CacheRegion::get_value_metadata`](crate::CacheRegion::get_value_metadata).
    pub fn get_value_metadata<T: CacheValue>(&self, key: &str) -> Result<Option<Aged<T>>, RegionError> {
        let current = self.state().current()?;
        let mangled = current.mangle(key)?;
        let found = current.find(&mangled, &self.policy(&current))?;
        let (Reading::Fresh(value), Some(metadata)) = (found.reading, found.metadata) else {
            return Ok(None);
        };
        let creation_time = metadata.creation_time;
        Ok(Some(Aged { value, age: creation_time.age(current.clock.present()), creation_time }))
    }
}
