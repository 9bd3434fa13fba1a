//! [`Stores`]: the stores of a region, one above the other.
//!
//! The *bottom* store is the authority: it has the gates and the mutexes, and is written first. Local tiers above it hold
//! copies, each in its own form and with the metadata of the value below. Most regions have no tiers.

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use dogpile_sdk::{CachedValue, Entry, LogLimit, Metadata, StoreOptions, Suppressed, error_chain};

use super::front_end::FrontEnd;
use super::gates::{StoreGates, gates_of};
use super::store::Store;
use super::store_writes::Write;
use crate::engine::StoreInProgress;
use crate::error::RegionError;
use crate::log_targets::REGION;
use crate::policy::Policy;
use crate::shorten::Shortened;
use crate::time::RegionTime;
use crate::value::CacheValue;

/// The stores of a region.
pub(crate) struct Stores {
    pub(crate) bottom: Store,
    /// The local tiers above it, the uppermost first.
    tiers: Vec<Store>,
    /// The gates of the bottom store. A tier has none of its own.
    pub(crate) gates: Arc<StoreGates>,
    /// Whether a read has more to do than to call the bottom store.
    reads_closely: bool,
    /// The limit of warnings about tiers that are not filled.
    fills: LogLimit,
}

/// A value in the form of each store.
pub(crate) struct Encoded {
    bottom: CachedValue,
    /// One for each tier.
    tiers: Vec<CachedValue>,
    /// How the bottom store is to store the value.
    pub(crate) options: StoreOptions,
}

impl Stores {
    /// Creates the stores of a region: `bottom`, and `tiers` above it, the uppermost first.
    pub(crate) fn new(bottom: Store, tiers: Vec<Store>) -> Self {
        let gates = gates_of(&bottom.actual_backend);
        let reads_closely = !tiers.is_empty() || bottom.is_timed();
        Stores { bottom, tiers, gates, reads_closely, fills: LogLimit::new() }
    }

    /// Returns whether a read has more to do than to call the bottom store: there are tiers, or calls are timed.
    #[inline(always)]
    pub(crate) fn reads_closely(&self) -> bool {
        self.reads_closely
    }

    /// Returns whether there are tiers above the bottom store.
    pub(crate) fn has_tiers(&self) -> bool {
        !self.tiers.is_empty()
    }

    /// Returns whether a task may call all stores itself, because none ever blocks.
    #[inline]
    pub(crate) fn are_immediate(&self) -> bool {
        self.bottom.access.is_immediate() && self.tiers.iter().all(|tier| tier.access.is_immediate())
    }

    /// Returns whether `store` is the bottom one.
    pub(crate) fn is_bottom(&self, store: &Store) -> bool {
        std::ptr::eq(store, &raw const self.bottom)
    }

    /// Returns all stores, the uppermost first.
    pub(crate) fn top_down(&self) -> impl Iterator<Item = &Store> {
        self.tiers.iter().chain([&self.bottom])
    }

    /// Returns `value` in the form of each store.
    pub(crate) fn encode<T: CacheValue>(
        &self,
        key: &str,
        value: Cow<'_, T>,
        metadata: &Metadata,
    ) -> Result<Encoded, RegionError> {
        let encode = |store: &Store| store.encode(key, Cow::Borrowed(&*value), metadata.clone());
        let tiers = self.tiers.iter().map(encode).collect::<Result<_, _>>()?;
        let bottom = self.bottom.encode(key, value, metadata.clone())?;
        Ok(Encoded { tiers, bottom, options: StoreOptions::new() })
    }

    /// Stores one value in all stores, the bottom one first. `in_progress` is dropped when the bottom one has it.
    ///
    /// # Errors
    /// If a store fails. Those above it are unchanged. A tier that cannot keep a created value only causes a warning: the
    /// value is stored, and the tier is filled by a later call.
    pub(crate) async fn set(
        &self,
        front: impl FrontEnd,
        mangled: &str,
        value: Encoded,
        in_progress: Vec<StoreInProgress>,
        write: &mut Write<'_>,
    ) -> Result<(), RegionError> {
        self.bottom.set(front, mangled, value.bottom, &value.options, in_progress, write).await?;
        for (tier, value) in self.tiers.iter().zip(value.tiers).rev() {
            let (options, mut policy) = (StoreOptions::new(), Policy::default());
            let mut of_tier = write.of_tier(&mut policy);
            let stored = tier.set(front, mangled, value, &options, Vec::new(), &mut of_tier).await;
            self.allow_unfilled(tier, &mangled, write.creates, stored)?;
        }
        Ok(())
    }

    /// Stores many values in all stores, the bottom one first.
    ///
    /// # Errors
    /// See [`set`](Self::set).
    pub(crate) async fn set_multi(
        &self,
        front: impl FrontEnd,
        entries: Vec<(String, Encoded)>,
        in_progress: Vec<StoreInProgress>,
        write: &mut Write<'_>,
    ) -> Result<(), RegionError> {
        let mut of_tiers: Vec<Vec<Entry>> = self.tiers.iter().map(|_| Vec::new()).collect();
        let mut of_bottom = Vec::with_capacity(entries.len());
        for (mangled, value) in entries {
            for (entries, value) in of_tiers.iter_mut().zip(value.tiers) {
                entries.push(Entry::new(&*mangled, value));
            }
            of_bottom.push(Entry::new(mangled, value.bottom).with_options(value.options));
        }
        self.bottom.set_multi(front, of_bottom, in_progress, write).await?;
        for (tier, entries) in self.tiers.iter().zip(of_tiers).rev() {
            let keys: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
            let mut policy = Policy::default();
            let stored = tier.set_multi(front, entries, Vec::new(), &mut write.of_tier(&mut policy)).await;
            self.allow_unfilled(tier, &keys, write.creates, stored)?;
        }
        Ok(())
    }

    /// Returns the error of a tier, unless `is_created` values were to be stored there. Then only a warning is logged.
    fn allow_unfilled(
        &self,
        tier: &Store,
        keys: &dyn Debug,
        is_created: bool,
        stored: Result<(), RegionError>,
    ) -> Result<(), RegionError> {
        match stored {
            Err(error) if is_created => {
                self.warn_of_unfilled(tier, keys, &error);
                Ok(())
            }
            stored => stored,
        }
    }

    #[cold]
    fn warn_of_unfilled(&self, tier: &Store, keys: &dyn Debug, error: &RegionError) {
        if let Some(suppressed) = self.fills.pass().map(Suppressed::count) {
            let (region, error) = (&*tier.region, error_chain(error));
            tracing::warn!(target: REGION, region, key = %Shortened(keys), %error, suppressed, "a value was not copied into a local tier");
        }
    }

    /// Deletes one key in all stores, the bottom one first.
    ///
    /// # Errors
    /// See [`set`](Self::set).
    pub(crate) async fn delete(
        &self,
        front: impl FrontEnd,
        mangled: &str,
        write: &mut Write<'_>,
    ) -> Result<(), RegionError> {
        self.bottom.delete(front, mangled, write).await?;
        for tier in self.tiers.iter().rev() {
            tier.delete(front, mangled, &mut write.of_tier(&mut Policy::default())).await?;
        }
        Ok(())
    }

    /// Deletes many keys in all stores, the bottom one first.
    ///
    /// # Errors
    /// See [`set`](Self::set).
    pub(crate) async fn delete_multi(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
        write: &mut Write<'_>,
    ) -> Result<(), RegionError> {
        self.bottom.delete_multi(front, mangled, write).await?;
        for tier in self.tiers.iter().rev() {
            tier.delete_multi(front, mangled, &mut write.of_tier(&mut Policy::default())).await?;
        }
        Ok(())
    }

    /// Copies a fresh value into the first `count` stores, which lie above the one that has it.
    pub(crate) async fn fill<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        count: usize,
        mangled: &str,
        value: &T,
        metadata: &Metadata,
        clock: &RegionTime,
    ) {
        for tier in self.tiers.iter().take(count) {
            let filled = match tier.encode(mangled, Cow::Borrowed(value), metadata.clone()) {
                Ok(value) => {
                    let (options, mut policy) = (StoreOptions::new(), Policy::default());
                    let mut write = Write::of_created(&mut policy, clock);
                    tier.set(front, mangled, value, &options, Vec::new(), &mut write).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = filled {
                self.warn_of_unfilled(tier, &mangled, &error);
            }
        }
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::time::Duration;

    use dogpile_sdk::{BackendError, CacheBackend, ErrorKind, Payload};
    use parking_lot::Mutex;

    use super::*;
    use crate::clock::ManualClock;
    use crate::region::build;
    use crate::region::call_options::CallOptions;
    use crate::region::settings::RegionConfig;
    use crate::region::state::RegionState;
    use crate::serializer::Json;

    /// A backend that notes its calls in a log that it shares with the others.
    #[derive(Debug)]
    struct Noting {
        name: &'static str,
        log: Arc<Mutex<Vec<String>>>,
        kept: Mutex<HashMap<String, CachedValue>>,
        /// Whether it stores nothing.
        is_full: AtomicBool,
    }

    impl Noting {
        fn new(name: &'static str, log: &Arc<Mutex<Vec<String>>>) -> Arc<Self> {
            Arc::new(Noting { name, log: Arc::clone(log), kept: Mutex::default(), is_full: false.into() })
        }

        fn note(&self, call: &str, key: &str) {
            self.log.lock().push(format!("{} {call} {key}", self.name));
        }

        fn kept(&self, key: &str) -> Option<CachedValue> {
            self.kept.lock().get(key).cloned()
        }
    }

    impl CacheBackend for Noting {
        fn get(&self, key: &str) -> Result<Option<CachedValue>, BackendError> {
            self.note("get", key);
            Ok(self.kept(key))
        }

        fn set(&self, key: &str, value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
            self.note("set", key);
            if self.is_full.load(Relaxed) {
                return Err(BackendError::new(ErrorKind::Refused, "the test's store is full"));
            }
            self.kept.lock().insert(key.to_owned(), value);
            Ok(())
        }

        fn delete(&self, key: &str) -> Result<(), BackendError> {
            self.note("delete", key);
            self.kept.lock().remove(key);
            Ok(())
        }
    }

    /// A region of one tier of objects over a store of JSON.
    struct Tiered {
        region: RegionState,
        clock: Arc<ManualClock>,
        tier: Arc<Noting>,
        bottom: Arc<Noting>,
        log: Arc<Mutex<Vec<String>>>,
    }

    impl Tiered {
        fn new() -> Self {
            let (log, clock) = (Arc::default(), Arc::new(ManualClock::at(1000.0)));
            let (tier, bottom) = (Noting::new("tier", &log), Noting::new("bottom", &log));
            let config = RegionConfig::from_instance(bottom.clone()).serializer(Json).clock(clock.clone());
            let config = config.expiration_time(Duration::from_secs(10));
            let (mut configured, _) =
                build::build("tiered", config.settings).expect("nothing is wrong with it");
            let backends: [Arc<dyn CacheBackend>; 2] = [tier.clone(), tier.clone()];
            let store = Store::new("tiered", "tier".to_owned(), backends, None);
            configured.stores = Stores::new(configured.stores.bottom, vec![store]);
            let region = RegionState::new(Cow::Borrowed("tiered"), None);
            assert!(region.replace(None, configured));
            Tiered { region, clock, tier, bottom, log }
        }

        fn call(&self) -> CallOptions<'_> {
            CallOptions::new(&self.region)
        }

        /// Returns the calls of the backends since the last time.
        fn calls(&self) -> Vec<String> {
            std::mem::take(&mut *self.log.lock())
        }
    }

    #[test]
    fn read_falls_to_the_bottom_and_fills_the_tier() {
        let tiered = Tiered::new();
        tiered.call().set("key", 7).unwrap();
        tiered.tier.kept.lock().clear();
        tiered.clock.advance(Duration::from_secs(5));
        tiered.calls();
        assert_eq!(tiered.call().get("key").unwrap(), Some(7));
        assert_eq!(tiered.calls(), ["tier get key", "bottom get key", "tier set key"]);
        let (upper, lower) = (tiered.tier.kept("key").unwrap(), tiered.bottom.kept("key").unwrap());
        assert_eq!(upper.metadata, lower.metadata);
        assert!(matches!((upper.payload, lower.payload), (Payload::Object(_), Payload::Bytes(_))));
        assert_eq!(tiered.call().get_or_create("key", || 8).unwrap(), 7);
        assert_eq!(tiered.calls(), ["tier get key"]);
    }

    #[test]
    fn multi_read_asks_the_bottom_for_what_the_tier_lacks() {
        let tiered = Tiered::new();
        tiered.call().set_multi([("a", 1), ("b", 2)]).unwrap();
        tiered.tier.kept.lock().remove("b");
        tiered.calls();
        assert_eq!(tiered.call().get_multi(&["a", "b", "c"]).unwrap(), [Some(1), Some(2), None]);
        let from_tier = ["tier get a", "tier get b", "tier get c"];
        assert_eq!(
            tiered.calls(),
            [&from_tier[..], &["bottom get b", "bottom get c", "tier set b"]].concat()
        );
    }

    #[test]
    fn writes_and_deletes_reach_the_bottom_first() {
        let tiered = Tiered::new();
        tiered.call().set("key", 7).unwrap();
        assert_eq!(tiered.calls(), ["bottom set key", "tier set key"]);
        tiered.call().delete("key").unwrap();
        assert_eq!(tiered.calls(), ["bottom delete key", "tier delete key"]);
        tiered.call().set_multi([("key", 7)]).unwrap();
        tiered.call().delete_multi(&["key"]).unwrap();
        let both = ["bottom set key", "tier set key", "bottom delete key", "tier delete key"];
        assert_eq!(tiered.calls(), both);
    }

    #[test]
    fn creation_reads_only_the_bottom_under_the_lock() {
        let tiered = Tiered::new();
        assert_eq!(tiered.call().get_or_create("key", || 7).unwrap(), 7);
        let reads = ["tier get key", "bottom get key", "bottom get key"];
        assert_eq!(tiered.calls(), [&reads[..], &["bottom set key", "tier set key"]].concat());
    }

    /// Other processes read the value from the bottom store. A `set` fails: its caller would read the old value from the tier.
    #[test]
    fn created_value_that_a_tier_cannot_keep_is_stored() {
        let tiered = Tiered::new();
        tiered.tier.is_full.store(true, Relaxed);
        let call = || tiered.call().with_outcome();
        assert!(call().get_or_create("one", || 7).unwrap().is_stored);
        let made = |keys: &[&str]| vec![8; keys.len()];
        let served = call().get_or_create_multi(&["one", "two", "three"], made).unwrap();
        let is_stored: Vec<bool> = served.iter().map(|served| served.is_stored).collect();
        assert_eq!(is_stored, [false, true, true], "the first was found");
        assert!(["one", "two", "three"].iter().all(|key| tiered.bottom.kept(key).is_some()));
        assert!(tiered.call().set("one", 9).is_err());
    }

    #[test]
    fn stale_copy_is_replaced_by_a_newer_value_below() {
        let tiered = Tiered::new();
        tiered.call().set("key", 7).unwrap();
        let old = tiered.tier.kept("key").unwrap();
        tiered.clock.advance(Duration::from_secs(11));
        tiered.call().set("key", 8).unwrap();
        tiered.tier.kept.lock().insert("key".to_owned(), old);
        assert_eq!(tiered.call().get_or_create("key", || 9).unwrap(), 8);
        assert_eq!(tiered.tier.kept("key").unwrap().metadata, tiered.bottom.kept("key").unwrap().metadata);
    }

    #[test]
    fn tier_has_no_gates_of_its_own() {
        let tiered = Tiered::new();
        let (upper, lower): (Arc<dyn CacheBackend>, Arc<dyn CacheBackend>) =
            (tiered.tier.clone(), tiered.bottom.clone());
        let current = tiered.region.current().unwrap();
        assert!(Arc::ptr_eq(&current.stores.gates, &gates_of(&lower)));
        assert!(!Arc::ptr_eq(&current.stores.gates, &gates_of(&upper)));
    }
}
