//! Creates the values of keys that a caller leads, in place or in the background.

use dogpile_sdk::Metadata;

use super::elsewhere::{Tried, try_elsewhere};
use super::found::Found;
use super::led::Led;
use super::patience::Patience;
use super::port::{Port, Report, erase};
use super::rescue::keep_of_slot;
use super::running::{leave_all, run_creation, task_of, unlock};
use super::slot::{Settled, Slot};
use super::task::{Batch, Task};
use crate::decision::Reading;
use crate::outcome::Outcome;

/// Creates the values of the keys that the caller leads, or has them created in the background.
pub(super) async fn create<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    led: Vec<Led>,
    patience: &Patience,
) -> Result<(), P::Error> {
    let (mut tasks, mut queued) = (Vec::new(), Vec::new());
    let waits = port.policy().stale.waits();
    let leaves_creator = port.creates_elsewhere() && patience.of_creator(true).is_some();
    for (led, found) in read_again(port, led).await? {
        // A caller that found no fresh value before does not refresh the one that another caller has created since.
        let refreshes = slots[led.place].is_early() && matches!(found.reading, Reading::Early(_));
        if refreshes {
            port.report(Report::RefreshesEarly { place: led.place });
        }
        match found.reading {
            Reading::Fresh(value) | Reading::Early(value) if !refreshes => {
                let outcome = if patience.has_waited() { Outcome::Waited } else { Outcome::Fresh };
                slots[led.place].metadata.clone_from(&found.metadata);
                slots[led.place].settle(value.clone(), outcome, port.policy());
                hand_over_found(port, led, value, found.metadata).await;
            }
            Reading::Early(old) | Reading::Stale(old)
                if port.creates_in_background() && (refreshes || !waits) =>
            {
                let outcome = if refreshes { Outcome::Fresh } else { Outcome::Stale };
                slots[led.place].settle(old, outcome, port.policy());
                queued.push((led.place, led.leadership.queue()));
            }
            // The backend failed since the caller read the key: what it read then is all that there is.
            Reading::Missing if port.policy().skips_backend => {
                let rescue = keep_of_slot(port, &slots[led.place]);
                tasks.push(Task { rescue, ..task_of(port, led, found) });
            }
            _ => {
                if leaves_creator {
                    slots[led.place] = Slot::of(found.clone(), port.policy());
                }
                tasks.push(task_of(port, led, found));
            }
        }
    }
    if !queued.is_empty() {
        port.hand_over(queued);
    }
    tasks.sort_unstable_by_key(|task| task.led.place);
    if tasks.is_empty() {
        return Ok(());
    }
    let batch = Batch::new(tasks);
    let places = batch.places();
    // The creator is called at one place, so that the future of a call contains that of its creator once.
    let values = match try_elsewhere(port, slots, batch, patience)? {
        Tried::Created(values) => values,
        Tried::Left => return Ok(()),
        Tried::Back(batch) => run_creation(port, batch, patience.hard()).await?,
    };
    for (place, settled) in places.into_iter().zip(values) {
        slots[place].settle_created(settled, port.policy());
    }
    Ok(())
}

/// Creates, in the background, the values of keys that were queued. Returns the values that were created.
///
/// # Errors
/// If the creator fails, or if its old values cannot be read.
pub(crate) async fn create_queued<P: Port>(
    port: &mut P,
    led: Vec<Led>,
) -> Result<Vec<Settled<P::Value>>, P::Error> {
    let tasks = if P::SEES_OLD || port.policy().fail_safe.is_on() {
        read_queued(port, led).await?
    } else {
        led.into_iter().map(Task::without_old).collect()
    };
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    run_creation(port, Batch::new(tasks), None).await
}

/// Reads the old values of keys that were queued. Another caller may have written a key since it was queued.
async fn read_queued<P: Port>(port: &mut P, led: Vec<Led>) -> Result<Vec<Task<P::Value>>, P::Error> {
    let mut tasks = Vec::new();
    for (led, found) in read_again(port, led).await? {
        match found.reading {
            Reading::Fresh(value) => hand_over_found(port, led, value, found.metadata).await,
            _ => tasks.push(task_of(port, led, found)),
        }
    }
    Ok(tasks)
}

/// Reads again: another caller may have stored the value before this one came to lead.
async fn read_again<P: Port>(port: &mut P, led: Vec<Led>) -> Result<Vec<(Led, Found<P::Value>)>, P::Error> {
    led.iter().for_each(|led| led.leadership.begin_reading());
    let places: Vec<usize> = led.iter().map(|led| led.place).collect();
    match P::apart(port.read(&places)).await {
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

/// Releases the mutexes, and lets all waiters read for themselves.
async fn open_all<P: Port>(port: &mut P, mut led: Vec<Led>) {
    led.iter_mut().for_each(|led| led.leadership.open_empty());
    leave_all(port, led).await;
}
