//! Creating the values of keys that a caller leads.

use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::{CreationTime, Metadata};

use super::creation::Creation;
use super::gate::Role;
use super::leadership::Leadership;
use super::led::Led;
use super::patience::Patience;
use super::port::{Found, Made, Old, Port, Report, Storing, Wanted, erase};
use super::rescue::{Rescue, forget_failures, keep, rescue};
use super::slot::Slot;
use crate::decision::Reading;

/// A key that the caller leads and is to create, and its old value.
#[derive(Debug)]
pub(super) struct Task<V> {
    pub(super) led: Led,
    /// What the creator gets to see.
    old: Option<Old<V>>,
    /// What callers get if the creator fails.
    rescue: Option<Rescue<V>>,
}

impl<V: Clone> Task<V> {
    fn new<P: Port<Value = V>>(port: &P, led: Led, found: Found<V>) -> Self {
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

    /// A task whose old value was not read.
    fn without_old(led: Led) -> Self {
        Task { led, old: None, rescue: None }
    }
}

/// Creates the values of the keys that the caller leads, or has them created in the background.
pub(super) async fn create<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    led: Vec<Led>,
    patience: &Patience,
) -> Result<(), P::Error> {
    let (mut tasks, mut queued) = (Vec::new(), Vec::new());
    let waits = port.policy().stale.waits();
    for (led, found) in read_again(port, led).await? {
        // A caller that found no fresh value before does not refresh the one that another caller has created since.
        let refreshes = slots[led.place].is_early() && matches!(found.reading, Reading::Early(_));
        match found.reading {
            Reading::Fresh(value) | Reading::Early(value) if !refreshes => {
                slots[led.place].settle(value.clone());
                hand_over_found(port, led, value, found.metadata).await;
            }
            Reading::Early(old) | Reading::Stale(old)
                if port.creates_in_background() && (refreshes || !waits) =>
            {
                slots[led.place].settle(old);
                queued.push((led.place, led.leadership.queue()));
            }
            _ => tasks.push(Task::new(port, led, found)),
        }
    }
    if !queued.is_empty() {
        port.hand_over(queued);
    }
    tasks.sort_unstable_by_key(|task| task.led.place);
    let places: Vec<usize> = tasks.iter().map(|task| task.led.place).collect();
    for (place, value) in places.into_iter().zip(create_led(port, tasks, patience.hard()).await?) {
        slots[place].settle(value);
    }
    Ok(())
}

/// Creates, in the background, the values of keys that were queued. Returns the values that were created.
///
/// # Errors
/// If the creator fails, or if its old values cannot be read.
pub(crate) async fn create_queued<P: Port>(port: &mut P, led: Vec<Led>) -> Result<Vec<P::Value>, P::Error> {
    if !P::SEES_OLD && !port.policy().fail_safe.is_on() {
        return create_led(port, led.into_iter().map(Task::without_old).collect(), None).await;
    }
    // The old value was read before the key was queued. Another caller may have written the key since.
    let mut tasks = Vec::new();
    for (led, found) in read_again(port, led).await? {
        match found.reading {
            Reading::Fresh(value) => hand_over_found(port, led, value, found.metadata).await,
            _ => tasks.push(Task::new(port, led, found)),
        }
    }
    create_led(port, tasks, None).await
}

/// Reads again: another caller may have stored the value before this one came to lead.
async fn read_again<P: Port>(port: &mut P, led: Vec<Led>) -> Result<Vec<(Led, Found<P::Value>)>, P::Error> {
    led.iter().for_each(|led| led.leadership.begin_reading());
    let places: Vec<usize> = led.iter().map(|led| led.place).collect();
    match port.read(&places).await {
        Ok(found) => Ok(led.into_iter().zip(found).collect()),
        Err(error) => {
            open_all(port, led).await;
            Err(error)
        }
    }
}

async fn hand_over_found<P: Port>(port: &mut P, mut led: Led, value: P::Value, metadata: Option<Metadata>) {
    match metadata {
        Some(metadata) if led.leadership.has_waiters() => {
            led.leadership.hand_over(erase(value), Some(metadata));
        }
        _ => led.leadership.open_empty(),
    }
    unlock(port, &mut led).await;
}

/// Begins a creation of keys that are led.
pub(super) fn begin_creation<V>(tasks: &[Task<V>]) -> Arc<Creation> {
    Creation::new(tasks.iter().any(|task| task.led.leadership.mutex().is_some()))
}

/// Calls the creator for keys that are led, and returns the values, or the old ones if it fails and they may be served.
async fn create_led<P: Port>(
    port: &mut P,
    tasks: Vec<Task<P::Value>>,
    until: Option<Instant>,
) -> Result<Vec<P::Value>, P::Error> {
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let creation = begin_creation(&tasks);
    run_creation(port, tasks, &creation, until).await
}

/// Calls the creator of `creation`, at most until `until` if it can be ended. Stores the values, and hands them to the
/// waiters.
///
/// # Errors
/// If the creator fails, and old values may not be served.
pub(super) async fn run_creation<P: Port>(
    port: &mut P,
    tasks: Vec<Task<P::Value>>,
    creation: &Arc<Creation>,
    until: Option<Instant>,
) -> Result<Vec<P::Value>, P::Error> {
    let began = port.began();
    let (mut led, mut wanted, mut rescues) = (Vec::new(), Vec::new(), Vec::new());
    for Task { led: key, old, rescue } in tasks {
        key.leadership.begin_creation(began, creation, P::SEES_OLD && old.is_some());
        wanted.push(Wanted { place: key.place, old });
        rescues.push(rescue);
        led.push(key);
    }
    match creation.run(port.create(wanted, until)).await {
        Ok(made) => {
            forget_failures(port, &led);
            store(port, &led, &made, began).await;
            for (led, made) in led.iter_mut().zip(&made) {
                hand_over(&mut led.leadership, &made.value);
            }
            for led in &mut led {
                unlock(port, led).await;
            }
            Ok(made.into_iter().map(|made| made.value).collect())
        }
        Err(error) => {
            let rescued = rescue(port, &mut led, rescues, &error);
            share_failure(port, &mut led, &error);
            leave_all(port, led).await;
            rescued.ok_or(error)
        }
    }
}

/// Hands the waiters the failure of the creator, if they are to share it and got no old value.
fn share_failure<P: Port>(port: &P, led: &mut [Led], error: &P::Error) {
    let left: Vec<&mut Led> = led.iter_mut().filter(|led| !led.leadership.is_over()).collect();
    let places: Vec<usize> = left.iter().map(|led| led.place).collect();
    let Some(first) = left.first() else { return };
    let age = first.leadership.age(port.now());
    if let Some(failure) = port.shared_failure(error, &places, age) {
        left.into_iter().for_each(|led| led.leadership.share(failure.clone()));
    }
}

/// Stores the values that may be stored, in one go.
async fn store<P: Port>(port: &mut P, led: &[Led], made: &[Made<P::Value>], began: CreationTime) {
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
    if !values.is_empty() {
        port.store(values, began).await;
    }
}

/// Opens the gate, with the value if anybody waits for it.
fn hand_over<V: Clone + Send + Sync + 'static>(leadership: &mut Leadership, value: &V) {
    if leadership.has_waiters() {
        leadership.hand_over(erase(value.clone()), None);
    } else {
        leadership.open_empty();
    }
}

async fn unlock<P: Port>(port: &mut P, led: &mut Led) {
    if let Some(mutex) = led.leadership.take_mutex() {
        port.unlock(led.place, mutex).await;
    }
}

/// Releases the mutexes, and leaves the gates to the next callers.
pub(super) async fn leave_all<P: Port>(port: &mut P, mut led: Vec<Led>) {
    for led in &mut led {
        unlock(port, led).await;
    }
}

/// Releases the mutexes, and lets all waiters read for themselves.
async fn open_all<P: Port>(port: &mut P, mut led: Vec<Led>) {
    led.iter_mut().for_each(|led| led.leadership.open_empty());
    leave_all(port, led).await;
}
