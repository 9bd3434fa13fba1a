//! [`Observer`]: the receiver of events.

use std::fmt;
use std::sync::Arc;

use super::event::Event;
use super::span::CallSpan;

/// Receives the [events](Event) of regions, for metrics, traces, or tests.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// use dogpile::{CacheRegion, Event, EventKind, Observer, RegionConfig};
///
/// #[derive(Debug, Default)]
/// struct Creations(AtomicU64);
///
/// impl Observer for Creations {
///     fn event(&self, event: &Event<'_>) {
///         if let EventKind::Created = event.kind {
///             self.0.fetch_add(1, Relaxed);
///         }
///     }
/// }
///
/// let observer = Arc::new(Creations::default());
/// let region = CacheRegion::new("prices");
/// region.configure(RegionConfig::new("dogpile.cache.memory").observer(observer.clone()))?;
/// region.get_or_create("tea", || 350)?;
/// assert_eq!(observer.0.load(Relaxed), 1);
/// # Ok::<(), dogpile::RegionError>(())
/// ```
///
/// Events are passed on by the thread or task in which they happen, outside of all locks of the region. An observer delays its
/// caller, so it should neither block nor take long. It may call and configure regions. What it causes in the region that it
/// observes is counted, but not passed on to it. If it panics, the panic is logged, at most once in ten seconds, and the
/// call goes on.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// Returns whether the observer receives [`Hit`](crate::EventKind::Hit)s. Default: no, so that a hit costs nothing.
    ///
    /// It is asked once, when the region is configured.
    fn wants_hits(&self) -> bool {
        false
    }

    /// Returns an observer to use for the region `region` with the backend `backend`. Default: `None`, which is this one.
    ///
    /// It is asked when the region is configured. An observer that keeps state for each region finds it without looking for
    /// it at each event.
    fn for_region(&self, region: &str, backend: &str) -> Option<Arc<dyn Observer>> {
        let _ = (region, backend);
        None
    }

    /// Begins a span for a call with a creator, of `keys` in the region `region`. Default: none. See [`CallSpan`] for when.
    fn begin(&self, region: &str, keys: &[&str]) -> Option<Arc<dyn CallSpan>> {
        let _ = (region, keys);
        None
    }

    /// Receives an event. Default: nothing happens.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }
}

const _: fn(&dyn Observer) = |_| {};
