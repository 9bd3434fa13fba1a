//! Creating the values of keys that a caller leads.

use dogpile_sdk::CreationTime;

use super::creation::Creation;
use super::leadership::Leadership;
use super::port::{Created, Found, Port, Report, erase};
use super::slot::Slot;
use crate::decision::Reading;

/// A key that the caller leads.
#[derive(Debug)]
pub(crate) struct Led {
    pub(crate) place: usize,
    pub(crate) leadership: Leadership,
}

/// Creates the values of the keys that the caller leads, or has them created in the background.
pub(super) async fn create<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    led: Vec<Led>,
) -> Result<(), P::Error> {
    // Read again: another caller may have stored the value before this one came to lead.
    led.iter().for_each(|led| led.leadership.begin_reading());
    let places: Vec<usize> = led.iter().map(|led| led.place).collect();
    let found = match port.read(&places).await {
        Ok(found) => found,
        Err(error) => {
            open_all(port, led).await;
            return Err(error);
        }
    };
    let (mut own, mut queued) = (Vec::new(), Vec::new());
    for (led, Found { reading, made }) in led.into_iter().zip(found) {
        match reading {
            Reading::Fresh(value) => {
                slots[led.place].settle(value.clone());
                hand_over_found(port, led, value, made).await;
            }
            Reading::Stale(old) if port.creates_in_background() => {
                slots[led.place].settle(old);
                queued.push((led.place, led.leadership.queue()));
            }
            Reading::Stale(_) | Reading::Missing => own.push(led),
        }
    }
    if !queued.is_empty() {
        port.hand_over(queued);
    }
    own.sort_unstable_by_key(|led| led.place);
    let places: Vec<usize> = own.iter().map(|led| led.place).collect();
    for (place, value) in places.into_iter().zip(create_led(port, own).await?) {
        slots[place].settle(value);
    }
    Ok(())
}

async fn hand_over_found<P: Port>(port: &mut P, mut led: Led, value: P::Value, made: Option<CreationTime>) {
    match made {
        Some(made) if led.leadership.has_waiters() => led.leadership.hand_over(erase(value), Some(made)),
        _ => led.leadership.open_empty(),
    }
    unlock(port, &mut led).await;
}

/// Calls the creator for keys that are led, stores the values, and hands them to the waiters.
///
/// # Errors
/// If the creator fails.
pub(crate) async fn create_led<P: Port>(port: &mut P, mut led: Vec<Led>) -> Result<Vec<P::Value>, P::Error> {
    if led.is_empty() {
        return Ok(Vec::new());
    }
    let began = port.began();
    let creation = Creation::new(led.iter().any(|led| led.leadership.mutex().is_some()));
    led.iter().for_each(|led| led.leadership.begin_creation(began, &creation));
    let places: Vec<usize> = led.iter().map(|led| led.place).collect();
    match creation.run(port.create(&places)).await {
        Ok(created) => {
            store(port, &led, &created, began).await;
            for (led, created) in led.iter_mut().zip(&created) {
                hand_over(&mut led.leadership, &created.value);
            }
            for led in &mut led {
                unlock(port, led).await;
            }
            Ok(created.into_iter().map(|created| created.value).collect())
        }
        Err(error) => {
            let failure = port.shared_failure(&error, &places, led[0].leadership.age(port.now()));
            for led in led.iter_mut().filter(|_| failure.is_some()) {
                failure.iter().for_each(|failure| led.leadership.share(failure.clone()));
            }
            leave_all(port, led).await;
            Err(error)
        }
    }
}

/// Stores the values that may be stored, in one go.
async fn store<P: Port>(port: &mut P, led: &[Led], created: &[Created<P::Value>], began: CreationTime) {
    let mut values = Vec::new();
    for (led, created) in led.iter().zip(created).filter(|(_, created)| created.is_cacheable) {
        let place = led.place;
        if led.leadership.mutex().is_some_and(|mutex| port.is_lost(mutex)) {
            port.report(Report::LeaseLost { place });
        // Check as late as possible: a `set` or `delete` may have superseded this creation.
        } else if led.leadership.begin_store() {
            values.push((place, &created.value));
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
