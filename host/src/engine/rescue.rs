//! Serving old values because their creator failed.

use dogpile_sdk::CreationTime;

use super::led::Led;
use super::port::{Port, erase};
use super::slot::{Need, Settled, Slot};
use super::task::{Old, Rescue};
use crate::outcome::Outcome;

/// Gives the waiters the old values of the keys whose creator failed with `error`, as far as they may be served. The creation
/// began at `began`. Returns the values if each key has one.
pub(super) fn rescue<P: Port>(
    port: &P,
    led: &mut [Led],
    rescues: Vec<Option<Rescue<P::Value>>>,
    began: CreationTime,
    (error, is_answer): (&P::Error, bool),
) -> Option<Vec<Settled<P::Value>>> {
    let fail_safe = port.policy().fail_safe;
    let is_outage = fail_safe.is_on() && !is_answer && port.is_outage(error);
    let now = port.now();
    let mut values = Vec::new();
    for (led, rescue) in led.iter_mut().zip(rescues) {
        let is_early = rescue.as_ref().is_some_and(|rescue| rescue.is_early);
        if !is_outage && !is_early {
            continue;
        }
        let until = now.checked_add(fail_safe.throttle).unwrap_or(now);
        port.gates().failures.note(port.key(led.place).store_key, now, until);
        let Some(Rescue { value, metadata, .. }) = rescue else { continue };
        let may_serve = match &metadata {
            Some(metadata) => port.may_rescue(led.place, metadata),
            // It could be served when it was read, before the creation began.
            None => port.is_valid(led.place, began),
        };
        if !may_serve {
            continue;
        }
        match &metadata {
            Some(metadata) if led.leadership.has_waiters() => {
                led.leadership.hand_over_old(erase(value.clone()), metadata.clone());
            }
            // Those who wait have old values of their own.
            _ => led.leadership.open_empty(),
        }
        let outcome = if is_early { Outcome::Fresh } else { Outcome::FailSafe };
        values.push(Settled { value, outcome, metadata, is_stored: false });
    }
    if values.len() < led.len() {
        return None;
    }
    let places: Vec<usize> = led.iter().map(|led| led.place).collect();
    port.report_rescue(&places, error);
    Some(values)
}

/// Forgets the failures of keys that were created.
pub(super) fn forget_failures<P: Port>(port: &P, led: &[Led]) {
    let policy = port.policy();
    if policy.fail_safe.is_on() || policy.has_stages() {
        led.iter().for_each(|led| port.gates().failures.forget(port.key(led.place).store_key));
    }
}

/// Settles for the old value if the creator of the key failed a moment ago.
pub(super) fn settle_if_throttled<P: Port>(port: &P, slot: &mut Slot<P::Value>, place: usize) {
    let may_serve = slot.is_early() || (slot.has_old() && port.policy().fail_safe.is_on());
    if may_serve && port.gates().failures.contains(port.key(place).store_key, port.now()) {
        settle_for_rescue(port, slot, place);
    }
}

/// Settles for the stale value after a wait. A value that may not be served any longer is kept in case no new one comes.
pub(super) fn settle_for_stale<P: Port>(port: &P, slot: &mut Slot<P::Value>, place: usize) {
    if !slot.is_early() && !slot.is_stale() {
        return;
    }
    if may_take_stale(port, slot, place) {
        slot.settle_for_stale();
    } else {
        slot.age();
    }
}

/// Returns whether a caller that waited may still take its stale value.
pub(super) fn may_take_stale<P: Port>(port: &P, slot: &Slot<P::Value>, place: usize) -> bool {
    let is_valid = |metadata| port.may_serve_stale(place, metadata);
    (slot.is_early() || slot.is_stale()) && slot.metadata.as_ref().is_some_and(is_valid)
}

/// Settles for the old value that was read last, if it may be served because no new one came in time.
pub(super) fn settle_for_rescue<P: Port>(port: &P, slot: &mut Slot<P::Value>, place: usize) {
    if slot.has_old() && slot.metadata.as_ref().is_some_and(|metadata| port.may_rescue(place, metadata)) {
        slot.settle_for_old();
    }
}

/// Settles for the old value because the mutex failed, so that no caller can create a new one. Returns whether there is one that
/// fail-safe lets the caller have.
pub(super) fn settle_without_mutex<P: Port>(port: &P, slot: &mut Slot<P::Value>, place: usize) -> bool {
    // The caller may have waited since it read the value.
    if port.policy().fail_safe.is_on() {
        settle_for_rescue(port, slot, place);
    }
    slot.is_settled()
}

/// Returns the value and the metadata of an old value, if it is needed should the creator fail.
pub(super) fn keep<P: Port>(
    port: &P,
    old: Option<&Old<P::Value>>,
    is_early: bool,
) -> Option<Rescue<P::Value>> {
    if !is_early && !port.policy().fail_safe.is_on() {
        return None;
    }
    let Old { value, metadata } = old?;
    Some(Rescue { value: value.clone(), metadata: Some(metadata.clone()), is_early })
}

/// Returns what the caller read before its backend failed, if it is needed should the creator fail.
pub(super) fn keep_of_slot<P: Port>(port: &P, slot: &Slot<P::Value>) -> Option<Rescue<P::Value>> {
    let (value, is_early) = match &slot.need {
        Need::Early(value, _) => (value, true),
        Need::Stale(value) | Need::Grace(value) if port.policy().fail_safe.is_on() => (value, false),
        _ => return None,
    };
    Some(Rescue { value: value.clone(), metadata: slot.metadata.clone(), is_early })
}
