//! [`Meter`]: the calls of one backend of a region.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use dogpile_sdk::BackendError;

use super::event::EventKind;
use super::histogram::Histogram;
use super::recorder::BackendRecorder;
use super::watch::Watch;

/// Times and counts the calls of one backend of a region.
#[derive(Debug)]
pub(crate) struct Meter {
    watch: Arc<Watch>,
    backend: String,
    recorder: Option<Arc<BackendRecorder>>,
    /// Whether calls are timed. Those of a backend that never blocks are not: reading the clock would take longer.
    is_timing: bool,
}

impl Meter {
    /// Creates the meter of `backend`, if anything is passed on.
    pub(crate) fn new(watch: &Arc<Watch>, backend: &str, is_immediate: bool) -> Option<Self> {
        let recorder = watch.recorder().map(|recorder| recorder.backend(backend));
        let (watch, backend, is_timing) = (Arc::clone(watch), backend.to_owned(), !is_immediate);
        watch.is_on().then(|| Meter { watch, backend, recorder, is_timing })
    }

    /// Returns whether calls are timed.
    pub(crate) fn is_timing(&self) -> bool {
        self.is_timing
    }

    /// Returns the number of failed calls, and how long calls took.
    pub(crate) fn counted(&self) -> (u64, Histogram) {
        let Some(recorder) = &self.recorder else { return Default::default() };
        (recorder.errors.load(Relaxed), recorder.calls.histogram())
    }

    /// Makes a call, and notes how it ended. A wait for other processes is not timed.
    pub(crate) async fn measure<R>(
        &self,
        operation: &'static str,
        is_wait: bool,
        call: impl Future<Output = Result<R, BackendError>>,
    ) -> Result<R, BackendError> {
        let began = (self.is_timing && !is_wait).then(Instant::now);
        let outcome = call.await;
        let took = began.map(|began| began.elapsed());
        if took.is_some() || outcome.is_err() {
            self.note(operation, took, outcome.as_ref().err());
        }
        outcome
    }

    /// Notes how a call ended.
    #[cold]
    pub(crate) fn note(&self, operation: &'static str, took: Option<Duration>, error: Option<&BackendError>) {
        if let Some(recorder) = &self.recorder {
            if let Some(took) = took {
                recorder.calls.add(took);
            }
            recorder.errors.fetch_add(u64::from(error.is_some()), Relaxed);
        }
        let backend = &*self.backend;
        self.watch.note(&[], EventKind::BackendCall { backend, operation, took, error });
    }
}
