//! [`TaskSpans`]: the spans of a creation that a task or a runner makes.

use std::fmt;

use crate::error::CreateError;
use crate::observe::{EventKind, Spans};

/// The spans of a creation that a task or a runner makes: those of the call that waits for it, or its own if none does.
pub(super) struct TaskSpans {
    spans: Option<Spans>,
    are_own: bool,
}

impl TaskSpans {
    /// Returns the spans of a creation of `keys` for a call with `spans`. A `refresh` is a creation that the call does not wait
    /// for.
    pub(super) fn of(spans: Option<Spans>, is_refresh: bool, keys: &[&str]) -> Self {
        match spans {
            Some(spans) if is_refresh => TaskSpans { spans: spans.refresh(keys), are_own: true },
            spans => TaskSpans { spans, are_own: false },
        }
    }

    pub(super) fn current(&self) -> Option<Spans> {
        self.spans.clone()
    }

    /// Ends the spans of a refresh, and returns how it ended.
    pub(super) fn end<R, E: fmt::Display>(
        &self,
        ended: Result<Vec<R>, CreateError<E>>,
    ) -> Result<Vec<R>, CreateError<E>> {
        if let Some(spans) = self.spans.as_ref().filter(|_| self.are_own) {
            spans.end(&match &ended {
                Ok(made) if made.is_empty() => EventKind::Canceled,
                Ok(_) => EventKind::Created,
                Err(error) => EventKind::Failed { error },
            });
        }
        ended
    }
}
