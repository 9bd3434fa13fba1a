//! [`StoreInProgress`]: the store of a created value, which may outlive its leader.

use std::fmt;
use std::sync::Arc;

use super::gate::{Abandoned, Gate, Gates};
use super::leaving::leave;

/// A created value is being stored until this is dropped.
///
/// A leader that is a task can be dropped while a thread or a server still stores its value. The gate then stays as it
/// is until the store ends, so that `set` and `delete` of the key wait for that end. Otherwise the created value could
/// overwrite theirs.
pub(crate) struct StoreInProgress {
    gates: Arc<Gates>,
    gate: Arc<Gate>,
}

impl StoreInProgress {
    pub(super) fn begin(gates: &Arc<Gates>, gate: &Arc<Gate>) -> Self {
        gate.lock().stores += 1;
        StoreInProgress { gates: Arc::clone(gates), gate: Arc::clone(gate) }
    }
}

impl Drop for StoreInProgress {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.stores -= 1;
        let abandoned = if state.stores == 0 { state.abandoned.take() } else { None };
        drop(state);
        if let Some(Abandoned { mutex }) = abandoned {
            leave(&self.gates, &self.gate, None);
            self.gates.release_later(mutex);
        }
    }
}

impl fmt::Debug for StoreInProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreInProgress")
    }
}
