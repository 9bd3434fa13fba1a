//! [`Begun`]: an asynchronous call in progress, and the bounded wait for its outcome.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use dogpile_sdk::{BackendError, Completion, Running};

use crate::expect::{Stop, panic_text};
use crate::setup::Setup;

/// An asynchronous call in progress.
pub(crate) struct Begun<T> {
    call: &'static str,
    running: Option<Running>,
    outcomes: Receiver<Result<T, BackendError>>,
}

impl<T: Send + 'static> Begun<T> {
    /// Begins `call`, such as `begin_get`. It must neither panic nor keep its caller waiting.
    pub(crate) fn new(
        call: &'static str,
        begin: impl FnOnce(Completion<T>) -> Running,
    ) -> Result<Self, Stop> {
        let (sender, outcomes) = mpsc::channel();
        let completion = Completion::new(move |outcome| {
            // The receiver is gone if the case failed before.
            let _ = sender.send(outcome);
        });
        match catch_unwind(AssertUnwindSafe(|| begin(completion))) {
            Ok(running) => Ok(Begun { call, running: Some(running), outcomes }),
            Err(panic) => Err(Stop::failed(panicked(call, panic_text(&*panic), &outcomes))),
        }
    }

    /// Returns the name of the call.
    pub(crate) fn name(&self) -> &'static str {
        self.call
    }

    /// Cancels the call.
    pub(crate) fn cancel(&mut self) {
        self.running.take().into_iter().for_each(Running::cancel);
    }

    /// Returns the outcome if it arrives within `time`.
    pub(crate) fn outcome_within(&self, time: Duration) -> Option<Result<T, BackendError>> {
        self.outcomes.recv_timeout(time).ok()
    }

    /// Waits for the outcome. Fails if it does not arrive within a quarter of the case's time limit.
    pub(crate) fn outcome(&self, setup: &Setup) -> Result<Result<T, BackendError>, Stop> {
        let limit = setup.time_limit() / 4;
        let Begun { call, .. } = self;
        self.outcomes.recv_timeout(limit).map_err(|error| {
            Stop::failed(match error {
                RecvTimeoutError::Timeout => {
                    format!("expected {call}() to complete within {limit:?}, it has not")
                }
                RecvTimeoutError::Disconnected => {
                    format!("expected {call}() to complete once, it did so before")
                }
            })
        })
    }

    /// Waits for a success, as [`outcome`](Self::outcome) does, and returns its value.
    pub(crate) fn value(&self, setup: &Setup) -> Result<T, Stop> {
        let Begun { call, .. } = self;
        self.outcome(setup)?.map_err(|error| {
            let kind = error.kind();
            Stop::failed(format!(
                "expected {call}() to complete with a success, got an error ({kind:?}): {error}"
            ))
        })
    }
}

fn panicked<T>(call: &str, text: &str, outcomes: &Receiver<Result<T, BackendError>>) -> String {
    // Unwinding drops the completion, whose outcome is the panic.
    let before = outcomes.try_recv().is_ok_and(|outcome| outcome.is_ok());
    let after = if before { " after its outcome, which makes two outcomes" } else { "" };
    format!("expected {call}() not to panic, it did{after}: {text}")
}
