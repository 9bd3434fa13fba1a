//! Creating the values of many keys under the dogpile lock.
//!
//! No caller waits for one key while it holds another: first those that are free are led and created in one go,
//! then the keys that others are creating are waited for. That keeps two callers with overlapping keys from
//! waiting for each other, and lets their creators run side by side.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::CreationTime;

use super::configured::Configured;
use super::options::ShouldCache;
use crate::decision::{AsLeader, Reading, stamp};
use crate::error::{CreateError, RegionError};
use crate::lock::{DogpileLock, Leadership, LockError, Turn};
use crate::runner::Creation;
use crate::shorten::Shortened;
use crate::value::CacheValue;

/// A call for many keys.
pub(super) struct Many<'a, T, E, F, P> {
    current: &'a Arc<Configured>,
    limit: Option<Duration>,
    creator: F,
    predicate: P,
    hand_over: Option<HandOver<'a, T, E, F, P>>,
    creates: PhantomData<fn() -> Result<T, E>>,
}

/// How creations are handed to the runner: set only where the creator owns what it uses.
type HandOver<'a, T, E, F, P> = fn(&Many<'a, T, E, F, P>, Vec<Led>);

/// One key of the request.
struct Slot<'k, T> {
    key: &'k str,
    mangled: Cow<'k, str>,
    value: Option<T>,
}

/// A key that this caller leads. It owns its texts, so that a runner can have it.
struct Led {
    slot: usize,
    key: String,
    mangled: String,
    leadership: Leadership,
}

impl<'a, T, E, F, P> Many<'a, T, E, F, P>
where
    T: CacheValue,
    F: FnMut(&[&str]) -> Result<Vec<T>, E>,
    P: ShouldCache<T>,
{
    pub(super) fn new(
        current: &'a Arc<Configured>,
        limit: Option<Duration>,
        creator: F,
        predicate: P,
    ) -> Self {
        Many { current, limit, creator, predicate, hand_over: None, creates: PhantomData }
    }

    /// Lets the region's runner have the creation of stale values.
    pub(super) fn in_background(mut self) -> Self
    where
        E: fmt::Debug + 'static,
        F: Clone + Send + 'static,
        P: Clone + Send + 'static,
    {
        self.hand_over = Some(hand_over);
        self
    }

    /// The values of `keys`, in their order.
    pub(super) fn run(mut self, keys: &[impl AsRef<str>]) -> Result<Vec<T>, CreateError<E>> {
        let mut slots = self.slots(keys)?;
        if !self.current.capabilities.stores {
            // Nobody would find what another one created: they create side by side.
            self.create_unled(&mut slots)?;
            return Ok(in_request_order(keys, &slots));
        }
        let (mut missing, stale) = self.read_all(&mut slots)?;
        let mut led = self.lead_stale(&mut slots, stale)?;
        loop {
            let pending = std::mem::take(&mut missing);
            missing = self.lead_free(&slots, pending, &mut led)?;
            if led.is_empty() {
                let Some(first) = missing.first().copied() else { break };
                self.wait_for(&mut slots, first, &mut missing, &mut led)?;
            }
            self.create_led(&mut slots, std::mem::take(&mut led))?;
        }
        Ok(in_request_order(keys, &slots))
    }

    /// The keys, each once, sorted.
    fn slots<'k>(&self, keys: &'k [impl AsRef<str>]) -> Result<Vec<Slot<'k, T>>, RegionError> {
        let mut sorted: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let slot = |key| Ok(Slot { key, mangled: self.current.mangle(key)?, value: None });
        sorted.into_iter().map(slot).collect()
    }

    /// Reads all slots: fills the fresh ones in, and answers which are missing and which are stale.
    fn read_all(&self, slots: &mut [Slot<'_, T>]) -> Result<(Vec<usize>, Vec<usize>), RegionError> {
        let all: Vec<usize> = (0..slots.len()).collect();
        let (mut missing, mut stale) = (Vec::new(), Vec::new());
        for (slot, reading) in self.read(slots, &all)? {
            match &reading {
                Reading::Fresh(_) => {}
                Reading::Stale(_) => stale.push(slot),
                Reading::Missing => missing.push(slot),
            }
            slots[slot].value = reading.into_value();
        }
        Ok((missing, stale))
    }

    fn read(&self, slots: &[Slot<'_, T>], which: &[usize]) -> Result<Vec<(usize, Reading<T>)>, RegionError> {
        let mangled: Vec<&str> = which.iter().map(|slot| &*slots[*slot].mangled).collect();
        let readings = self.current.read_multi(&mangled, self.limit)?;
        Ok(which.iter().copied().zip(readings).collect())
    }

    fn lock_error(&self, slot: &Slot<'_, T>, source: LockError) -> RegionError {
        let (region, key) = (self.current.region.to_string(), Shortened(slot.key).to_string());
        RegionError::Lock { region, key, source }
    }

    /// What trying to lead a slot comes to.
    fn turn(&self, slots: &[Slot<'_, T>], slot: usize, wait: bool) -> Result<Turn, RegionError> {
        let backend = &self.current.backend;
        let get_mutex = |key: &str| backend.get_mutex(key);
        let lock = DogpileLock::new(&self.current.gates, &slots[slot].mangled).with_mutex(&get_mutex);
        let turn = if wait { lock.lead_or_wait() } else { lock.try_lead() };
        turn.map_err(|error| self.lock_error(&slots[slot], error))
    }

    fn led(slots: &[Slot<'_, T>], slot: usize, leadership: Leadership) -> Led {
        let (key, mangled) = (slots[slot].key.to_owned(), slots[slot].mangled.to_string());
        Led { slot, key, mangled, leadership }
    }

    /// Leads those of the stale slots that nobody does; the others keep their old value.
    fn lead_stale(&self, slots: &mut [Slot<'_, T>], stale: Vec<usize>) -> Result<Vec<Led>, RegionError> {
        let mut led = Vec::new();
        self.lead_free(slots, stale, &mut led)?;
        Ok(led)
    }

    /// Leads those of `which` that nobody does; answers the others.
    fn lead_free(
        &self,
        slots: &[Slot<'_, T>],
        which: Vec<usize>,
        led: &mut Vec<Led>,
    ) -> Result<Vec<usize>, RegionError> {
        let mut taken = Vec::new();
        for slot in which {
            match self.turn(slots, slot, false)? {
                Turn::Leads(leadership) => led.push(Self::led(slots, slot, leadership)),
                Turn::Busy | Turn::Waited | Turn::TimedOut => taken.push(slot),
            }
        }
        Ok(taken)
    }

    /// Waits for whoever creates `first`, and reads all that is missing again; or leads it.
    fn wait_for(
        &self,
        slots: &mut [Slot<'_, T>],
        first: usize,
        missing: &mut Vec<usize>,
        led: &mut Vec<Led>,
    ) -> Result<(), RegionError> {
        let turn = self.turn(slots, first, true)?;
        if let Turn::Leads(leadership) = turn {
            led.push(Self::led(slots, first, leadership));
            missing.retain(|slot| *slot != first);
            return Ok(());
        }
        for (slot, reading) in self.read(slots, missing)? {
            slots[slot].value = reading.into_value();
        }
        missing.retain(|slot| slots[*slot].value.is_none());
        if matches!(turn, Turn::TimedOut) && slots[first].value.is_none() {
            return Err(self.lock_error(&slots[first], LockError::TimedOut));
        }
        Ok(())
    }

    /// Reads what is led again, since another caller may have stored it before the lock was won, and has the
    /// rest created, by the runner or here.
    fn create_led(&mut self, slots: &mut [Slot<'_, T>], led: Vec<Led>) -> Result<(), CreateError<E>> {
        if led.is_empty() {
            return Ok(());
        }
        let has_runner = self.hand_over.is_some() && self.current.runner.is_some();
        let which: Vec<usize> = led.iter().map(|led| led.slot).collect();
        let (mut handed, mut own) = (Vec::new(), Vec::new());
        for ((slot, reading), led) in self.read(slots, &which)?.into_iter().zip(led) {
            match reading.for_leader(has_runner) {
                AsLeader::Serve(value) => slots[slot].value = Some(value),
                AsLeader::HandOver(old) => {
                    slots[slot].value = Some(old);
                    handed.push(led);
                }
                AsLeader::Create => own.push(led),
            }
        }
        if let Some(hand_over) = self.hand_over.filter(|_| !handed.is_empty()) {
            handed.iter().for_each(|led| led.leadership.hand_over());
            hand_over(self, handed);
        }
        own.sort_unstable_by_key(|led| led.slot);
        let created = self.create(&own)?;
        own.iter().zip(created).for_each(|(led, value)| slots[led.slot].value = Some(value));
        Ok(())
    }

    fn create_unled(&mut self, slots: &mut [Slot<'_, T>]) -> Result<(), CreateError<E>> {
        let keys: Vec<&str> = slots.iter().map(|slot| slot.key).collect();
        let values = self.make(&keys, self.current.clock.now())?;
        slots.iter_mut().zip(values).for_each(|(slot, value)| slot.value = Some(value));
        Ok(())
    }

    /// Calls the creator for `led`, and stores what it makes.
    fn create(&mut self, led: &[Led]) -> Result<Vec<T>, CreateError<E>> {
        let began = self.current.clock.now();
        let keys: Vec<&str> = led.iter().map(|led| led.key.as_str()).collect();
        let values = self.make(&keys, began)?;
        self.store(led, &values, began)?;
        Ok(values)
    }

    /// Calls the creator for `keys`, if there are any.
    fn make(&mut self, keys: &[&str], began: CreationTime) -> Result<Vec<T>, CreateError<E>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let values = (self.creator)(keys).map_err(CreateError::Creator)?;
        self.current.log_created(began, &keys);
        if values.len() != keys.len() {
            let (region, expected) = (self.current.region.to_string(), keys.len());
            return Err(RegionError::CreatorCount { region, expected, made: values.len() }.into());
        }
        Ok(values)
    }

    fn store(&self, led: &[Led], values: &[T], began: CreationTime) -> Result<(), RegionError> {
        let current = self.current;
        let made = stamp(began, &*current.strategy, &*current.clock);
        let wanted = led.iter().zip(values).filter(|(_, value)| self.predicate.should_cache(value));
        let encode = |led: &Led, value| current.encode(&led.key, Cow::Borrowed(value), made);
        let encoded = wanted.map(|(led, value)| Ok((led, encode(led, value)?)));
        let encoded = encoded.collect::<Result<Vec<_>, RegionError>>()?;
        // The last moment to notice that a key was stored or deleted meanwhile.
        let current_ones = encoded.into_iter().filter(|(led, _)| !led.leadership.is_superseded());
        current.store_multi(current_ones.map(|(led, stored)| (led.mangled.clone(), stored)).collect())
    }
}

/// The values, one for each key asked for.
fn in_request_order<T: Clone>(keys: &[impl AsRef<str>], slots: &[Slot<'_, T>]) -> Vec<T> {
    let by_key: HashMap<&str, &T> =
        slots.iter().filter_map(|slot| Some((slot.key, slot.value.as_ref()?))).collect();
    keys.iter().filter_map(|key| by_key.get(key.as_ref()).map(|value| (*value).clone())).collect()
}

/// Gives creations to the region's runner.
fn hand_over<T, E, F, P>(many: &Many<'_, T, E, F, P>, led: Vec<Led>)
where
    T: CacheValue,
    E: fmt::Debug + 'static,
    F: FnMut(&[&str]) -> Result<Vec<T>, E> + Clone + Send + 'static,
    P: ShouldCache<T> + Clone + Send + 'static,
{
    let Some(runner) = &many.current.runner else { return };
    let (current, limit) = (Arc::clone(many.current), many.limit);
    let (creator, predicate) = (many.creator.clone(), many.predicate.clone());
    let keys = led.iter().map(|led| led.key.clone()).collect();
    runner.run(Creation::new(Arc::clone(&current.region), keys, move || {
        led.iter().for_each(|led| led.leadership.take_over());
        let mut many = Many::new(&current, limit, creator, predicate);
        if let Err(error) = many.create(&led) {
            let keys: Vec<&str> = led.iter().map(|led| led.key.as_str()).collect();
            tracing::error!(region = &*current.region, ?keys, ?error, "a creation in the background failed");
        }
    }));
}
