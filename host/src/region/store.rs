//! [`Store`]: a backend under its proxies, and the codec of the values in it.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use dogpile_sdk::{
    BackendError, CacheBackend, CachedValue, Capabilities, Entry, ErrorKind, Metadata, Payload, StoreOptions,
};

use super::front_end::{Access, FrontEnd};
use super::unreadable::Unreadable;
use crate::engine::StoreInProgress;
use crate::error::RegionError;
use crate::round_trip::RoundTrips;
use crate::serializer::Serializer;
use crate::shorten::Shortened;
use crate::value::CacheValue;

/// A backend under its proxies, and the codec of the values in it. All keys are mangled already.
pub(crate) struct Store {
    /// The region, for errors and logs.
    pub(crate) region: Arc<str>,
    /// The backend's entry point, or the debug form of an instance.
    pub(crate) name: String,
    /// The outermost proxy, or the backend if it has none.
    pub(crate) backend: Arc<dyn CacheBackend>,
    pub(crate) actual_backend: Arc<dyn CacheBackend>,
    pub(crate) capabilities: Capabilities,
    /// How the two front ends call the backend.
    pub(crate) access: Access,
    /// The codec. Without one, values are stored as they are.
    pub(crate) serializer: Option<Arc<dyn Serializer>>,
    round_trips: RoundTrips,
    unreadable: Unreadable,
}

impl Store {
    /// Creates a store. The backend is asked for its capabilities.
    pub(crate) fn new(
        region: &str,
        name: String,
        [backend, actual_backend]: [Arc<dyn CacheBackend>; 2],
        serializer: Option<Arc<dyn Serializer>>,
    ) -> Self {
        let (region, capabilities) = (region.into(), backend.capabilities());
        let access = Access::of(&backend, &actual_backend, &capabilities);
        let (round_trips, unreadable) = (RoundTrips::default(), Unreadable::default());
        Store {
            region,
            name,
            backend,
            actual_backend,
            capabilities,
            access,
            serializer,
            round_trips,
            unreadable,
        }
    }

    /// Returns the stored value of `mangled`.
    pub(crate) async fn get(
        &self,
        front: impl FrontEnd,
        mangled: &str,
    ) -> Result<Option<CachedValue>, RegionError> {
        front.get(&self.access, mangled).await.map_err(|error| self.failed("get", &mangled, error))
    }

    /// Returns the stored values of many keys, one entry per key.
    pub(crate) async fn get_multi(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
    ) -> Result<Vec<Option<CachedValue>>, RegionError> {
        if mangled.is_empty() {
            return Ok(Vec::new());
        }
        let found = front.get_multi(&self.access, mangled).await;
        let found = found.map_err(|error| self.failed("get_multi", &mangled, error))?;
        if found.len() != mangled.len() {
            let message = format!("the backend returned {} values for {} keys", found.len(), mangled.len());
            return Err(self.failed("get_multi", &mangled, BackendError::new(ErrorKind::Other, message)));
        }
        Ok(found)
    }

    /// Stores one value. `in_progress` is dropped when the store has ended.
    pub(crate) async fn set(
        &self,
        front: impl FrontEnd,
        mangled: &str,
        value: CachedValue,
        options: &StoreOptions,
        in_progress: Vec<StoreInProgress>,
    ) -> Result<(), RegionError> {
        self.note_stored(mangled, &value);
        let set = front.set(&self.access, mangled, value, options, in_progress).await;
        set.map_err(|error| self.failed("set", &mangled, error))
    }

    /// Stores many values. See [`set`](Self::set) for `in_progress`.
    pub(crate) async fn set_multi(
        &self,
        front: impl FrontEnd,
        entries: Vec<Entry>,
        in_progress: Vec<StoreInProgress>,
    ) -> Result<(), RegionError> {
        if entries.is_empty() {
            return Ok(());
        }
        entries.iter().for_each(|entry| self.note_stored(&entry.key, &entry.value));
        let keys: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        let set = front.set_multi(&self.access, entries, in_progress).await;
        set.map_err(|error| self.failed("set_multi", &keys, error))
    }

    /// Deletes one key.
    pub(crate) async fn delete(&self, front: impl FrontEnd, mangled: &str) -> Result<(), RegionError> {
        front.delete(&self.access, mangled).await.map_err(|error| self.failed("delete", &mangled, error))
    }

    /// Deletes many keys.
    pub(crate) async fn delete_multi(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
    ) -> Result<(), RegionError> {
        front
            .delete_multi(&self.access, mangled)
            .await
            .map_err(|error| self.failed("delete_multi", &mangled, error))
    }

    /// Returns `value` in its stored form.
    pub(crate) fn encode<T: CacheValue>(
        &self,
        key: &str,
        value: Cow<'_, T>,
        metadata: Metadata,
    ) -> Result<CachedValue, RegionError> {
        let payload = match &self.serializer {
            None => Payload::Object(value.into_owned().into_object()),
            Some(serializer) => {
                let bytes = value.serialize_to_store(&**serializer, &self.round_trips).map_err(|source| {
                    RegionError::Serialize {
                        region: self.region.to_string(),
                        key: Shortened(key).to_string(),
                        source,
                    }
                })?;
                Payload::Bytes(bytes.into())
            }
        };
        Ok(CachedValue { payload, metadata })
    }

    #[inline]
    fn note_stored(&self, mangled: &str, value: &CachedValue) {
        if matches!(value.payload, Payload::Bytes(_)) {
            self.unreadable.note_stored(mangled);
        }
    }

    /// Returns the value, or `None` if it is not of type `T` or cannot be deserialized.
    #[inline(always)]
    pub(crate) fn decode<T: CacheValue>(&self, key: &str, found: &CachedValue) -> Option<T> {
        let decoded = match (&found.payload, &self.serializer) {
            (Payload::Object(object), None) => T::from_object(object),
            (Payload::Bytes(_), Some(serializer)) => return self.deserialize(key, found, &**serializer),
            (Payload::Object(_), Some(_)) | (Payload::Bytes(_), None) => None,
        };
        if decoded.is_none() {
            self.unreadable.report::<T>(&self.region, key, found, None, None);
        }
        decoded
    }

    #[inline(never)]
    fn deserialize<T: CacheValue>(
        &self,
        key: &str,
        found: &CachedValue,
        serializer: &dyn Serializer,
    ) -> Option<T> {
        let Payload::Bytes(bytes) = &found.payload else { return None };
        match T::deserialize(bytes, serializer) {
            Ok(value) => Some(value),
            Err(error) => {
                self.unreadable.report::<T>(&self.region, key, found, Some(serializer), Some(&*error));
                None
            }
        }
    }

    /// Returns the error for a failure of the backend.
    pub(crate) fn failed(
        &self,
        operation: &'static str,
        key: &dyn Debug,
        source: BackendError,
    ) -> RegionError {
        RegionError::Backend {
            region: self.region.to_string(),
            backend: self.name.clone(),
            operation,
            key: Shortened(key).to_string(),
            source,
        }
    }
}
