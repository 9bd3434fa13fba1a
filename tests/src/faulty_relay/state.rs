//! [`State`]: how a relay treats replies at the moment.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::dialect::Dialect;
use crate::fault::{Fault, VICTIM};
use crate::threads::LIMIT;

/// How a relay spoils replies.
#[derive(Clone, Copy, Debug)]
pub struct Spoiling {
    /// The time after which clients give up.
    pub timeout: Duration,
    /// One of this many replies is spoiled.
    pub every: usize,
    /// Only the replies on connections whose first request contains this word are spoiled.
    pub only: Option<&'static str>,
}

/// The current fault, and its effects so far.
#[derive(Debug)]
pub(super) struct State {
    pub(super) dialect: Dialect,
    pub(super) spoiling: Spoiling,
    /// The ports of the servers, and the relay's port for each.
    pub(super) ports: Vec<(u16, u16)>,
    fault: Mutex<Option<Fault>>,
    healed: Condvar,
    /// Whether the fault is over as soon as one reply was spoiled.
    is_once: AtomicBool,
    replies: AtomicUsize,
    pub(super) faults: AtomicUsize,
    pub(super) connections: AtomicUsize,
    pub(super) is_closed: AtomicBool,
}

impl State {
    pub(super) fn new(dialect: Dialect, spoiling: Spoiling, ports: Vec<(u16, u16)>) -> Self {
        let (fault, healed, is_once, replies, faults, connections, is_closed) = Default::default();
        State { dialect, spoiling, ports, fault, healed, is_once, replies, faults, connections, is_closed }
    }

    /// Begins a fault, which spoils many replies or only one.
    pub(super) fn begin(&self, fault: Fault, is_once: bool) {
        let mut current = self.fault.lock();
        self.is_once.store(is_once, SeqCst);
        *current = Some(fault);
    }

    /// Ends the fault.
    pub(super) fn end(&self) {
        *self.fault.lock() = None;
        self.healed.notify_all();
    }

    /// Returns the current fault.
    pub(super) fn fault(&self) -> Option<Fault> {
        *self.fault.lock()
    }

    /// Returns the fault that applies to `reply`.
    pub(super) fn next_fault(&self, reply: &[u8]) -> Option<Fault> {
        let mut current = self.fault.lock();
        let fault = (*current)?;
        let is_turn = self.replies.fetch_add(1, SeqCst).is_multiple_of(self.spoiling.every);
        if !(is_turn || self.is_once.load(SeqCst)) || !can_spoil(self.dialect, fault, reply) {
            return None;
        }
        if self.is_once.load(SeqCst) {
            *current = None;
        }
        self.faults.fetch_add(1, SeqCst);
        Some(fault)
    }

    /// Blocks until the fault is over.
    pub(super) fn wait_until_healed(&self) {
        let mut fault = self.fault.lock();
        if fault.is_some() {
            self.healed.wait_for(&mut fault, LIMIT);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.fault().is_none()
    }

    /// Replaces the ports of the servers, which have as many digits as those of the relay.
    pub(super) fn with_own_ports(&self, mut reply: Vec<u8>) -> Vec<u8> {
        if self.ports.len() == 1 {
            return reply;
        }
        for (server, own) in &self.ports {
            let (server, own) = (server.to_string(), own.to_string());
            // In an integer, in an address, and as a whole string.
            for (before, after) in [(":", "\r\n"), ("127.0.0.1:", ""), ("$5\r\n", "\r\n")] {
                let [from, to] = [&server, &own].map(|port| format!("{before}{port}{after}"));
                let found = |bytes: &[u8]| bytes.windows(from.len()).position(|part| part == from.as_bytes());
                while let Some(at) = found(&reply) {
                    reply[at..at + from.len()].copy_from_slice(to.as_bytes());
                }
            }
        }
        reply
    }
}

/// Returns whether `fault` can apply to `reply`.
fn can_spoil(dialect: Dialect, fault: Fault, reply: &[u8]) -> bool {
    match fault {
        Fault::Unrequested => false,
        Fault::CorruptPayload => !victims(dialect, reply).is_empty(),
        _ => true,
    }
}

/// Returns the positions of the bytes that [`Fault::CorruptPayload`] may change.
pub(super) fn victims(dialect: Dialect, reply: &[u8]) -> Vec<usize> {
    let layout = dialect.layout(reply).unwrap_or_default();
    let is_victim = |part: &[u8]| part.windows(VICTIM.len()).any(|word| word == VICTIM.as_bytes());
    // The payload of an encrypted record cannot be read.
    let parts =
        layout.payload.into_iter().filter(|part| dialect == Dialect::Tls || is_victim(&reply[part.clone()]));
    parts.flatten().collect()
}
