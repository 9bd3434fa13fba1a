//! The protocol itself, for a set of keys.
//!
//! No caller waits for one key while it leads another. First it leads every key that nobody else does, and creates
//! their values in one go. Then it waits for the others. So callers whose keys overlap never wait for each other, and
//! their creators run side by side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::BackendError;

use super::arrival::{Arrival, Ticket};
use super::creating::{Led, create, leave_all};
use super::creation::Creation;
use super::deadlock::{Circle, Wait};
use super::failure::LockError;
use super::gate::{Handed, HeldMutex, Outcome, Running};
use super::port::{Port, Report};
use super::slot::Slot;
use super::waiting::{Event, Waiting, unless};

/// How long a creator that holds a mutex waits for the mutex of another key that it requests. Two creators in two
/// processes may request each other's keys; after this time they create side by side.
const NESTED_WAIT: Duration = Duration::from_secs(1);

/// After which time a warning names a gate that is still closed.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// What a caller does next.
enum Next {
    Done,
    /// It creates the keys that it leads.
    Create(Vec<Led>),
    /// It waits for the mutex of a key that it leads.
    Lock(Led),
    /// It waits at the gate of a key that another caller leads.
    Wait(usize, Ticket),
}

/// How long a call waits for others: counted from when it first does.
struct Patience {
    began: Instant,
    deadline: Instant,
}

impl Patience {
    /// Begins with the first wait.
    fn of<'p, P: Port>(patience: &'p mut Option<Patience>, port: &P) -> &'p mut Patience {
        patience.get_or_insert_with(|| {
            let began = port.now();
            Patience {
                began,
                deadline: began.checked_add(port.policy().creation_wait_timeout).unwrap_or(began + FOREVER),
            }
        })
    }

    /// Waits no longer than a leader that gave up did.
    fn shorten(&mut self, limit: Duration) {
        self.deadline = self.deadline.min(self.began + limit);
    }
}

/// Longer than any process runs.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Settles all `slots`: creates what is missing or stale, or waits for those who do.
///
/// # Errors
/// If the port, the creator, or the lock fails. All keys that the caller led are left then.
pub(crate) async fn settle<P: Port>(port: &mut P, slots: &mut [Slot<P::Value>]) -> Result<(), P::Error> {
    let mut patience = None;
    loop {
        let mut next = lead_free(port, slots).await?;
        if let Next::Wait(place, ticket) = next {
            let patience = Patience::of(&mut patience, port);
            next = wait(port, slots, place, ticket, patience).await?;
        }
        if let Next::Lock(led) = next {
            next = lock(port, slots, led, &mut patience).await?;
        }
        match next {
            Next::Create(led) => create(port, slots, led).await?,
            Next::Done if slots.iter().all(Slot::is_settled) => return Ok(()),
            _ => {}
        }
    }
}

/// Leads every unsettled key that nobody else does. A stale value that somebody else renews is served.
async fn lead_free<P: Port>(port: &mut P, slots: &mut [Slot<P::Value>]) -> Result<Next, P::Error> {
    let unsettled: Vec<usize> = (0..slots.len()).filter(|place| !slots[*place].is_settled()).collect();
    let only_one = unsettled.len() == 1;
    let (mut led, mut blocked) = (Vec::new(), None);
    for place in unsettled {
        let is_missing = slots[place].is_missing();
        match port.gates().arrive(&port.key(place), port.now(), is_missing) {
            Arrival::Leads(leadership) if only_one && is_missing => {
                return Ok(Next::Lock(Led { place, leadership }));
            }
            Arrival::Leads(leadership) => match try_lock(port, Led { place, leadership }, is_missing).await {
                Ok(Tried::Leads(leads)) => led.push(leads),
                Ok(Tried::Busy(waits)) if is_missing && blocked.is_none() => {
                    blocked = Some(Next::Lock(waits));
                }
                Ok(Tried::Busy(_)) => {}
                Err(error) => {
                    leave_all(port, led).await;
                    return Err(error);
                }
            },
            Arrival::Closed(ticket) if is_missing && blocked.is_none() => {
                blocked = Some(Next::Wait(place, ticket));
            }
            Arrival::Closed(_) => {}
        }
        if led.last().is_none_or(|led| led.place != place) {
            slots[place].settle_for_stale();
        }
    }
    // Do not keep the gate of a key whose mutex is held elsewhere while creators of other keys run.
    Ok(if led.is_empty() { blocked.unwrap_or(Next::Done) } else { Next::Create(led) })
}

/// What came of leading a key without waiting for its mutex.
enum Tried {
    Leads(Led),
    Busy(Led),
}

async fn try_lock<P: Port>(port: &mut P, mut led: Led, is_missing: bool) -> Result<Tried, P::Error> {
    let Some(mutex) = mutex_to_acquire(port, &led) else { return Ok(Tried::Leads(led)) };
    match port.acquire(&mutex, None).await {
        Ok(true) => {
            led.leadership.hold(mutex);
            Ok(Tried::Leads(led))
        }
        Ok(false) => Ok(Tried::Busy(led)),
        Err(error) => match port.go_on_without_mutex(error) {
            Ok(()) => Ok(Tried::Leads(led)),
            Err(error) if is_missing => Err(mutex_failed(port, led, error)),
            Err(error) => {
                port.report(Report::MutexFailed { place: led.place, error: &error });
                Ok(Tried::Busy(led))
            }
        },
    }
}

/// Returns the mutex of a key, unless the key has none or the leader holds it already.
fn mutex_to_acquire<P: Port>(port: &P, led: &Led) -> Option<HeldMutex> {
    if led.leadership.mutex().is_some() { None } else { port.mutex(led.place) }
}

/// Tells the waiters that the mutex failed, and returns the caller's error.
fn mutex_failed<P: Port>(port: &P, mut led: Led, error: BackendError) -> P::Error {
    let error = Arc::new(error);
    led.leadership.share_mutex_failure(Arc::clone(&error));
    port.lock_error(led.place, LockError::Mutex(error))
}

/// Waits for the mutex of a key that the caller leads.
async fn lock<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    mut led: Led,
    patience: &mut Option<Patience>,
) -> Result<Next, P::Error> {
    let Some(mutex) = mutex_to_acquire(port, &led) else { return Ok(Next::Create(vec![led])) };
    let patience = Patience::of(patience, port);
    let is_nested = Creation::current_holds_mutex();
    let until = if is_nested { patience.deadline.min(port.now() + NESTED_WAIT) } else { patience.deadline };
    match port.acquire(&mutex, Some(until)).await {
        Ok(true) => led.leadership.hold(mutex),
        Ok(false) if is_nested => port.report(Report::WithoutMutex { place: led.place }),
        Ok(false) => {
            let waited = port.now().saturating_duration_since(patience.began);
            led.leadership.give_up(waited);
            return last_look(port, slots, led.place, "another process".to_owned(), waited).await;
        }
        Err(error) => {
            if let Err(error) = port.go_on_without_mutex(error) {
                return Err(mutex_failed(port, led, error));
            }
        }
    }
    Ok(Next::Create(vec![led]))
}

/// Reads once more after a wait that was too long. Any value is better than an error.
async fn last_look<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    place: usize,
    leader: String,
    age: Duration,
) -> Result<Next, P::Error> {
    read_missing(port, slots).await?;
    slots[place].settle_for_stale();
    if slots[place].is_missing() {
        return Err(port.lock_error(place, LockError::TimedOut { leader, age }));
    }
    Ok(Next::Done)
}

/// Reads all keys that are missing.
async fn read_missing<P: Port>(port: &mut P, slots: &mut [Slot<P::Value>]) -> Result<(), P::Error> {
    let missing: Vec<usize> = (0..slots.len()).filter(|place| slots[*place].is_missing()).collect();
    for (place, found) in missing.iter().zip(port.read(&missing).await?) {
        slots[*place] = Slot::from(found.reading);
    }
    Ok(())
}

/// Waits at the gate of a key, until its value is handed over or the caller leads it.
async fn wait<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    place: usize,
    ticket: Ticket,
    patience: &mut Patience,
) -> Result<Next, P::Error> {
    let refused = ticket.running.filter(|running| {
        running.superseded || running.began.is_some_and(|began| !port.is_valid(place, began))
    });
    if port.must_not_wait_for_tasks() && ticket.gate.is_led_by_task() {
        return Err(port.lock_error(place, LockError::WouldBlockRuntime));
    }
    let waits = Wait::begin(&ticket.gate);
    let _waits = waits.map_err(|Circle| port.lock_error(place, LockError::Reentry))?;
    let mut waiting = Waiting::new(port.gates(), ticket.gate, P::ROLE);
    loop {
        match next_event(port, &mut waiting, patience).await {
            Some(Event::Opened(outcome)) => {
                drop(waiting);
                return take(port, slots, place, outcome, refused).await;
            }
            Some(Event::Leads(leadership)) => return Ok(Next::Lock(Led { place, leadership })),
            Some(Event::Patience(limit)) => patience.shorten(limit),
            None => {}
        }
        let now = port.now();
        if let Some(creation) = waiting.gate().take_warning(now, LONG_WAIT) {
            port.report(Report::LongWait { creation: &creation });
        }
        if now >= patience.deadline {
            let creation = waiting.gate().info(now);
            drop(waiting);
            return last_look(port, slots, place, creation.leader, creation.age).await;
        }
    }
}

/// Waits for what happens at the gate, at most until the deadline or until a warning is due.
async fn next_event<P: Port>(port: &P, waiting: &mut Waiting, patience: &Patience) -> Option<Event> {
    let warning = waiting.gate().warning_due(LONG_WAIT);
    let until = warning.map_or(patience.deadline, |due| due.min(patience.deadline));
    unless(waiting.next(port.leader(), || port.now()), port.sleep_until(until)).await
}

/// Takes what the leader left.
async fn take<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    place: usize,
    outcome: Outcome,
    refused: Option<Running>,
) -> Result<Next, P::Error> {
    match outcome {
        Outcome::Value(handed) => match accept(port, place, &handed, refused) {
            Some(value) => slots[place].settle(value),
            None => read_missing(port, slots).await?,
        },
        Outcome::Failed(failure) => return Err(port.failure(failure)),
        Outcome::MutexFailed(error) => return Err(port.lock_error(place, LockError::Mutex(error))),
        Outcome::Nothing => read_missing(port, slots).await?,
    }
    Ok(Next::Done)
}

/// Returns a value that was handed over, if it is of the caller's type and may be served to it.
fn accept<P: Port>(port: &P, place: usize, handed: &Handed, refused: Option<Running>) -> Option<P::Value> {
    let may_serve = refused.is_none_or(|running| running.number != handed.number)
        && handed.found.as_ref().is_none_or(|metadata| port.is_fresh(place, metadata));
    if may_serve { handed.value.downcast_ref::<P::Value>().cloned() } else { None }
}
