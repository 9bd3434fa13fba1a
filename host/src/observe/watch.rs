//! [`Watch`]: passes on what happens in a region.

use std::sync::Arc;

use super::contained::{Identity, Own, contained};
use super::counter::Counter;
use super::event::{Event, EventKind};
use super::observer::Observer;
use super::recorder::Recorder;
use super::spans::Spans;

/// Passes on what happens in a region, to its statistics and its observers.
#[derive(Debug)]
pub(crate) struct Watch {
    region: Arc<str>,
    recorder: Option<Arc<Recorder>>,
    observers: Vec<Own>,
    /// Those of the observers that want hits.
    of_hits: Vec<Own>,
}

impl Watch {
    /// Creates the watch of a region whose backend is called `backend`.
    pub(crate) fn new(
        region: &str,
        backend: &str,
        recorder: Option<Arc<Recorder>>,
        observers: impl IntoIterator<Item = Arc<dyn Observer>>,
    ) -> Self {
        let own = |registered: Arc<dyn Observer>| {
            let identity = Identity::of(region, &registered);
            let own =
                contained(region, identity, &*registered, |observer| observer.for_region(region, backend));
            Own { identity, observer: own.flatten().unwrap_or(registered) }
        };
        let observers: Vec<Own> = observers.into_iter().map(own).collect();
        let wants_hits = |own: &&Own| {
            contained(region, own.identity, &*own.observer, |observer| observer.wants_hits()) == Some(true)
        };
        let of_hits: Vec<_> = observers.iter().filter(wants_hits).cloned().collect();
        Watch { region: region.into(), recorder, observers, of_hits }
    }

    /// Returns whether anything is passed on.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.recorder.is_some() || !self.observers.is_empty()
    }

    pub(crate) fn recorder(&self) -> Option<&Arc<Recorder>> {
        self.recorder.as_ref()
    }

    /// Begins the spans of a call with a creator.
    pub(super) fn begin(&self, keys: &[&str]) -> Option<Spans> {
        Spans::begin(&self.region, &self.observers, keys)
    }

    /// Returns whether hits are noted.
    pub(crate) fn notes_hits(&self) -> bool {
        self.recorder.is_some() || !self.of_hits.is_empty()
    }

    /// Notes a fresh value of `key`. Without statistics or an observer of hits, it has no effect.
    #[inline(never)]
    pub(crate) fn hit(&self, key: &str) {
        if let Some(recorder) = &self.recorder {
            recorder.add(Counter::FreshHits, 1);
        }
        if !self.of_hits.is_empty() {
            self.tell(&self.of_hits, &[key], EventKind::Hit);
        }
    }

    /// Notes something that concerns `keys`.
    #[cold]
    pub(crate) fn note(&self, keys: &[&str], kind: EventKind<'_>) {
        if let Some(recorder) = &self.recorder {
            if let Some(counter) = Counter::of(&kind) {
                // Endings concern each key, and a failed creator is one, however many keys it was to make.
                let count = if let EventKind::Creation { .. } = kind { 1 } else { keys.len() as u64 };
                recorder.add(counter, count);
            }
            match kind {
                EventKind::Creation { took, .. } => recorder.add_creation(took),
                EventKind::Wait { took } => recorder.add_wait(took),
                _ => {}
            }
        }
        let observers = if let EventKind::Hit = kind { &self.of_hits } else { &self.observers };
        self.tell(observers, keys, kind);
    }

    fn tell(&self, observers: &[Own], keys: &[&str], kind: EventKind<'_>) {
        let event = Event::new(&self.region, keys, kind);
        for own in observers {
            contained(&self.region, own.identity, &*own.observer, |observer| observer.event(&event));
        }
    }
}
