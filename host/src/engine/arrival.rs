//! [`Arrival`]: what a caller finds at the gate of a key.

use std::sync::Arc;
use std::time::Instant;

use super::gate::{Gate, GateKey, Gates, Running, Stage};
use super::leadership::Leadership;

/// What a caller finds at a gate.
pub(super) enum Arrival {
    /// The caller leads.
    Leads(Leadership),
    /// Another caller leads.
    Closed(Ticket),
}

/// A gate that is led by another caller, as it was when this caller came.
pub(super) struct Ticket {
    pub(super) gate: Arc<Gate>,
    /// The creation that runs.
    pub(super) running: Option<Running>,
}

impl Gates {
    /// Leads the gate of `key`, unless another caller does. `needs_value`: takes over a creation that is queued.
    pub(super) fn arrive(self: &Arc<Self>, key: &GateKey<'_>, now: Instant, needs_value: bool) -> Arrival {
        let hash = self.hash(key.store_key);
        loop {
            let gate = match self.find_or_lead(key, hash, now) {
                Ok(leadership) => return Arrival::Leads(leadership),
                Err(gate) => gate,
            };
            let mut state = gate.lock();
            let running = state.running;
            match &mut state.stage {
                // It was opened after it was found, and is no longer among the gates.
                Stage::Open { .. } => {}
                Stage::Free { queued, .. } if needs_value || !*queued => {
                    let mutex = state.take(key.leader, now);
                    drop(state);
                    return Arrival::Leads(Leadership::new(Arc::clone(self), gate, mutex));
                }
                _ => {
                    drop(state);
                    return Arrival::Closed(Ticket { gate, running });
                }
            }
        }
    }

    fn find_or_lead(
        self: &Arc<Self>,
        key: &GateKey<'_>,
        hash: u64,
        now: Instant,
    ) -> Result<Leadership, Arc<Gate>> {
        let mut shard = self.shard(hash);
        if let Some(gate) = shard.gates.get(key.store_key) {
            return Err(Arc::clone(gate));
        }
        let gate = Arc::new(Gate::led(key, hash, now));
        shard.gates.insert(Arc::clone(&gate.store_key), Arc::clone(&gate));
        drop(shard);
        Ok(Leadership::new(Arc::clone(self), gate, None))
    }
}
