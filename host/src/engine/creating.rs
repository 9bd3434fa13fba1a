//! Creating the values of keys that a caller leads.

use dogpile_sdk::{CreationTime, Metadata};

use super::creation::Creation;
use super::gate::Role;
use super::leadership::Leadership;
use super::port::{Found, Made, Old, Port, Report, Storing, Wanted, erase};
use super::slot::Slot;
use crate::decision::Reading;

/// A key that the caller leads.
#[derive(Debug)]
pub(crate) struct Led {
    pub(crate) place: usize,
    pub(crate) leadership: Leadership,
}

/// A key that the caller leads and is to create, and its old value.
struct Task<V> {
    led: Led,
    old: Option<Old<V>>,
}

impl<V> Task<V> {
    fn new(led: Led, found: Found<V>) -> Self {
        let old = found.reading.into_value().zip(found.metadata);
        Task { led, old: old.map(|(value, metadata)| Old { value, metadata }) }
    }
}

/// Creates the values of the keys that the caller leads, or has them created in the background.
pub(super) async fn create<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    led: Vec<Led>,
) -> Result<(), P::Error> {
    let (mut tasks, mut queued) = (Vec::new(), Vec::new());
    for (led, found) in read_again(port, led).await? {
        match found.reading {
            Reading::Fresh(value) => {
                slots[led.place].settle(value.clone());
                hand_over_found(port, led, value, found.metadata).await;
            }
            Reading::Stale(old) if port.creates_in_background() => {
                slots[led.place].settle(old);
                queued.push((led.place, led.leadership.queue()));
            }
            Reading::Stale(_) | Reading::Missing => tasks.push(Task::new(led, found)),
        }
    }
    if !queued.is_empty() {
        port.hand_over(queued);
    }
    tasks.sort_unstable_by_key(|task| task.led.place);
    let places: Vec<usize> = tasks.iter().map(|task| task.led.place).collect();
    for (place, value) in places.into_iter().zip(create_led(port, tasks).await?) {
        slots[place].settle(value);
    }
    Ok(())
}

/// Creates, in the background, the values of keys that were queued. Returns the values that were created.
///
/// # Errors
/// If the creator fails, or if its old values cannot be read.
pub(crate) async fn create_queued<P: Port>(port: &mut P, led: Vec<Led>) -> Result<Vec<P::Value>, P::Error> {
    if !P::SEES_OLD {
        return create_led(port, led.into_iter().map(|led| Task { led, old: None }).collect()).await;
    }
    // The old value was read before the key was queued. Another caller may have written the key since.
    let mut tasks = Vec::new();
    for (led, found) in read_again(port, led).await? {
        match found.reading {
            Reading::Fresh(value) => hand_over_found(port, led, value, found.metadata).await,
            Reading::Stale(_) | Reading::Missing => tasks.push(Task::new(led, found)),
        }
    }
    create_led(port, tasks).await
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

/// Calls the creator for keys that are led, stores the values, and hands them to the waiters.
///
/// # Errors
/// If the creator fails.
async fn create_led<P: Port>(port: &mut P, tasks: Vec<Task<P::Value>>) -> Result<Vec<P::Value>, P::Error> {
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let began = port.began();
    let creation = Creation::new(tasks.iter().any(|task| task.led.leadership.mutex().is_some()));
    let begin = |Task { led, old }: Task<P::Value>| {
        led.leadership.begin_creation(began, &creation, P::SEES_OLD && old.is_some());
        let place = led.place;
        (led, Wanted { place, old })
    };
    let (mut led, wanted): (Vec<Led>, Vec<_>) = tasks.into_iter().map(begin).unzip();
    match creation.run(port.create(wanted)).await {
        Ok(made) => {
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
            share_failure(port, &mut led, &error);
            leave_all(port, led).await;
            Err(error)
        }
    }
}

/// Hands the waiters the failure of the creator, if they are to share it.
fn share_failure<P: Port>(port: &P, led: &mut [Led], error: &P::Error) {
    let places: Vec<usize> = led.iter().map(|led| led.place).collect();
    let age = led[0].leadership.age(port.now());
    if let Some(failure) = port.shared_failure(error, &places, age) {
        led.iter_mut().for_each(|led| led.leadership.share(failure.clone()));
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
