//! [`Configured`]: the immutable configuration of a region, shared by the calls in progress.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::{
    BackendError, CacheBackend, CachedValue, Capabilities, CreationTime, Entry, ErrorKind, KeyMangler,
    Metadata, Payload, StoreOptions,
};

use super::settings::Settings;
use crate::decision::{Reading, Verdict, judge};
use crate::engine::blocking::{drive, sleep_until};
use crate::engine::{Gates, Writing};
use crate::error::RegionError;
use crate::invalidation::{RegionInvalidationStrategy, Validity};
use crate::key::sha1_mangle_key;
use crate::runner::AsyncCreationRunner;
use crate::serializer::Serializer;
use crate::shorten::Shortened;
use crate::time::RegionTime;
use crate::value::CacheValue;

/// How long `set` and `delete` wait until a created value of their key is stored.
const STORE_WAIT: Duration = Duration::from_secs(10);

/// The configuration that a region's calls work with.
pub(crate) struct Configured {
    pub(crate) region: Arc<str>,
    pub(crate) settings: Settings,
    /// The backend's entry point, or the debug form of an instance.
    pub(crate) backend_name: String,
    pub(crate) backend: Arc<dyn CacheBackend>,
    pub(crate) actual_backend: Arc<dyn CacheBackend>,
    pub(crate) capabilities: Capabilities,
    pub(crate) limits_keys: bool,
    /// Whether all keys are stored as they are: there is neither a key mangler nor a limit.
    pub(crate) keeps_keys: bool,
    pub(crate) mangle_invalid_keys: bool,
    pub(crate) expiration: Option<Duration>,
    pub(crate) key_mangler: Option<KeyMangler>,
    pub(crate) serializer: Option<Arc<dyn Serializer>>,
    pub(crate) strategy: Arc<dyn RegionInvalidationStrategy>,
    pub(crate) runner: Option<Arc<dyn AsyncCreationRunner>>,
    /// The region's time. Its readings are stamps for values and for the beginnings of creations.
    pub(crate) clock: Arc<RegionTime>,
    pub(crate) gates: Arc<Gates>,
    /// How long a call waits for other creators.
    pub(crate) creation_wait_timeout: Duration,
    /// Whether callers that waited share the failure of the creator.
    pub(crate) shares_failures: bool,
}

impl Configured {
    /// Returns whether `key` is stored under itself. This is the quick half of [`mangle`](Self::mangle).
    #[inline]
    pub(crate) fn keeps(&self, key: &str) -> bool {
        self.keeps_keys && !key.is_empty()
    }

    /// Returns the key that `key` is stored under.
    pub(crate) fn mangle<'k>(&self, key: &'k str) -> Result<Cow<'k, str>, RegionError> {
        if key.is_empty() {
            return Err(self.invalid_key(key, "the key is empty; use at least one character"));
        }
        let mangled = match &self.key_mangler {
            None => Cow::Borrowed(key),
            Some(mangler) => Cow::Owned(mangler.mangle(key)),
        };
        if self.limits_keys { self.fit(key, mangled) } else { Ok(mangled) }
    }

    /// Returns the mangled key, or its SHA-1 if the store does not accept the key itself.
    fn fit<'k>(&self, key: &str, mangled: Cow<'k, str>) -> Result<Cow<'k, str>, RegionError> {
        if self.capabilities.admits_key(&mangled) {
            Ok(mangled)
        } else if self.mangle_invalid_keys {
            Ok(Cow::Owned(sha1_mangle_key(&mangled)))
        } else {
            let problem =
                "the store does not accept it; shorten it, replace its whitespace, or set a key mangler";
            Err(self.invalid_key(key, problem))
        }
    }

    fn invalid_key(&self, key: &str, problem: &'static str) -> RegionError {
        RegionError::InvalidKey { region: self.region.to_string(), key: Shortened(key).to_string(), problem }
    }

    /// Returns the key under which the bottom store keeps `mangled`.
    pub(crate) fn store_key<'k>(&self, mangled: &'k str) -> Cow<'k, str> {
        self.backend.store_key(mangled)
    }

    /// Begins to set or delete `mangled` keys: supersedes their creations. If one of them is being stored, blocks until
    /// it is, but no longer than [`STORE_WAIT`].
    pub(crate) fn write<'k>(&self, mangled: impl IntoIterator<Item = &'k str>) -> Writing<'_> {
        let mut writing = self.gates.write(mangled.into_iter().map(|mangled| self.store_key(mangled)));
        if writing.must_wait() {
            drive(writing.stored(sleep_until(Instant::now() + STORE_WAIT)));
        }
        writing
    }

    /// Returns whether a value made at `made` was not invalidated.
    pub(crate) fn is_valid(&self, made: CreationTime) -> bool {
        self.strategy.judge(made) == Validity::Valid
    }

    /// Returns whether a value with this `metadata` is fresh.
    pub(crate) fn is_fresh(&self, metadata: &Metadata, expiration: Option<Duration>) -> bool {
        judge(metadata, expiration, &self.clock) == Verdict::Fresh
    }

    /// Returns the stored value of `mangled`.
    pub(crate) fn fetch(&self, mangled: &str) -> Result<Option<CachedValue>, RegionError> {
        self.backend.get(mangled).map_err(|error| self.failed("get", &mangled, error))
    }

    /// Judges what was read of `key`.
    pub(crate) fn judge_found<T: CacheValue>(
        &self,
        key: &str,
        found: Option<CachedValue>,
        expiration: Option<Duration>,
    ) -> Reading<T> {
        match found {
            Some(found) => self.judge(key, &found, expiration),
            None => {
                self.log_absent(key);
                Reading::Missing
            }
        }
    }

    /// Returns the value of `mangled`, judged by the age limit `expiration`.
    // Always inlined, as are the functions that it calls for a fresh value: a hit is one piece of code, and all else is
    // called out of line. That saves a hit of an object a third of its instructions.
    #[inline(always)]
    pub(crate) fn read<T: CacheValue>(
        &self,
        mangled: &str,
        expiration: Option<Duration>,
    ) -> Result<Reading<T>, RegionError> {
        let mut reading = Reading::Missing;
        // Not `get`: its clone of the stored value would take longer than all of the judging.
        let mut visit = |found: &CachedValue| reading = self.judge(mangled, found, expiration);
        let found = self.backend.get_with(mangled, &mut visit);
        if !matches!(found, Ok(true)) {
            self.report_missing(mangled, found)?;
        }
        Ok(reading)
    }

    /// Logs that no value was found, or returns the error of the backend.
    #[cold]
    fn report_missing(&self, mangled: &str, found: Result<bool, BackendError>) -> Result<(), RegionError> {
        found.map_err(|error| self.failed("get", &mangled, error))?;
        self.log_absent(mangled);
        Ok(())
    }

    /// Returns the values of many keys, judged by the age limit `expiration`.
    pub(crate) fn read_multi<T: CacheValue>(
        &self,
        mangled: &[&str],
        expiration: Option<Duration>,
    ) -> Result<Vec<Reading<T>>, RegionError> {
        let judged = |(mangled, found): (&&str, _)| self.judge_found(mangled, found, expiration);
        Ok(mangled.iter().zip(self.fetch_multi(mangled)?).map(judged).collect())
    }

    /// Returns the stored values of many keys, one entry per key.
    pub(crate) fn fetch_multi(&self, mangled: &[&str]) -> Result<Vec<Option<CachedValue>>, RegionError> {
        if mangled.is_empty() {
            return Ok(Vec::new());
        }
        let found =
            self.backend.get_multi(mangled).map_err(|error| self.failed("get_multi", &mangled, error))?;
        if found.len() != mangled.len() {
            let message = format!("the backend returned {} values for {} keys", found.len(), mangled.len());
            return Err(self.failed("get_multi", &mangled, BackendError::new(ErrorKind::Other, message)));
        }
        Ok(found)
    }

    /// Returns what was `found` under `key`, judged by the age `limit`.
    #[inline(always)]
    pub(crate) fn judge<T: CacheValue>(
        &self,
        key: &str,
        found: &CachedValue,
        limit: Option<Duration>,
    ) -> Reading<T> {
        let Metadata { version, creation_time, .. } = &found.metadata;
        if *version == Metadata::VERSION && self.clock.is_surely_fresh(*creation_time, limit) {
            self.decode(key, found).map_or(Reading::Missing, Reading::Fresh)
        } else {
            self.judge_closely(key, found, limit)
        }
    }

    #[cold]
    fn judge_closely<T: CacheValue>(
        &self,
        key: &str,
        found: &CachedValue,
        limit: Option<Duration>,
    ) -> Reading<T> {
        match judge(&found.metadata, limit, &self.clock) {
            Verdict::Fresh => self.decode(key, found).map_or(Reading::Missing, Reading::Fresh),
            Verdict::Stale => self.decode(key, found).map_or(Reading::Missing, Reading::Stale),
            Verdict::OtherVersion => {
                tracing::debug!(region = &*self.region, key = %Shortened(key), "dogpile version update for key");
                Reading::Missing
            }
            Verdict::HardInvalidated => {
                tracing::debug!(region = &*self.region, key = %Shortened(key), "hard invalidation detected for key");
                Reading::Missing
            }
        }
    }

    /// Returns the value, or `None` if it is not of type `T` or cannot be deserialized.
    #[inline(always)]
    pub(crate) fn decode<T: CacheValue>(&self, key: &str, found: &CachedValue) -> Option<T> {
        let decoded = match (&found.payload, &self.serializer) {
            (Payload::Object(object), None) => T::from_object(object),
            (Payload::Bytes(bytes), Some(serializer)) => return self.deserialize(key, bytes, &**serializer),
            (Payload::Object(_), Some(_)) | (Payload::Bytes(_), None) => None,
        };
        if decoded.is_none() {
            self.log_unreadable(key, None);
        }
        decoded
    }

    #[inline(never)]
    fn deserialize<T: CacheValue>(&self, key: &str, bytes: &[u8], serializer: &dyn Serializer) -> Option<T> {
        match T::deserialize(bytes, serializer) {
            Ok(value) => Some(value),
            Err(error) => {
                self.log_unreadable(key, Some(&*error));
                None
            }
        }
    }

    /// Returns the value even if it is stale or invalidated, or `None` if its format is not the current one.
    pub(crate) fn decode_any<T: CacheValue>(&self, key: &str, found: &CachedValue) -> Option<T> {
        if found.metadata.version == Metadata::VERSION { self.decode(key, found) } else { None }
    }

    /// Returns `value` in its stored form, stamped as made at `made`.
    pub(crate) fn encode<T: CacheValue>(
        &self,
        key: &str,
        value: Cow<'_, T>,
        made: CreationTime,
    ) -> Result<CachedValue, RegionError> {
        let payload = match &self.serializer {
            None => Payload::Object(value.into_owned().into_object()),
            Some(serializer) => {
                let bytes = value.serialize(&**serializer).map_err(|source| RegionError::Serialize {
                    region: self.region.to_string(),
                    key: Shortened(key).to_string(),
                    source,
                })?;
                Payload::Bytes(bytes.into())
            }
        };
        Ok(CachedValue { payload, metadata: Metadata::new(made) })
    }

    /// Stores one value.
    pub(crate) fn store(&self, mangled: &str, value: CachedValue) -> Result<(), RegionError> {
        self.backend
            .set(mangled, value, &StoreOptions::new())
            .map_err(|error| self.failed("set", &mangled, error))
    }

    /// Stores many values.
    pub(crate) fn store_multi(&self, entries: Vec<(String, CachedValue)>) -> Result<(), RegionError> {
        if entries.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = entries.iter().map(|(key, _)| key.clone()).collect();
        let entries = entries.into_iter().map(|(key, value)| Entry::new(key, value)).collect();
        self.backend.set_multi(entries).map_err(|error| self.failed("set_multi", &keys, error))
    }

    /// Returns the error for a failure of the backend.
    pub(crate) fn failed(
        &self,
        operation: &'static str,
        key: &dyn std::fmt::Debug,
        source: BackendError,
    ) -> RegionError {
        RegionError::Backend {
            region: self.region.to_string(),
            backend: self.backend_name.clone(),
            operation,
            key: Shortened(key).to_string(),
            source,
        }
    }

    #[cold]
    fn log_absent(&self, key: &str) {
        tracing::debug!(region = &*self.region, key = %Shortened(key), "no value present for key");
    }

    #[cold]
    fn log_unreadable(&self, key: &str, error: Option<&(dyn Error + Send + Sync + 'static)>) {
        let error = error.map(tracing::field::display);
        tracing::debug!(region = &*self.region, key = %Shortened(key), error, "the value for key cannot be read");
    }

    /// Logs how long a creation took.
    pub(crate) fn log_created(&self, began: CreationTime, keys: &dyn std::fmt::Debug) {
        let seconds = began.age(self.clock.present()).as_secs_f64();
        let keys = Shortened(keys);
        tracing::debug!(region = &*self.region, keys = %keys, "cache value generated in {seconds:.3} seconds");
    }
}
