//! [`Counter`]: what is counted, and [`Block`], the counts of one thread.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::event::EventKind;

/// What is counted for each region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    FreshHits,
    StaleHits,
    Created,
    Waited,
    FailSafe,
    Degraded,
    NotFound,
    Failed,
    TimedOut,
    Canceled,
    FailedCreations,
    EarlyRefreshes,
    Superseded,
    LostLeases,
    NotStored,
    NotSerialized,
}

/// The number of counters.
pub(super) const COUNTERS: usize = Counter::NotSerialized as usize + 1;

impl Counter {
    /// Returns what counts events of this kind, if anything does.
    pub(super) fn of(kind: &EventKind<'_>) -> Option<Counter> {
        Some(match kind {
            EventKind::Hit => Counter::FreshHits,
            EventKind::StaleServed => Counter::StaleHits,
            EventKind::Created => Counter::Created,
            EventKind::Waited => Counter::Waited,
            EventKind::FailSafe => Counter::FailSafe,
            EventKind::Degraded => Counter::Degraded,
            EventKind::Miss => Counter::NotFound,
            EventKind::Failed { .. } => Counter::Failed,
            EventKind::TimedOut { .. } => Counter::TimedOut,
            EventKind::Canceled => Counter::Canceled,
            EventKind::Creation { succeeded: false, .. } => Counter::FailedCreations,
            EventKind::Early => Counter::EarlyRefreshes,
            EventKind::Superseded => Counter::Superseded,
            EventKind::LeaseLost => Counter::LostLeases,
            EventKind::NotStored => Counter::NotStored,
            EventKind::NotSerialized => Counter::NotSerialized,
            EventKind::Creation { .. }
            | EventKind::Wait { .. }
            | EventKind::BackendCall { .. }
            | EventKind::Breaker { .. } => return None,
        })
    }
}

/// Counts that one thread writes. They share no cache line, nor a pair of lines, with those of another thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Block([AtomicU64; COUNTERS]);

impl Block {
    /// Adds `count`. Only the thread that owns the block calls it: an atomic addition would take longer than a hit's limit.
    #[inline]
    pub(super) fn add(&self, counter: Counter, count: u64) {
        let cell = &self.0[counter as usize];
        cell.store(cell.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// Adds `count` to a block that several threads share.
    pub(super) fn add_shared(&self, counter: Counter, count: u64) {
        self.0[counter as usize].fetch_add(count, Relaxed);
    }

    pub(super) fn add_to(&self, counts: &mut [u64; COUNTERS]) {
        for (count, cell) in counts.iter_mut().zip(&self.0) {
            *count = count.wrapping_add(cell.load(Relaxed));
        }
    }
}
