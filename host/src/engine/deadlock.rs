//! [`Wait`]: which creations wait at which gates, so that none ever waits for itself.
//!
//! A creator may request other keys. If it would wait, directly or through others, for a creation that waits for it,
//! it gets an error instead of a deadlock. Waits are tracked by creation and not by thread, because the creators of
//! tasks move between threads.

use std::collections::HashMap;
use std::sync::Arc;

use super::creation::Creation;
use super::gate::Gate;
use super::sync::Mutex;

/// For each creation that waits, directly or through a creator that it called: the gates at which it waits.
type Waits = HashMap<usize, Vec<Arc<Gate>>>;

#[cfg(not(dogpile_loom))]
fn with_waits<R>(work: impl FnOnce(&mut Waits) -> R) -> R {
    static WAITS: std::sync::LazyLock<Mutex<Waits>> = std::sync::LazyLock::new(Default::default);
    work(&mut WAITS.lock())
}

#[cfg(dogpile_loom)]
fn with_waits<R>(work: impl FnOnce(&mut Waits) -> R) -> R {
    loom::lazy_static! {
        static ref WAITS: Mutex<Waits> = Mutex::new(Waits::new());
    }
    work(&mut WAITS.lock())
}

/// The wait would close a circle of creations that wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Circle;

/// The current creation waits at a gate until this is dropped.
pub(super) struct Wait {
    creation: Arc<Creation>,
    gate: Arc<Gate>,
}

impl Wait {
    /// Enters a wait of the current creation at `gate`. There is none to enter outside of creators.
    ///
    /// # Errors
    /// If the wait would close a circle.
    pub(super) fn begin(gate: &Arc<Gate>) -> Result<Option<Self>, Circle> {
        let Some(creation) = Creation::current() else { return Ok(None) };
        // A creation may be dropped here together with an error that its creator shares: not under the lock.
        let mut seen = Vec::new();
        with_waits(|waits| {
            if closes_circle(&creation, gate, waits, &mut seen) {
                return Err(Circle);
            }
            for waiting in creation.line() {
                waits.entry(waiting.address()).or_default().push(Arc::clone(gate));
            }
            Ok(())
        })?;
        Ok(Some(Wait { creation, gate: Arc::clone(gate) }))
    }
}

/// Adds the creations that it looks at to `seen`.
fn closes_circle(
    creation: &Creation,
    gate: &Arc<Gate>,
    waits: &Waits,
    seen: &mut Vec<Arc<Creation>>,
) -> bool {
    let Some(leader) = gate.creation() else { return false };
    let address = leader.address();
    let is_seen = seen.iter().any(|other| other.address() == address);
    seen.push(leader);
    if creation.line().any(|waiting| waiting.address() == address) {
        return true;
    }
    if is_seen {
        return false;
    }
    let next = waits.get(&address);
    next.into_iter().flatten().any(|gate| closes_circle(creation, gate, waits, seen))
}

impl Drop for Wait {
    fn drop(&mut self) {
        // A gate may be dropped here together with the value that it hands over: not under the lock.
        let gates: Vec<_> = with_waits(|waits| {
            let line = self.creation.line();
            line.filter_map(|waiting| remove(waits, waiting.address(), &self.gate)).collect()
        });
        drop(gates);
    }
}

fn remove(waits: &mut Waits, creation: usize, gate: &Arc<Gate>) -> Option<Arc<Gate>> {
    let gates = waits.get_mut(&creation)?;
    let place = gates.iter().position(|other| Arc::ptr_eq(other, gate))?;
    let removed = gates.swap_remove(place);
    if gates.is_empty() {
        waits.remove(&creation);
    }
    Some(removed)
}

/// Returns whether a creation waits at a gate of `region`.
#[cfg(all(test, not(dogpile_loom)))]
pub(super) fn is_waited_at(region: &str) -> bool {
    let now = std::time::Instant::now();
    with_waits(|waits| waits.values().flatten().any(|gate| gate.info(now).region == region))
}
