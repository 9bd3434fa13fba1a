//! Creations that go on without the caller, which waits for them up to its limits.

use std::time::Instant;

use super::patience::{Over, Patience};
use super::port::Port;
use super::rescue::settle_for_rescue;
use super::running::run_creation;
use super::slot::Slot;
use super::task::{Batch, Elsewhere};
use crate::outcome::Outcome;

/// Creates a batch. Its caller may have left.
///
/// # Errors
/// If the creator fails.
pub(crate) async fn create_batch<P: Port>(
    port: &mut P,
    batch: Batch<P::Value>,
) -> Result<Vec<(P::Value, Outcome)>, P::Error> {
    run_creation(port, batch, None).await
}

/// What came of having keys created without the caller.
pub(super) enum Tried<V> {
    /// The values were created in time.
    Created(Vec<(V, Outcome)>),
    /// The creation goes on, and the caller took its old values.
    Left,
    /// The caller creates.
    Back(Batch<V>),
}

/// Has a batch created without the caller if it can be, and waits for it up to the caller's limits. The slots then have what
/// was read under the lock.
///
/// # Errors
/// If the creator fails, or the limit is over and no old value may be served.
pub(super) fn try_elsewhere<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    batch: Batch<P::Value>,
    patience: &Patience,
) -> Result<Tried<P::Value>, P::Error> {
    if !port.creates_elsewhere() {
        return Ok(Tried::Back(batch));
    }
    let places = batch.places();
    let Some(until) = patience.of_creator(have_stale(slots, &places)) else { return Ok(Tried::Back(batch)) };
    match port.create_elsewhere(batch, until) {
        Elsewhere::Ended(values) => Ok(Tried::Created(values?)),
        Elsewhere::Back(batch) => Ok(Tried::Back(batch)),
        Elsewhere::Left => leave(port, slots, &places, patience, until).map(|()| Tried::Left),
    }
}

fn have_stale<V>(slots: &[Slot<V>], places: &[usize]) -> bool {
    places.iter().all(|place| slots[*place].is_stale() || slots[*place].is_early())
}

/// Leaves a creation that goes on: with the old values, or with an error.
fn leave<P: Port>(
    port: &P,
    slots: &mut [Slot<P::Value>],
    places: &[usize],
    patience: &Patience,
    until: Instant,
) -> Result<(), P::Error> {
    let has_stale = have_stale(slots, places);
    for place in places {
        match patience.over(until, has_stale) {
            Some(Over::Hard(limit)) => {
                if port.policy().fail_safe.is_on() {
                    settle_for_rescue(port, &mut slots[*place], *place);
                }
                if !slots[*place].is_settled() {
                    return Err(port.timed_out(*place, limit));
                }
            }
            _ => slots[*place].settle_for_stale(),
        }
    }
    Ok(())
}
