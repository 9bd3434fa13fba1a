//! The protocol itself, for a set of keys.
//!
//! No caller waits for one key while it leads another. First it leads every key without a leader, and creates their
//! values in one go. Then it waits for the others. So callers whose keys overlap never wait for each other, and their
//! creators run side by side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile_sdk::BackendError;

use super::arrival::{Arrival, Ticket};
use super::creating::create;
use super::creation::Creation;
use super::deadlock::{Circle, Wait};
use super::failure::LockError;
use super::gate::{Handed, HeldMutex, Outcome, Running};
use super::led::Led;
use super::patience::{Over, Patience};
use super::port::{Port, Report};
use super::rescue::{
    may_take_stale, settle_for_rescue, settle_for_stale, settle_if_throttled, settle_without_mutex,
};
use super::running::leave_all;
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

/// Settles all `slots`: creates missing or stale values, or waits for the callers that create them.
///
/// # Errors
/// If the port, the creator, or the lock fails. All keys that the caller led are left then.
pub(crate) async fn settle<P: Port>(port: &mut P, slots: &mut [Slot<P::Value>]) -> Result<(), P::Error> {
    let mut patience = Patience::of(port);
    loop {
        let mut next = lead_free(port, slots).await?;
        if let Next::Wait(place, ticket) = next {
            let began = port.now();
            let waited = wait(port, slots, place, ticket, &mut patience).await;
            port.report(Report::Waited { place, took: port.now().saturating_duration_since(began) });
            next = waited?;
        }
        if let Next::Lock(led) = next {
            next = lock(port, slots, led, &mut patience).await?;
        }
        match next {
            Next::Create(led) => P::apart(create(port, slots, led, &patience)).await?,
            Next::Done if slots.iter().all(Slot::is_settled) => return Ok(()),
            _ => {}
        }
    }
}

/// Leads every unsettled key without a leader. A stale value that another caller renews is served, unless the policy
/// is to wait.
async fn lead_free<P: Port>(port: &mut P, slots: &mut [Slot<P::Value>]) -> Result<Next, P::Error> {
    slots.iter_mut().enumerate().for_each(|(place, slot)| settle_if_throttled(port, slot, place));
    let unsettled: Vec<usize> = (0..slots.len()).filter(|place| !slots[*place].is_settled()).collect();
    let only_one = unsettled.len() == 1;
    let (mut led, mut blocked) = (Vec::new(), None);
    for place in unsettled {
        let awaits = slots[place].awaits(port.policy());
        match port.gates().arrive(&port.key(place), port.now(), awaits) {
            Arrival::Leads(leadership) if only_one && awaits => {
                return Ok(Next::Lock(Led { place, leadership }));
            }
            Arrival::Leads(leadership) => {
                match try_lock(port, slots, Led { place, leadership }, awaits).await {
                    Ok(Tried::Leads(leads)) => led.push(leads),
                    Ok(Tried::Settled) => {}
                    Ok(Tried::Busy(waits)) if awaits && blocked.is_none() => {
                        blocked = Some(Next::Lock(waits));
                    }
                    Ok(Tried::Busy(_)) => {}
                    Err(error) => {
                        P::apart(leave_all(port, led)).await;
                        return Err(error);
                    }
                }
            }
            Arrival::Closed(ticket) if awaits && blocked.is_none() => {
                blocked = Some(Next::Wait(place, ticket));
            }
            Arrival::Closed(_) => {}
        }
        if !awaits && led.last().is_none_or(|led| led.place != place) {
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
    /// The mutex failed, and the caller has its old value.
    Settled,
}

async fn try_lock<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    mut led: Led,
    awaits: bool,
) -> Result<Tried, P::Error> {
    let Some(mutex) = mutex_to_acquire(port, &led) else { return Ok(Tried::Leads(led)) };
    match P::apart(port.acquire(&mutex, None)).await {
        Ok(true) => {
            led.leadership.hold(mutex);
            Ok(Tried::Leads(led))
        }
        Ok(false) => Ok(Tried::Busy(led)),
        Err(error) => match port.go_on_without_mutex(error) {
            // The value is fresh. Its refresh is not worth a creation by each process.
            Ok(()) if slots[led.place].is_early() => Ok(Tried::Busy(led)),
            Ok(()) => Ok(Tried::Leads(led)),
            Err(error) if awaits => mutex_failed(port, slots, led, error).map(|()| Tried::Settled),
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

/// Shares the failure of the mutex with the waiters. Settles for the old value if it may be served then.
///
/// # Errors
/// If there is no such value.
fn mutex_failed<P: Port>(
    port: &P,
    slots: &mut [Slot<P::Value>],
    mut led: Led,
    error: BackendError,
) -> Result<(), P::Error> {
    let (place, error) = (led.place, Arc::new(error));
    led.leadership.share_mutex_failure(Arc::clone(&error));
    if settle_without_mutex(port, &mut slots[place], place) {
        port.report(Report::MutexFailed { place, error: &error });
        return Ok(());
    }
    Err(port.lock_error(place, LockError::Mutex(error)))
}

/// Waits for the mutex of a key that the caller leads.
async fn lock<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    mut led: Led,
    patience: &mut Patience,
) -> Result<Next, P::Error> {
    let Some(mutex) = mutex_to_acquire(port, &led) else { return Ok(Next::Create(vec![led])) };
    patience.begin_wait(port);
    let (is_nested, has_stale) = (Creation::current_holds_mutex(), slots[led.place].is_stale());
    let nested = is_nested.then(|| port.now() + NESTED_WAIT);
    let until = patience.until(has_stale).into_iter().chain(nested).min();
    match P::apart(port.acquire(&mutex, until)).await {
        Ok(true) => led.leadership.hold(mutex),
        Ok(false) => {
            let (now, place) = (port.now(), led.place);
            let over = patience.over(now, has_stale);
            if let Some(Over::Stale | Over::Hard(_)) = over {
                // The limit is this caller's alone. The next one leads.
                drop(led);
                return out_of_time(port, slots, place, over).await;
            }
            if !is_nested {
                let waited = patience.waited(now);
                led.leadership.give_up(waited);
                return last_look(port, slots, place, "another process".to_owned(), waited).await;
            }
            port.report(Report::WithoutMutex { place });
        }
        Err(error) => {
            if let Err(error) = port.go_on_without_mutex(error) {
                return mutex_failed(port, slots, led, error).map(|()| Next::Done);
            }
        }
    }
    Ok(Next::Create(vec![led]))
}

/// Ends a wait whose limit is over: with the stale value, or with an error. A stale value may have been invalidated during the
/// wait, which then goes on.
async fn out_of_time<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    place: usize,
    over: Option<Over>,
) -> Result<Next, P::Error> {
    let Some(Over::Hard(limit)) = over else {
        slots.iter_mut().enumerate().for_each(|(place, slot)| settle_for_stale(port, slot, place));
        return Ok(Next::Done);
    };
    if port.policy().fail_safe.is_on() {
        read_awaited(port, slots).await?;
        settle_for_rescue(port, &mut slots[place], place);
    }
    if slots[place].is_settled() { Ok(Next::Done) } else { Err(port.timed_out(place, limit)) }
}

/// Reads once more after a wait that was too long. Any value is better than an error.
async fn last_look<P: Port>(
    port: &mut P,
    slots: &mut [Slot<P::Value>],
    place: usize,
    leader: String,
    age: Duration,
) -> Result<Next, P::Error> {
    read_awaited(port, slots).await?;
    slots[place].settle_for_stale();
    settle_for_rescue(port, &mut slots[place], place);
    if slots[place].is_settled() {
        return Ok(Next::Done);
    }
    Err(port.lock_error(place, LockError::TimedOut { leader, age }))
}

/// Reads all keys whose values the caller waits for.
async fn read_awaited<P: Port>(port: &mut P, slots: &mut [Slot<P::Value>]) -> Result<(), P::Error> {
    let policy = port.policy();
    let awaited: Vec<usize> = (0..slots.len()).filter(|place| slots[*place].awaits(policy)).collect();
    for (place, found) in awaited.iter().zip(P::apart(port.read(&awaited)).await?) {
        slots[*place] = Slot::after_wait(found, port.policy());
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
    patience.begin_wait(port);
    let mut has_stale = slots[place].is_stale();
    let mut waiting = Waiting::new(port.gates(), ticket.gate, P::ROLE);
    loop {
        match next_event(port, &mut waiting, patience.until(has_stale)).await {
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
        match patience.over(now, has_stale) {
            Some(Over::Wait) => {
                let creation = waiting.gate().info(now);
                drop(waiting);
                return last_look(port, slots, place, creation.leader, creation.age).await;
            }
            Some(Over::Stale) if !may_take_stale(port, &slots[place], place) => {
                settle_for_stale(port, &mut slots[place], place);
                has_stale = false;
            }
            Some(over) => {
                drop(waiting);
                return out_of_time(port, slots, place, Some(over)).await;
            }
            None => {}
        }
    }
}

/// Waits for what happens at the gate, at most until `until` or until a warning is due.
async fn next_event<P: Port>(port: &P, waiting: &mut Waiting, until: Option<Instant>) -> Option<Event> {
    let warning = waiting.gate().warning_due(LONG_WAIT);
    // A wait always has a limit.
    let until = warning.into_iter().chain(until).min().unwrap_or_else(|| port.now());
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
            Some(value) => {
                slots[place].settle_handed(value, handed.found.clone(), handed.is_old, port.policy());
            }
            None => read_awaited(port, slots).await?,
        },
        Outcome::Failed(failure) => return Err(port.failure(failure)),
        Outcome::MutexFailed(error) => {
            if !settle_without_mutex(port, &mut slots[place], place) {
                return Err(port.lock_error(place, LockError::Mutex(error)));
            }
        }
        Outcome::Nothing => read_awaited(port, slots).await?,
    }
    Ok(Next::Done)
}

/// Returns a value that was handed over, if it is of the caller's type and may be served to it.
fn accept<P: Port>(port: &P, place: usize, handed: &Handed, refused: Option<Running>) -> Option<P::Value> {
    let serves = |metadata| {
        if handed.is_old { port.may_rescue(place, metadata) } else { port.is_fresh(place, metadata) }
    };
    let may_serve = refused.is_none_or(|running| running.number != handed.number)
        && handed.found.as_ref().is_none_or(serves);
    if may_serve { handed.value.downcast_ref::<P::Value>().cloned() } else { None }
}
