//! [`Waiting`]: a caller's wait at a gate that another caller leads.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::gate::{Gate, Gates, Leader, Outcome, Role, Stage, State, Waiter};
use super::leadership::Leadership;
use super::leaving::leave_if_free;
use super::wakeups::Wakeups;

/// A wait at a gate. Dropping it leaves no trace.
pub(super) struct Waiting {
    gates: Arc<Gates>,
    gate: Arc<Gate>,
    role: Role,
    number: Option<u64>,
    patience: Option<Duration>,
}

/// How a wait goes on.
pub(super) enum Event {
    /// The leader is done.
    Opened(Outcome),
    /// The leader left the gate to this caller.
    Leads(Leadership),
    /// A leader gave up waiting for the backend's mutex.
    Patience(Duration),
}

impl Waiting {
    pub(super) fn new(gates: &Arc<Gates>, gate: Arc<Gate>, role: Role) -> Self {
        Waiting { gates: Arc::clone(gates), gate, role, number: None, patience: None }
    }

    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Waits for the next event. `leader` and `now` describe this caller, should it lead.
    pub(super) async fn next(&mut self, leader: &Leader, now: impl Fn() -> Instant) -> Event {
        poll_fn(|context| self.poll_next(context, leader, &now)).await
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        leader: &Leader,
        now: &dyn Fn() -> Instant,
    ) -> Poll<Event> {
        let (waker, gate) = (context.waker().clone(), Arc::clone(&self.gate));
        let mut state = gate.lock();
        let (event, unused) = match &mut state.stage {
            Stage::Open { outcome, wakeups } => {
                let (event, wakeups) = (Event::Opened(outcome.clone()), Arc::clone(wakeups));
                drop(state);
                self.pass_wakeup_on(&wakeups);
                return Poll::Ready(event);
            }
            Stage::Free { .. } => {
                let mutex = state.take(leader, now());
                let leadership = Leadership::new(Arc::clone(&self.gates), Arc::clone(&gate), mutex);
                (Some(Event::Leads(leadership)), self.unregister(&mut state))
            }
            _ => (self.new_patience(&state), self.register(&mut state, waker)),
        };
        drop(state);
        drop(unused);
        event.map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits until no value is being stored.
    pub(super) async fn stored(&mut self) {
        poll_fn(|context| self.poll_stored(context)).await;
    }

    fn poll_stored(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (waker, gate) = (context.waker().clone(), Arc::clone(&self.gate));
        let mut state = gate.lock();
        if !matches!(state.stage, Stage::Storing) {
            return Poll::Ready(());
        }
        let unused = self.register(&mut state, waker);
        drop(state);
        drop(unused);
        Poll::Pending
    }

    fn new_patience(&mut self, state: &State) -> Option<Event> {
        let is_new = state.patience > self.patience;
        self.patience = state.patience;
        state.patience.filter(|_| is_new).map(Event::Patience)
    }

    /// Enters this waiter with `waker`, and returns the waker that is no longer needed.
    fn register(&mut self, state: &mut State, waker: Waker) -> Option<Waker> {
        let number = *self.number.get_or_insert_with(|| {
            state.next_waiter += 1;
            state.next_waiter
        });
        state.waiters.insert(number, Waiter { waker, role: self.role }).map(|waiter| waiter.waker)
    }

    /// Takes this waiter out, and returns its waker.
    fn unregister(&mut self, state: &mut State) -> Option<Waker> {
        let number = self.number.take()?;
        state.waiters.remove(&number).map(|waiter| waiter.waker)
    }

    /// Wakes those whom this waiter has to wake.
    fn pass_wakeup_on(&mut self, wakeups: &Wakeups) {
        if let Some(number) = self.number.take() {
            wakeups.go_on(number);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.number.is_none() {
            return;
        }
        let gate = Arc::clone(&self.gate);
        let mut state = gate.lock();
        if let Stage::Open { wakeups, .. } = &state.stage {
            let wakeups = Arc::clone(wakeups);
            drop(state);
            return self.pass_wakeup_on(&wakeups);
        }
        let unused = self.unregister(&mut state);
        // This waiter may have been the one that was to lead next, or to take over a queued creation.
        let is_free = matches!(state.stage, Stage::Free { .. });
        drop(state);
        if is_free {
            leave_if_free(&self.gates, &gate, None);
        }
        drop(unused);
    }
}

/// Waits for `future`, unless `limit` is over first.
pub(crate) async fn unless<F: Future>(future: F, limit: impl Future<Output = ()>) -> Option<F::Output> {
    let (mut future, mut limit) = (pin!(future), pin!(limit));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => limit.as_mut().poll(context).map(|()| None),
    })
    .await
}
