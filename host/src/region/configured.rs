//! [`Configured`]: the immutable configuration of a region, shared by the calls in progress.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dogpile_sdk::{BackendError, CachedValue, CreationTime, Metadata};

use super::front_end::{Blocking, FrontEnd};
use super::settings::Settings;
use super::store::Store;
use super::stored_keys::StoredKeys;
use super::stores::Stores;
use super::warnings::Warnings;
use crate::decision::{Reading, judge, may_rescue};
use crate::engine::blocking::drive;
use crate::engine::{Found, Settled, Writing};
use crate::error::RegionError;
use crate::invalidation::{RegionInvalidationStrategy, Validity};
use crate::log_targets::{CREATION, REGION};
use crate::observe::Watch;
use crate::outage::Permit;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::runner::Runner;
use crate::runtime::Runtime;
use crate::shorten::Shortened;
use crate::time::{RegionTime, Verdict};
use crate::value::CacheValue;

/// How long `set` and `delete` wait until a created value of their key is stored.
const STORE_WAIT: Duration = Duration::from_secs(10);

/// Why a key was not read in the quick way.
pub(crate) enum Unread {
    /// There is more to consider: a tier, or a backend that fails.
    NotRead,
    Failed(BackendError),
}

/// The configuration that a region's calls work with.
pub(crate) struct Configured {
    pub(crate) region: Arc<str>,
    /// What passes on what happens in the region.
    pub(crate) watch: Arc<Watch>,
    /// Whether hits are passed on: kept here, so that a hit has it at hand.
    pub(crate) notes_hits: bool,
    pub(crate) settings: Settings,
    pub(crate) stores: Stores,
    /// The policy of a call without options.
    pub(crate) policy: Policy,
    pub(crate) stored_keys: StoredKeys,
    pub(crate) strategy: Arc<dyn RegionInvalidationStrategy>,
    pub(crate) runner: Option<Arc<dyn Runner>>,
    /// The runtime that asynchronous calls use, if one was given.
    pub(crate) runtime: Option<Arc<dyn Runtime>>,
    /// The region's time. Its readings are stamps for values and for the beginnings of creations.
    pub(crate) clock: Arc<RegionTime>,
    /// Whether a warning named a setting that a call could not honor.
    pub(crate) has_warned: AtomicBool,
    /// The limits of the other warnings.
    pub(crate) warnings: Warnings,
}

impl Configured {
    /// Returns whether `key` is surely stored as it is. This is the quick half of [`mangle`](Self::mangle).
    #[inline]
    pub(crate) fn keeps(&self, key: &str) -> bool {
        self.stored_keys.keeps(key)
    }

    /// Returns the key that `key` is stored under.
    pub(crate) fn mangle<'k>(&self, key: &'k str) -> Result<Cow<'k, str>, RegionError> {
        self.stored_keys.of(key).map_err(|problem| self.invalid_key(key, problem))
    }

    #[cold]
    fn invalid_key(&self, key: &str, problem: &'static str) -> RegionError {
        RegionError::InvalidKey { region: self.region.to_string(), key: Shortened(key).to_string(), problem }
    }

    /// Returns the key under which the bottom store keeps `mangled`.
    pub(crate) fn store_key<'k>(&self, mangled: &'k str) -> Cow<'k, str> {
        self.stores.bottom.backend.store_key(mangled)
    }

    /// Begins to set or delete `mangled` keys: supersedes their creations. If one of them is being stored, waits until
    /// it is, but no longer than [`STORE_WAIT`].
    pub(crate) async fn write<'k>(
        &self,
        front: impl FrontEnd,
        mangled: impl IntoIterator<Item = &'k str>,
    ) -> Writing<'_> {
        let gates = self.stores.gates.get();
        let mut writing = gates.write(mangled.into_iter().map(|mangled| self.store_key(mangled)));
        if writing.must_wait() {
            writing.stored(front.sleep_until(front.now() + STORE_WAIT)).await;
        }
        writing
    }

    /// Returns whether a value of `mangled` made at `made` was not invalidated.
    pub(crate) fn is_valid(&self, mangled: &str, made: CreationTime) -> bool {
        self.strategy.judge(mangled, &Metadata::new(made)) == Validity::Valid
    }

    /// Returns whether a value of `mangled` with this `metadata` is fresh under `policy`.
    pub(crate) fn is_fresh(&self, mangled: &str, metadata: &Metadata, policy: &Policy) -> bool {
        matches!(judge(mangled, metadata, policy, &self.clock), Verdict::Fresh | Verdict::Early)
    }

    /// Returns whether a value of `mangled` with this `metadata` may be served while a new one is created.
    pub(crate) fn may_serve_stale(&self, mangled: &str, metadata: &Metadata, policy: &Policy) -> bool {
        let verdict = judge(mangled, metadata, policy, &self.clock);
        matches!(verdict, Verdict::Fresh | Verdict::Early | Verdict::Stale)
    }

    /// Returns whether a value that a caller had while it waited may still be served.
    pub(super) fn may_still_serve<T>(&self, mangled: &str, had: &Settled<T>, policy: &Policy) -> bool {
        had.metadata.as_ref().is_some_and(|metadata| match had.outcome {
            Outcome::FailSafe => may_rescue(mangled, metadata, policy, &self.clock),
            _ => self.may_serve_stale(mangled, metadata, policy),
        })
    }

    /// Returns for how long the store keeps a value that a call with `policy` stores, and whose own expiration time is `own`.
    ///
    /// Calls with the region's policy may use the value longer than this one.
    pub(crate) fn keep_for(&self, own: Option<Duration>, policy: &Policy) -> Option<Duration> {
        Some(policy.keep_for(own)?.max(self.policy.keep_for(own)?))
    }

    /// Returns the value of `mangled`, judged by `policy`. A value that is not fresh leaves its metadata in `old`.
    // Always inlined, as are the functions that it calls for a fresh value: a hit is one piece of code, and all else is
    // called out of line. That saves a hit of an object a third of its instructions.
    #[inline(always)]
    pub(crate) fn read<T: CacheValue>(
        &self,
        mangled: &str,
        policy: &Policy,
        old: &mut Option<Metadata>,
    ) -> Result<Reading<T>, Unread> {
        let (store, mut reading) = (&self.stores.bottom, Reading::Missing);
        let permit = store.guard.permit().filter(|_| !self.stores.reads_closely()).ok_or(Unread::NotRead)?;
        // Not `get`: its clone of the stored value would take longer than all of the judging.
        let mut visit =
            |found: &CachedValue| reading = self.judge(store, mangled, found, policy, Some(&mut *old));
        let found = store.access.on_this_thread().get_with(mangled, &mut visit);
        if !matches!(found, Ok(true)) {
            self.report_missing(mangled, found, permit)?;
        }
        Ok(reading)
    }

    /// Returns the value of a key that [`read`](Self::read) did not read, and the policy of the rest of the call.
    #[cold]
    pub(crate) fn read_closely<T: CacheValue>(
        &self,
        mangled: &str,
        mut policy: Policy,
        unread: Unread,
    ) -> Result<(Policy, Found<T>), RegionError> {
        if let Unread::Failed(error) = unread {
            self.stores.bottom.go_on(&mut policy, "get", &mangled, error)?;
        }
        let found = drive(self.find(Blocking, mangled, &mut policy))?;
        Ok((policy, found))
    }

    /// Logs that no value was found, or returns the error of the backend.
    #[cold]
    fn report_missing(
        &self,
        mangled: &str,
        found: Result<bool, BackendError>,
        permit: Permit<'_>,
    ) -> Result<(), Unread> {
        permit.end(&found);
        if let Err(error) = &found {
            self.stores.bottom.note_failure("get", error);
        }
        found.map_err(Unread::Failed)?;
        self.log_absent(mangled);
        Ok(())
    }

    /// Returns the value of `mangled`, judged by `policy`, and its metadata. The uppermost store with a fresh value
    /// fills those above it.
    #[cold]
    pub(crate) async fn find<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        mangled: &str,
        policy: &mut Policy,
    ) -> Result<Found<T>, RegionError> {
        let mut found = Found::missing();
        for (count, store) in self.stores.top_down().enumerate() {
            let stored = if self.stores.is_bottom(store) {
                store.get(front, mangled, policy).await?
            } else {
                store.get(front, mangled, &mut Policy::default()).await?
            };
            found = self.found_in(store, mangled, stored, policy);
            if self.fill_from(front, count, mangled, &found).await {
                break;
            }
        }
        Ok(found)
    }

    /// Returns the value of `mangled` in the bottom store, which other processes may have changed, judged by `policy`.
    pub(crate) async fn read_bottom<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        mangled: &str,
        policy: &mut Policy,
    ) -> Result<Found<T>, RegionError> {
        let store = &self.stores.bottom;
        let found = self.found_in(store, mangled, store.get(front, mangled, policy).await?, policy);
        self.fill_from(front, usize::MAX, mangled, &found).await;
        Ok(found)
    }

    /// Returns the values of many keys in the bottom store, judged by `policy`.
    pub(crate) async fn read_bottom_multi<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
        policy: &mut Policy,
    ) -> Result<Vec<Found<T>>, RegionError> {
        let store = &self.stores.bottom;
        let mut all = Vec::with_capacity(mangled.len());
        for (mangled, found) in mangled.iter().zip(store.get_multi(front, mangled, policy).await?) {
            let found = self.found_in(store, mangled, found, policy);
            self.fill_from(front, usize::MAX, mangled, &found).await;
            all.push(found);
        }
        Ok(all)
    }

    /// Copies a fresh value into the `count` stores above the one that has it. Returns whether it is fresh.
    pub(crate) async fn fill_from<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        count: usize,
        mangled: &str,
        found: &Found<T>,
    ) -> bool {
        let Found { reading: Reading::Fresh(value) | Reading::Early(value), metadata: Some(metadata) } =
            found
        else {
            return false;
        };
        self.stores.fill(front, count, mangled, value, metadata, &self.clock).await;
        true
    }

    /// Returns the values of many keys, judged by `policy`, from the uppermost stores that have them.
    pub(crate) async fn read_multi<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
        policy: &mut Policy,
    ) -> Result<Vec<Found<T>>, RegionError> {
        if self.stores.has_tiers() {
            return self.read_tiers(front, mangled, policy).await;
        }
        let store = &self.stores.bottom;
        let found = store.get_multi(front, mangled, policy).await?;
        let judged = |(mangled, found): (&&str, _)| self.found_in(store, mangled, found, policy);
        Ok(mangled.iter().zip(found).map(judged).collect())
    }

    #[cold]
    async fn read_tiers<T: CacheValue>(
        &self,
        front: impl FrontEnd,
        mangled: &[&str],
        policy: &mut Policy,
    ) -> Result<Vec<Found<T>>, RegionError> {
        let mut all: Vec<Found<T>> = mangled.iter().map(|_| Found::missing()).collect();
        let mut places: Vec<usize> = (0..mangled.len()).collect();
        for (count, store) in self.stores.top_down().enumerate() {
            let keys: Vec<&str> = places.iter().map(|place| mangled[*place]).collect();
            let mut left = Vec::new();
            let stored = if self.stores.is_bottom(store) {
                store.get_multi(front, &keys, policy).await?
            } else {
                store.get_multi(front, &keys, &mut Policy::default()).await?
            };
            for (place, found) in places.into_iter().zip(stored) {
                let found = self.found_in(store, mangled[place], found, policy);
                if !self.fill_from(front, count, mangled[place], &found).await {
                    left.push(place);
                }
                all[place] = found;
            }
            places = left;
        }
        Ok(all)
    }

    /// Judges what was `found` in `store` under `mangled`.
    pub(crate) fn found_in<T: CacheValue>(
        &self,
        store: &Store,
        mangled: &str,
        found: Option<CachedValue>,
        policy: &Policy,
    ) -> Found<T> {
        match found {
            Some(found) => {
                let reading = self.judge(store, mangled, &found, policy, None);
                Found { reading, metadata: Some(found.metadata) }
            }
            None => {
                self.log_absent(mangled);
                Found::missing()
            }
        }
    }

    /// Returns what was `found` in `store` under `mangled`, judged by `policy`. See [`read`](Self::read) for `old`.
    #[inline(always)]
    fn judge<T: CacheValue>(
        &self,
        store: &Store,
        mangled: &str,
        found: &CachedValue,
        policy: &Policy,
        old: Option<&mut Option<Metadata>>,
    ) -> Reading<T> {
        let Metadata { version, creation_time, attributes, .. } = &found.metadata;
        // A value with attributes may have its own expiration time, which takes longer to find out.
        if *version == Metadata::VERSION
            && attributes.is_empty()
            && self.clock.is_surely_fresh(*creation_time, policy.surely_fresh_until)
        {
            store.decode(mangled, found).map_or(Reading::Missing, Reading::Fresh)
        } else {
            self.judge_closely(store, mangled, found, policy, old)
        }
    }

    #[cold]
    fn judge_closely<T: CacheValue>(
        &self,
        store: &Store,
        mangled: &str,
        found: &CachedValue,
        policy: &Policy,
        old: Option<&mut Option<Metadata>>,
    ) -> Reading<T> {
        let verdict = match judge(mangled, &found.metadata, policy, &self.clock) {
            Verdict::OtherVersion => Verdict::OtherVersion,
            _ if policy.ignores_expiration => Verdict::Fresh,
            verdict => verdict,
        };
        if let (Some(old), Verdict::Early | Verdict::Stale | Verdict::Grace) = (old, verdict) {
            *old = Some(found.metadata.clone());
        }
        let as_reading =
            |reading: fn(T) -> Reading<T>| store.decode(mangled, found).map_or(Reading::Missing, reading);
        match verdict {
            Verdict::Fresh => as_reading(Reading::Fresh),
            Verdict::Early => as_reading(Reading::Early),
            Verdict::Stale => as_reading(Reading::Stale),
            Verdict::Grace => as_reading(Reading::Grace),
            Verdict::TooOld => {
                tracing::debug!(target: REGION, region = &*self.region, key = %Shortened(mangled), "the value for key is too old to be served");
                Reading::Missing
            }
            Verdict::OtherVersion => {
                tracing::debug!(target: REGION, region = &*self.region, key = %Shortened(mangled), "dogpile version update for key");
                Reading::Missing
            }
            Verdict::HardInvalidated => {
                tracing::debug!(target: REGION, region = &*self.region, key = %Shortened(mangled), "hard invalidation detected for key");
                Reading::Missing
            }
        }
    }

    #[cold]
    fn log_absent(&self, key: &str) {
        tracing::debug!(target: REGION, region = &*self.region, key = %Shortened(key), "no value present for key");
    }

    /// Logs how long a creation took.
    pub(crate) fn log_created(&self, began: CreationTime, keys: &dyn std::fmt::Debug) {
        let seconds = began.age(self.clock.present()).as_secs_f64();
        let keys = Shortened(keys);
        tracing::debug!(target: CREATION, region = &*self.region, keys = %keys, "cache value generated in {seconds:.3} seconds");
    }
}
