//! [`Published`]: the regions whose statistics a socket shows.

use std::sync::Arc;

use parking_lot::Mutex;

use super::snapshot::RegionReading;

/// A region whose statistics a socket shows.
pub(crate) struct Source {
    /// What distinguishes the statistics. Those of a region stay the same when it gets another backend.
    pub(crate) identity: usize,
    /// Returns whether the region is gone. Runs no foreign code.
    pub(crate) is_gone: Box<dyn Fn() -> bool + Send + Sync>,
    /// Reads the statistics. Returns `None` if the region is gone.
    pub(crate) read: Box<dyn Fn() -> Option<RegionReading> + Send + Sync>,
}

/// The regions whose statistics a socket shows.
#[derive(Default)]
pub(super) struct Published(Mutex<Vec<Arc<Source>>>);

impl Published {
    /// Adds a region, and forgets those that are gone. It replaces one with the same statistics.
    pub(super) fn add(&self, source: Source) {
        let mut sources = self.0.lock();
        // Nothing may ever read the socket of a program that configures regions again and again.
        sources.retain(|present| !(present.is_gone)());
        match sources.iter_mut().find(|present| present.identity == source.identity) {
            Some(present) => *present = Arc::new(source),
            None => sources.push(Arc::new(source)),
        }
    }

    /// Reads all regions, and forgets those that are gone.
    pub(super) fn read(&self) -> Vec<RegionReading> {
        // Read without the lock: the last reference to a region may be dropped here, and with it the socket.
        let sources = self.0.lock().clone();
        let (mut readings, mut gone) = (Vec::with_capacity(sources.len()), Vec::new());
        for source in sources {
            match (source.read)() {
                Some(reading) => readings.push(reading),
                None => gone.push(source),
            }
        }
        if !gone.is_empty() {
            let is_gone = |source: &Arc<Source>| gone.iter().any(|gone| Arc::ptr_eq(gone, source));
            self.0.lock().retain(|source| !is_gone(source));
        }
        readings
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;
    use crate::observe::RegionStatistics;

    fn source(identity: usize, name: &str) -> Source {
        let name = name.to_owned();
        let statistics = move || RegionStatistics { region: name.clone(), ..Default::default() };
        let read = move || Some(RegionReading { statistics: statistics(), creations: Vec::new() });
        Source { identity, is_gone: Box::new(|| false), read: Box::new(read) }
    }

    fn gone(identity: usize) -> Source {
        Source { identity, is_gone: Box::new(|| true), read: Box::new(|| None) }
    }

    fn names(published: &Published) -> Vec<String> {
        published.read().into_iter().map(|reading| reading.statistics.region).collect()
    }

    #[test]
    fn region_is_shown_once_and_forgotten_when_it_is_gone() {
        let published = Published::default();
        published.add(source(1, "a"));
        published.add(source(2, "b"));
        published.add(source(1, "a, configured again"));
        assert_eq!(names(&published), ["a, configured again", "b"]);
        published.add(gone(2));
        assert_eq!(names(&published), ["a, configured again"]);
        assert_eq!(published.0.lock().len(), 1);
    }

    #[test]
    fn regions_that_are_gone_do_not_pile_up_while_none_are_read() {
        let published = Published::default();
        published.add(source(0, "a"));
        (1..100).for_each(|identity| published.add(gone(identity)));
        assert_eq!(published.0.lock().len(), 2, "the one that exists, and the last one");
    }
}
