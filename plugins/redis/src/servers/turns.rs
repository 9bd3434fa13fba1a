//! [`Turns`]: lets one caller at a time find out which servers there are.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dogpile_sdk::BackendError;

use crate::error;

/// Lets one caller at a time discover the servers. The others wait for it until their deadlines, and share its
/// failure.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_taken: bool,
    /// The time of the last failure, and the error.
    failed: Option<(Instant, Arc<BackendError>)>,
}

/// One caller's turn, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'t>(&'t Turns);

impl Turns {
    /// Takes a turn, or returns `None` if another caller has it.
    pub(super) fn try_take(&self) -> Option<Turn<'_>> {
        let is_free = !std::mem::replace(&mut self.lock().is_taken, true);
        // A turn must not be created, and dropped, if another caller has it.
        is_free.then(|| Turn(self))
    }

    /// Takes a turn, or returns `None` if none is free by `deadline`.
    pub(super) fn take(&self, deadline: Instant) -> Option<Turn<'_>> {
        let mut state = self.lock();
        while state.is_taken {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_taken = true;
        Some(Turn(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Ignore poison: no code panics while it holds this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Returns the error of an earlier turn that failed after `begun`.
    pub(super) fn failed_since(&self, begun: Instant) -> Option<BackendError> {
        let state = self.0.lock();
        let failed = state.failed.as_ref().filter(|(when, _)| *when > begun);
        failed.map(|(_, error)| error::copy(error))
    }

    /// Ends the turn with `error`, which those who wait for the next turn receive too.
    pub(super) fn fail(self, error: BackendError) -> BackendError {
        let error = Arc::new(error);
        self.0.lock().failed = Some((Instant::now(), Arc::clone(&error)));
        error::copy(&error)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().is_taken = false;
        self.0.ended.notify_one();
    }
}

/// Returns the deadline for the request to one of `count` servers in turn. It leaves time for the others, and for the
/// use of the result.
pub(super) fn share(deadline: Instant, count: usize) -> Instant {
    let now = Instant::now();
    let shares = u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    now + deadline.saturating_duration_since(now) / shares
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::time::Duration;

    use dogpile_sdk::ErrorKind;

    use super::*;

    #[test]
    fn turn_is_waited_for_until_the_deadline() {
        let turns = Turns::default();
        let turn = turns.try_take().unwrap();
        assert!(turns.try_take().is_none());
        assert!(turns.take(Instant::now() + Duration::from_millis(10)).is_none());
        drop(turn);
        assert!(turns.take(Instant::now()).is_some());
    }

    #[test]
    fn failure_is_shared_with_those_who_waited() {
        let turns = Turns::default();
        let begun = Instant::now();
        turns.try_take().unwrap().fail(BackendError::new(ErrorKind::Unavailable, "down"));
        let turn = turns.try_take().unwrap();
        assert_eq!(turn.failed_since(begun).unwrap().to_string(), "down");
        assert!(turn.failed_since(Instant::now()).is_none());
    }
}
