//! Calling a creator, and storing and handing over what it made.

use std::pin::pin;
use std::time::Instant;

use dogpile_sdk::CreationTime;

use super::creation::SharedError;
use super::found::Found;
use super::gate::Role;
use super::leadership::Leadership;
use super::led::Led;
use super::port::{Made, Port, Report, Storing, Wanted, erase};
use super::rescue::{forget_failures, keep, rescue};
use super::slot::Settled;
use super::task::{Batch, Old, Task};
use crate::decision::Reading;

/// Returns the task to create a key of which this was `found`.
pub(super) fn task_of<P: Port>(port: &P, led: Led, found: Found<P::Value>) -> Task<P::Value> {
    let is_early = matches!(found.reading, Reading::Early(_));
    let (value, is_seen) = match found.reading {
        Reading::Fresh(value) | Reading::Early(value) | Reading::Stale(value) => (Some(value), true),
        // The value counts as missing. A creator that confirmed it would make it fresh again.
        Reading::Grace(value) => (Some(value), false),
        Reading::Missing => (None, false),
    };
    let old = value.zip(found.metadata).map(|(value, metadata)| Old { value, metadata });
    let rescue = keep(port, old.as_ref(), is_early);
    Task { led, old: old.filter(|_| is_seen), rescue }
}

/// Calls the creator of a batch, at most until `until` if it can be ended. Stores the values, and hands them to the
/// waiters.
///
/// # Errors
/// If the creator fails, and old values may not be served.
pub(super) async fn run_creation<P: Port>(
    port: &mut P,
    batch: Batch<P::Value>,
    until: Option<Instant>,
) -> Result<Vec<Settled<P::Value>>, P::Error> {
    let Batch { tasks, creation } = batch;
    let began = port.began();
    let (mut led, mut wanted, mut rescues) = (Vec::new(), Vec::new(), Vec::new());
    for Task { led: key, old, rescue } in tasks {
        key.leadership.begin_creation(began, &creation, P::SEES_OLD && old.is_some());
        wanted.push(Wanted { place: key.place, old });
        rescues.push(rescue);
        led.push(key);
    }
    // Pinned here, and not by each function that awaits it: the future of a call would contain it several times.
    let created = {
        let mut creating = pin!(P::apart(port.create(wanted, until)));
        creation.run(creating.as_mut()).await
    };
    match created {
        Ok(made) => {
            forget_failures(port, &led);
            let stored = store(port, &led, &made, began).await;
            for (led, made) in led.iter_mut().zip(&made) {
                hand_over(&mut led.leadership, &made.value);
            }
            for led in &mut led {
                unlock(port, led).await;
            }
            let created = |(led, made): (&Led, Made<P::Value>)| {
                Settled::created(made.value, stored.binary_search(&led.place).is_ok())
            };
            Ok(led.iter().zip(made).map(created).collect())
        }
        Err(error) => {
            let rescued = rescue(port, &mut led, rescues, began, (&error, creation.is_answer()));
            share_failure(port, &mut led, &error, creation.take_shared());
            leave_all(port, led).await;
            rescued.ok_or(error)
        }
    }
}

/// Hands the waiters the failure of the creator, with the error that it shared, if they are to have it and got no old value.
fn share_failure<P: Port>(port: &P, led: &mut [Led], error: &P::Error, shared: Option<SharedError>) {
    let left: Vec<&mut Led> = led.iter_mut().filter(|led| !led.leadership.is_over()).collect();
    let places: Vec<usize> = left.iter().map(|led| led.place).collect();
    let Some(first) = left.first() else { return };
    let age = first.leadership.age(port.now());
    if let Some(failure) = port.shared_failure(error, &places, age) {
        let failure = failure.with_error(shared);
        left.into_iter().for_each(|led| led.leadership.share(failure.clone()));
    }
}

/// Stores the values that may be stored, in one go. Returns the places of those that were stored, in order.
async fn store<P: Port>(
    port: &mut P,
    led: &[Led],
    made: &[Made<P::Value>],
    began: CreationTime,
) -> Vec<usize> {
    let mut values = Vec::new();
    for (led, made) in led.iter().zip(made).filter(|(_, made)| made.terms.is_stored) {
        let place = led.place;
        if led.leadership.mutex().is_some_and(|mutex| port.is_lost(mutex)) {
            port.report(Report::LeaseLost { place });
        // Check as late as possible: a `set` or `delete` may have superseded this creation.
        } else if led.leadership.begin_store() {
            // A thread cannot leave while it stores.
            let in_progress = (P::ROLE == Role::Task).then(|| led.leadership.store_in_progress());
            let fence = led.leadership.mutex().and_then(|mutex| mutex.fence());
            values.push(Storing { place, made, fence, in_progress });
        } else {
            port.report(Report::Superseded { place });
        }
    }
    if values.is_empty() { Vec::new() } else { P::apart(port.store(values, began)).await }
}

/// Opens the gate, with the value if callers wait for it.
fn hand_over<V: Clone + Send + Sync + 'static>(leadership: &mut Leadership, value: &V) {
    if leadership.has_waiters() {
        leadership.hand_over(erase(value.clone()), None);
    } else {
        leadership.open_empty();
    }
}

pub(super) async fn unlock<P: Port>(port: &mut P, led: &mut Led) {
    if let Some(mutex) = led.leadership.take_mutex() {
        P::apart(port.unlock(led.place, mutex)).await;
    }
}

/// Releases the mutexes, and leaves the gates to the next callers.
pub(super) async fn leave_all<P: Port>(port: &mut P, mut led: Vec<Led>) {
    for led in &mut led {
        unlock(port, led).await;
    }
}
