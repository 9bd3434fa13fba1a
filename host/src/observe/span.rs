//! [`CallSpan`]: a tracing system's span, from the beginning of a call to its end.

use std::any::Any;
use std::sync::Arc;

use super::event::EventKind;

/// A span that an [`Observer`](crate::Observer) begins for a call with a creator.
///
/// It begins if the first read of the call does not find all keys fresh, whatever the form of the call. A hit has no span,
/// and neither has a call whose keys cannot be read. A span that is dropped without an end belonged to a refresh that was not
/// made.
pub trait CallSpan: Send + Sync {
    /// Makes the span the current one of this thread, until the returned guard is dropped. Default: nothing happens.
    ///
    /// It is called around each part of the creator that runs on a thread, so that spans of the creator belong to this one.
    fn enter(&self) -> Option<Box<dyn Any>> {
        None
    }

    /// Begins a span for a refresh of `keys` in the background, which this call caused. Default: none.
    fn refresh(&self, keys: &[&str]) -> Option<Arc<dyn CallSpan>> {
        let _ = keys;
        None
    }

    /// Ends the span with the ending of the call. A call for several keys that ended in different ways ends with the first
    /// that is not a hit. Default: nothing happens.
    fn end(&self, ending: &EventKind<'_>) {
        let _ = ending;
    }
}

const _: fn(&dyn CallSpan) = |_| {};
