//! Creations that go on without the caller, which waits for them up to its limits.

use super::patience::{Over, Patience};
use super::port::Port;
use super::rescue::{may_take_stale, settle_for_rescue};
use super::running::run_creation;
use super::slot::{Settled, Slot};
use super::task::{Batch, Elsewhere, Limits};

/// Creates a batch. Its caller may have left.
///
/// # Errors
/// If the creator fails.
pub(crate) async fn create_batch<P: Port>(
    port: &mut P,
    batch: Batch<P::Value>,
) -> Result<Vec<Settled<P::Value>>, P::Error> {
    let mut values = run_creation(port, batch, None).await?;
    values.iter_mut().for_each(|settled| settled.outcome = port.policy().outcome(settled.outcome));
    Ok(values)
}

/// What came of having keys created without the caller.
pub(super) enum Tried<V> {
    /// The values were created in time.
    Created(Vec<Settled<V>>),
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
    let has_stale = places.iter().all(|place| slots[*place].is_stale() || slots[*place].is_early());
    let Some(until) = patience.of_creator(has_stale) else { return Ok(Tried::Back(batch)) };
    let first = patience.over(until, has_stale);
    // The creator has gone, so that a caller whose stale values are no longer valid must wait for what it makes.
    let takes = |port: &P| places.iter().all(|place| may_take_stale(port, &slots[*place], *place));
    let may_leave = |port: &P| !matches!(first, Some(Over::Stale)) || takes(port);
    match port.create_elsewhere(batch, Limits { until, last: patience.hard() }, &may_leave) {
        Elsewhere::Ended(values) => Ok(Tried::Created(values?)),
        Elsewhere::Back(batch) => Ok(Tried::Back(batch)),
        Elsewhere::Left => leave(port, slots, &places, first).map(|()| Tried::Left),
        Elsewhere::LeftAtLast => {
            let last = patience.hard().and_then(|hard| patience.over(hard, false));
            leave(port, slots, &places, last).map(|()| Tried::Left)
        }
    }
}

/// Leaves a creation that goes on: with the old values, or with an error.
fn leave<P: Port>(
    port: &P,
    slots: &mut [Slot<P::Value>],
    places: &[usize],
    over: Option<Over>,
) -> Result<(), P::Error> {
    for place in places {
        match over {
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
