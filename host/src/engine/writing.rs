//! [`Writing`]: a `set` or `delete` in progress, which supersedes the creations of its keys.
//!
//! A creation stores nothing if its key was written at any moment between the call of its creator and its store. While
//! it stores, writers of the key wait. So a creation never overwrites a newer value.

use std::borrow::Cow;
use std::sync::Arc;

use super::gate::{Gate, Gates, Role, Stage};
use super::waiting::{Waiting, unless};

/// Keys that are being set or deleted, until this is dropped.
pub(crate) struct Writing<'g> {
    gates: &'g Arc<Gates>,
    /// The hashes of the keys. Two keys with one hash supersede each other's creations, which is harmless.
    first: Option<u64>,
    others: Vec<u64>,
    /// Gates whose values were being stored when the writer came.
    storing: Vec<Arc<Gate>>,
}

impl Gates {
    /// Begins to set or delete `store_keys`.
    pub(crate) fn write<'k>(
        self: &Arc<Self>,
        store_keys: impl IntoIterator<Item = Cow<'k, str>>,
    ) -> Writing<'_> {
        let mut writing = Writing { gates: self, first: None, others: Vec::new(), storing: Vec::new() };
        for store_key in store_keys {
            writing.add(&store_key);
        }
        writing
    }
}

impl Writing<'_> {
    fn add(&mut self, store_key: &str) {
        let hash = self.gates.hash(store_key);
        let mut shard = self.gates.shard(hash);
        shard.writers.push(hash);
        let gate = if shard.gates.is_empty() { None } else { shard.gates.get(store_key).cloned() };
        drop(shard);
        match self.first {
            None => self.first = Some(hash),
            Some(_) => self.others.push(hash),
        }
        self.storing.extend(gate.filter(|gate| gate.supersede()));
    }

    /// Returns whether values of these keys were being stored when the write began.
    pub(crate) fn must_wait(&self) -> bool {
        !self.storing.is_empty()
    }

    /// Waits until those values are stored, unless `limit` is over first.
    pub(crate) async fn stored(&mut self, limit: impl Future<Output = ()>) {
        let (gates, storing) = (self.gates, std::mem::take(&mut self.storing));
        let all_stored = async {
            for gate in storing {
                Waiting::new(gates, gate, Role::Writer).stored().await;
            }
        };
        unless(all_stored, limit).await;
    }
}

impl Gate {
    /// Supersedes the creation that runs, and returns whether its value is already being stored.
    fn supersede(&self) -> bool {
        let mut state = self.lock();
        if matches!(state.stage, Stage::Storing) {
            return true;
        }
        if let Some(running) = &mut state.running {
            running.superseded = true;
        }
        false
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        for hash in self.first.into_iter().chain(self.others.drain(..)) {
            let mut shard = self.gates.shard(hash);
            if let Some(place) = shard.writers.iter().position(|writer| *writer == hash) {
                shard.writers.swap_remove(place);
            }
        }
    }
}
