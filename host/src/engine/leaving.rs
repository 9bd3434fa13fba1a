//! How a leader leaves its gate without an outcome.

use std::sync::Arc;
use std::task::Waker;

use super::gate::{Gate, Gates, HeldMutex, Outcome, Role, Stage, State};

/// Leaves a gate: free if callers wait, and otherwise removed. A mutex stays with the gate or is released.
pub(super) fn leave(gates: &Gates, gate: &Arc<Gate>, mutex: Option<HeldMutex>) {
    let mut shard = gates.shard(gate.hash);
    let mut state = gate.lock();
    let creation = state.creation.take();
    state.running = None;
    let writers = state.take_writers();
    let next = state.first_caller();
    if next.is_some() {
        state.stage = Stage::Free { mutex, queued: false };
        drop((state, shard));
        wake_all(next, writers);
        drop(creation);
        return;
    }
    let removed = shard.gates.remove(&*gate.store_key);
    state.stage = Stage::Open { outcome: Outcome::Nothing, wakeups: Arc::default() };
    drop((state, shard));
    wake_all(next, writers);
    gates.release_later(mutex);
    drop((removed, creation));
}

fn wake_all(first: Option<Waker>, others: Vec<Waker>) {
    first.into_iter().chain(others).for_each(Waker::wake);
}

/// Leaves a gate if it is still free. Another caller may lead it by now.
pub(super) fn leave_if_free(gates: &Gates, gate: &Arc<Gate>, mutex: Option<HeldMutex>) {
    let mut shard = gates.shard(gate.hash);
    let mut state = gate.lock();
    let is_free = matches!(state.stage, Stage::Free { .. });
    let is_idle = matches!(state.stage, Stage::Free { queued: false, .. });
    // A waiter takes over a queued creation, too: the runner may be waiting for that very waiter.
    let next = if is_free { state.first_caller() } else { None };
    let mut removed = None;
    let mut left = mutex;
    if is_idle && next.is_some() {
        if let Stage::Free { mutex, .. } = &mut state.stage
            && left.is_some()
        {
            *mutex = left.take();
        }
    } else if is_idle {
        removed = shard.gates.remove(&*gate.store_key);
        let open = Stage::Open { outcome: Outcome::Nothing, wakeups: Arc::default() };
        if let Stage::Free { mutex: Some(kept), .. } = std::mem::replace(&mut state.stage, open) {
            left = Some(kept);
        }
    }
    drop((state, shard));
    wake_all(next, Vec::new());
    gates.release_later(left);
    drop(removed);
}

impl State {
    /// Takes out the waiters for the end of a store.
    fn take_writers(&mut self) -> Vec<Waker> {
        let writers: Vec<u64> = self
            .waiters
            .iter()
            .filter(|(_, waiter)| waiter.role == Role::Writer)
            .map(|(number, _)| *number)
            .collect();
        writers.iter().filter_map(|number| self.waiters.remove(number)).map(|waiter| waiter.waker).collect()
    }
}
