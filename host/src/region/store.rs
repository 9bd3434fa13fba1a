//! [`Store`]: a backend under its proxies, and the codec of the values in it.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::{BackendError, CacheBackend, CachedValue, Capabilities, ErrorKind, Metadata, Payload};

use super::front_end::{Access, FrontEnd};
use super::guards::guard_of;
use super::unreadable::Unreadable;
use crate::engine::HeldMutex;
use crate::error::RegionError;
use crate::observe::{BackendStatistics, Meter, Watch};
use crate::outage::{DegradedCall, Guard, is_outage};
use crate::policy::Policy;
use crate::round_trip::RoundTrips;
use crate::serializer::Serializer;
use crate::shorten::Shortened;
use crate::value::CacheValue;

/// A backend under its proxies, and the codec of the values in it. All keys are mangled already.
pub(crate) struct Store {
    /// The region, for errors and logs.
    pub(crate) region: Arc<str>,
    /// The backend's entry point, or the name of an instance.
    pub(crate) name: String,
    /// The outermost proxy, or the backend if it has none.
    pub(crate) backend: Arc<dyn CacheBackend>,
    pub(crate) actual_backend: Arc<dyn CacheBackend>,
    pub(crate) capabilities: Capabilities,
    /// How the two front ends call the backend.
    pub(crate) access: Access,
    /// What all calls of the backend pass.
    pub(crate) guard: Arc<Guard>,
    /// The codec. Without one, values are stored as they are.
    pub(crate) serializer: Option<Arc<dyn Serializer>>,
    /// What times and counts the calls of the backend, if anything does.
    meter: Option<Box<Meter>>,
    round_trips: RoundTrips,
    unreadable: Unreadable,
}

impl Store {
    /// Creates a store. Reads the capabilities of the backend.
    pub(crate) fn new(
        region: &str,
        name: String,
        [backend, actual_backend]: [Arc<dyn CacheBackend>; 2],
        serializer: Option<Arc<dyn Serializer>>,
    ) -> Self {
        let (region, capabilities): (Arc<str>, _) = (region.into(), backend.capabilities());
        let access = Access::of(&backend, &actual_backend, &capabilities);
        let guard = guard_of(&name, &actual_backend);
        guard.serve(&region);
        let (round_trips, unreadable) = (RoundTrips::default(), Unreadable::default());
        Store {
            region,
            name,
            backend,
            actual_backend,
            capabilities,
            access,
            guard,
            serializer,
            meter: None,
            round_trips,
            unreadable,
        }
    }

    /// Has the calls of the backend passed on to `watch`.
    pub(crate) fn measured_by(mut self, watch: &Arc<Watch>) -> Self {
        self.meter = Meter::new(watch, &self.name, self.access.is_immediate()).map(Box::new);
        self
    }

    /// Returns what was counted about the backend.
    pub(crate) fn statistics(&self, is_tier: bool) -> BackendStatistics {
        let (errors, call) = self.meter.as_ref().map(|meter| meter.counted()).unwrap_or_default();
        BackendStatistics { backend: self.name.clone(), is_tier, errors, call, state: self.guard.state() }
    }

    /// Returns whether calls of the backend are timed.
    pub(crate) fn is_timed(&self) -> bool {
        self.meter.as_ref().is_some_and(|meter| meter.is_timing())
    }

    /// Notes the failure of a call that was made without [`guarded`](Self::guarded).
    #[cold]
    pub(crate) fn note_failure(&self, operation: &'static str, error: &BackendError) {
        if let Some(meter) = &self.meter {
            meter.note(operation, None, Some(error));
        }
    }

    /// Returns the stored value of `mangled`. If the backend fails and the call goes on without it, that is a value which
    /// was created a moment ago, if any.
    pub(crate) async fn get(
        &self,
        front: impl FrontEnd,
        mangled: &str,
        policy: &mut Policy,
    ) -> Result<Option<CachedValue>, RegionError> {
        if self.is_skipped(mangled, policy) {
            return Ok(self.recent(mangled));
        }
        match self.guarded("get", true, front.get(&self.access, mangled)).await {
            Ok(found) if !self.guard.is_engaged() => Ok(found),
            Ok(found) => Ok(self.newest(mangled, found)),
            Err(error) => {
                self.go_on(policy, "get", &mangled, error)?;
                Ok(self.recent(mangled))
            }
        }
    }

    /// Returns the stored values of many keys, one entry per key. See [`get`](Self::get).
    pub(crate) async fn get_multi(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
        policy: &mut Policy,
    ) -> Result<Vec<Option<CachedValue>>, RegionError> {
        if self.guard.is_engaged() || policy.skips_backend {
            return self.get_multi_closely(front, mangled, policy).await;
        }
        self.get_multi_asked(front, mangled, policy).await
    }

    /// Reads only the keys that may be read.
    #[cold]
    async fn get_multi_closely(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
        policy: &mut Policy,
    ) -> Result<Vec<Option<CachedValue>>, RegionError> {
        let is_asked: Vec<bool> = mangled.iter().map(|mangled| !self.is_skipped(mangled, policy)).collect();
        let asked = mangled.iter().zip(&is_asked).filter(|(_, is_asked)| **is_asked);
        let asked: Vec<&str> = asked.map(|(mangled, _)| *mangled).collect();
        let mut found = self.get_multi_asked(front, &asked, policy).await?.into_iter();
        let merged = mangled.iter().zip(is_asked).map(|(mangled, is_asked)| {
            if is_asked { self.newest(mangled, found.next().flatten()) } else { self.recent(mangled) }
        });
        Ok(merged.collect())
    }

    async fn get_multi_asked(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
        policy: &mut Policy,
    ) -> Result<Vec<Option<CachedValue>>, RegionError> {
        if mangled.is_empty() {
            return Ok(Vec::new());
        }
        let found = match self.guarded("get_multi", true, front.get_multi(&self.access, mangled)).await {
            Ok(found) => found,
            Err(error) => {
                self.go_on(policy, "get_multi", &mangled, error)?;
                return Ok(mangled.iter().map(|mangled| self.recent(mangled)).collect());
            }
        };
        if found.len() != mangled.len() {
            let message = format!("the backend returned {} values for {} keys", found.len(), mangled.len());
            return Err(self.failed("get_multi", &mangled, BackendError::new(ErrorKind::Other, message)));
        }
        Ok(found)
    }

    /// Acquires a mutex: at once if `until` is `None`, and waiting until then otherwise.
    pub(crate) async fn acquire(
        &self,
        front: impl FrontEnd,
        mutex: &HeldMutex,
        until: Option<Instant>,
    ) -> Result<bool, BackendError> {
        // A wait for another process may take minutes, in which no other call could probe the backend.
        self.guarded("acquire", until.is_none(), front.acquire(&self.access, mutex, until)).await
    }

    /// Releases a mutex.
    pub(crate) async fn release(&self, front: impl FrontEnd, mutex: HeldMutex) -> Result<(), BackendError> {
        self.guarded("release", false, front.release(&self.access, mutex)).await
    }

    /// Returns whether a mutex of `mangled` is held. A mutex of a backend that fails counts as absent, if the call goes on
    /// without the backend.
    pub(crate) async fn is_locked(
        &self,
        front: impl FrontEnd,
        mutex: &HeldMutex,
        mangled: &str,
        policy: &mut Policy,
    ) -> Result<bool, RegionError> {
        let locked = self.guarded("locked", true, front.locked(&self.access, mutex)).await;
        locked.or_else(|error| {
            self.go_on(policy, "check the mutex of", &mangled, error)?;
            Ok(false)
        })
    }

    /// Makes a call of the backend, unless the breaker is open.
    pub(super) async fn guarded<R>(
        &self,
        operation: &'static str,
        may_probe: bool,
        call: impl Future<Output = Result<R, BackendError>>,
    ) -> Result<R, BackendError> {
        let permit = self.guard.admit(may_probe)?;
        let outcome = match &self.meter {
            None => call.await,
            Some(meter) => meter.measure(operation, operation == "acquire" && !may_probe, call).await,
        };
        permit.end(&outcome);
        outcome
    }

    /// Lets a call go on without the backend, or returns its error.
    #[cold]
    pub(crate) fn go_on(
        &self,
        policy: &mut Policy,
        operation: &'static str,
        key: &dyn Debug,
        error: BackendError,
    ) -> Result<(), RegionError> {
        self.go_on_without(policy, operation, Some(key), error)
            .map_err(|error| self.failed(operation, key, error))
    }

    /// Lets a call go on without the backend, or returns the backend's error.
    #[cold]
    pub(crate) fn go_on_without(
        &self,
        policy: &mut Policy,
        operation: &'static str,
        key: Option<&dyn Debug>,
        error: BackendError,
    ) -> Result<(), BackendError> {
        if !policy.degrades() || !is_outage(error.kind()) {
            return Err(error);
        }
        policy.skips_backend = true;
        self.guard.degraded(&DegradedCall { region: &self.region, operation, key, error: &error });
        Ok(())
    }

    /// Returns whether `mangled` is not read from the backend: because the backend failed during this call, or because it
    /// may have a value that was deleted.
    #[inline]
    fn is_skipped(&self, mangled: &str, policy: &Policy) -> bool {
        policy.skips_backend
            || self.guard.is_engaged() && self.guard.pending(&self.backend.store_key(mangled)).is_some()
    }

    /// Returns the value of `mangled` that was created a moment ago.
    #[cold]
    fn recent(&self, mangled: &str) -> Option<CachedValue> {
        self.guard.recent(&self.backend.store_key(mangled))
    }

    /// Returns what a call reads of `mangled`, of which the backend has `found`.
    #[cold]
    fn newest(&self, mangled: &str, found: Option<CachedValue>) -> Option<CachedValue> {
        let found = found.filter(|found| self.guard.may_read(&found.metadata));
        self.guard.newest(&self.backend.store_key(mangled), found)
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
    pub(super) fn note_stored(&self, mangled: &str, value: &CachedValue) {
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
