//! What a process can learn about its regions: statistics, and events for observers.
//!
//! ```text
//! region ──> Request ──> Watch ──> Recorder      counters and histograms, read by `CacheRegion::statistics`
//!                          │
//!                          └─────> Observer      events, for exporters and applications
//! store ───> Meter ────────┘
//! ```
//!
//! A region that neither keeps statistics nor has an observer pays one comparison for each hit. All events are passed on
//! outside of locks.

mod contained;
mod counter;
mod event;
mod histogram;
mod merged;
mod meter;
mod observer;
mod prometheus;
mod recorder;
mod request;
mod span;
mod spans;
mod statistics;
mod watch;

pub(crate) use self::meter::Meter;
pub(crate) use self::recorder::Recorder;
pub(crate) use self::request::Request;
pub(crate) use self::spans::{Spans, within};
pub(crate) use self::watch::Watch;

pub use self::event::{Event, EventKind};
pub use self::histogram::Histogram;
pub use self::observer::Observer;
pub use self::prometheus::prometheus_text;
pub use self::span::CallSpan;
pub use self::statistics::{BackendStatistics, RegionStatistics};
