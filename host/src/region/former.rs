//! [`Former`]: what is in progress with a configuration, which may have been replaced.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::configured::Configured;
use super::gates::StoreGates;
use super::work::Work;

/// What is in progress with a configuration. It does not keep the backend.
#[derive(Clone)]
pub(super) struct Former {
    region: Arc<str>,
    /// Calls in progress keep it, and may still begin something.
    configured: Weak<Configured>,
    gates: Arc<StoreGates>,
    /// The work of each store.
    works: Vec<Arc<Work>>,
}

impl Former {
    pub(super) fn of(configured: &Arc<Configured>) -> Self {
        let stores = &configured.stores;
        Former {
            region: Arc::clone(&configured.region),
            configured: Arc::downgrade(configured),
            gates: Arc::clone(&stores.gates),
            works: stores.top_down().map(|store| Arc::clone(&store.access.work)).collect(),
        }
    }

    /// Returns whether nothing is in progress.
    pub(super) fn is_idle(&self) -> bool {
        // In this order: the creations leave their mutexes to be released.
        self.gates.get().creations(&self.region, Instant::now()).is_empty()
            && self.works.iter().all(|work| work.is_done())
            && self.gates.releases.is_done()
    }

    /// Returns whether nothing will be in progress any more.
    pub(super) fn is_over(&self) -> bool {
        // A creation in progress keeps the configuration, or is work of a store.
        self.configured.strong_count() == 0
            && self.works.iter().all(|work| work.is_done())
            && self.gates.releases.is_done()
    }
}
