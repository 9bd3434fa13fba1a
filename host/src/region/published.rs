//! The statistics of a [`Configured`], for the application and for its statistics socket.

#[cfg(feature = "toml")]
use std::sync::Arc;

use super::configured::Configured;
use crate::observe::RegionStatistics;
#[cfg(feature = "toml")]
use crate::statistics_socket::{RegionReading, Source};

impl Configured {
    /// Returns what the region counted so far, if it keeps statistics.
    pub(crate) fn statistics(&self) -> Option<RegionStatistics> {
        let stores = &self.stores;
        let backends = || stores.top_down().map(|store| store.statistics(!stores.is_bottom(store))).collect();
        self.watch.recorder().map(|recorder| RegionStatistics::new(&self.region, recorder, backends()))
    }
}

/// Lets the statistics socket of the configuration show the region, if there is one.
#[cfg(feature = "toml")]
pub(crate) fn publish(configured: &Arc<Configured>) {
    let (Some(socket), Some(recorder)) =
        (&configured.settings.statistics_socket, configured.watch.recorder())
    else {
        return;
    };
    let weak = Arc::downgrade(configured);
    let watched = weak.clone();
    let is_gone = move || watched.strong_count() == 0;
    let read = move || {
        let configured = weak.upgrade()?;
        let gates = configured.stores.gates.get();
        let creations = gates.creations(&configured.region, std::time::Instant::now());
        Some(RegionReading { statistics: configured.statistics()?, creations })
    };
    // Its address distinguishes the statistics, which outlive the backend.
    let identity = Arc::as_ptr(recorder).addr();
    socket.publish(Source { identity, is_gone: Box::new(is_gone), read: Box::new(read) });
}
