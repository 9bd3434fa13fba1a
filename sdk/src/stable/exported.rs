//! Our backends and mutexes, in the form that the other side calls.

use std::borrow::Cow;
use std::sync::Arc;

use dogpile_abi::std_types::{ROption, RSlice, RStr, RString, RVec};
use dogpile_abi::{
    AbiError, BackendObject, Bytes, CachedValue, MutexObject, MutexOperationsObject, OperationsObject,
    OptionsRef, StableBackend, StableEntry, StableMutex, Visitor,
};

use super::deadline;
use super::error::to_abi;
use super::exported_operations::{mutex_operations_object, operations_object};
use super::options::{from_stable, from_stable_entries};
use crate::backend::CacheBackend;
use crate::error::BackendError;
use crate::mutex::CacheMutex;
use crate::options::Fence;

/// A backend of this binary in the form that another binary can call.
#[derive(Debug)]
pub struct ExportedBackend(Arc<dyn CacheBackend>);

impl ExportedBackend {
    /// Creates the object that carries `backend` to the other side.
    pub fn object(backend: Arc<dyn CacheBackend>) -> BackendObject {
        BackendObject::new(ExportedBackend(backend))
    }
}

#[inline(always)]
fn crossing<T, U: From<T>>(result: Result<T, BackendError>) -> Result<U, AbiError> {
    result.map(U::from).map_err(|error| to_abi(&error))
}

impl StableBackend for ExportedBackend {
    #[inline(always)]
    fn get(&self, key: RStr<'_>) -> Result<ROption<CachedValue>, AbiError> {
        crossing(self.0.get(key.as_str()))
    }

    #[inline(always)]
    fn get_with(&self, key: RStr<'_>, mut visitor: Visitor<'_>) -> Result<bool, AbiError> {
        crossing(self.0.get_with(key.as_str(), &mut |value| visitor.visit(value)))
    }

    fn get_multi(&self, keys: RSlice<'_, RStr<'_>>) -> Result<RVec<ROption<CachedValue>>, AbiError> {
        let keys: Vec<&str> = keys.iter().map(RStr::as_str).collect();
        let values = self.0.get_multi(&keys).map_err(|error| to_abi(&error))?;
        Ok(values.into_iter().map(ROption::from).collect())
    }

    fn set(&self, key: RStr<'_>, value: CachedValue, options: OptionsRef<'_>) -> Result<(), AbiError> {
        crossing(self.0.set(key.as_str(), value, &from_stable(options)))
    }

    fn set_multi(&self, entries: RVec<StableEntry<'_>>) -> Result<(), AbiError> {
        crossing(self.0.set_multi(from_stable_entries(entries)))
    }

    fn delete(&self, key: RStr<'_>) -> Result<(), AbiError> {
        crossing(self.0.delete(key.as_str()))
    }

    fn delete_multi(&self, keys: RSlice<'_, RStr<'_>>) -> Result<(), AbiError> {
        let keys: Vec<&str> = keys.iter().map(RStr::as_str).collect();
        crossing(self.0.delete_multi(&keys))
    }

    fn get_mutex(&self, key: RStr<'_>) -> Result<ROption<MutexObject>, AbiError> {
        Ok(self.0.get_mutex(key.as_str()).map(|mutex| MutexObject::new(ExportedMutex(mutex))).into())
    }

    fn mangle_key(&self, key: RStr<'_>) -> Result<ROption<RString>, AbiError> {
        Ok(self.0.key_mangler().map(|mangler| mangler.mangle(key.as_str()).into()).into())
    }

    fn store_key(&self, key: RStr<'_>) -> Result<ROption<RString>, AbiError> {
        Ok(match self.0.store_key(key.as_str()) {
            // Most backends keep the key. Returning nothing saves a copy on both sides.
            Cow::Borrowed(kept) if kept == key.as_str() => ROption::RNone,
            other => ROption::RSome(other.into_owned().into()),
        })
    }

    fn capabilities(&self) -> Result<RString, AbiError> {
        Ok(serde_json::to_string(&self.0.capabilities()).unwrap_or_default().into())
    }

    fn health(&self) -> Result<(), AbiError> {
        crossing(self.0.health())
    }

    fn close(&self) -> Result<(), AbiError> {
        crossing(self.0.close())
    }

    fn operations(&self) -> Result<ROption<OperationsObject>, AbiError> {
        Ok(self.0.operations().map(operations_object).into())
    }

    fn describe(&self) -> Result<RString, AbiError> {
        Ok(format!("{:?}", self.0).into())
    }

    #[cfg(dogpile_abi_next)]
    fn generation(&self) -> Result<u32, AbiError> {
        Ok(2)
    }
}

struct ExportedMutex(Arc<dyn CacheMutex>);

impl StableMutex for ExportedMutex {
    fn try_acquire(&self) -> Result<bool, AbiError> {
        crossing(self.0.try_acquire())
    }

    fn acquire_within(&self, nanoseconds: u64) -> Result<bool, AbiError> {
        crossing(self.0.acquire_until(deadline::after(nanoseconds)))
    }

    fn release(&self) -> Result<(), AbiError> {
        crossing(self.0.release())
    }

    fn locked(&self) -> Result<bool, AbiError> {
        crossing(self.0.locked())
    }

    fn is_lost(&self) -> Result<bool, AbiError> {
        Ok(self.0.is_lost())
    }

    fn fence(&self) -> Result<ROption<Bytes>, AbiError> {
        Ok(self.0.fence().map(Fence::into_bytes).into())
    }

    fn operations(&self) -> Result<ROption<MutexOperationsObject>, AbiError> {
        Ok(self.0.operations().map(mutex_operations_object).into())
    }

    fn describe(&self) -> Result<RString, AbiError> {
        Ok(format!("{:?}", self.0).into())
    }
}
