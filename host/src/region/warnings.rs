//! [`Warnings`]: warnings about creations, of which one of each kind is logged in ten seconds.

use dogpile_sdk::{CreationTime, LogLimit, Suppressed};

/// A kind of warning about creations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warning {
    NotStored,
    NotReleased,
    OldValueServed,
    MutexFailed,
    WithoutMutex,
    LeaseLost,
    LongWait,
    BackgroundFailed,
    DetachedFailed,
    DetachedPanicked,
}

const KINDS: usize = Warning::DetachedPanicked as usize + 1;

impl Warning {
    pub(super) fn message(self) -> &'static str {
        match self {
            Warning::NotStored => "a created value was not stored; its caller still gets it",
            Warning::NotReleased => "the mutex of a creator could not be released",
            Warning::OldValueServed => "a creator failed; the old value is served",
            Warning::MutexFailed => "the mutex failed; the old value is served",
            Warning::WithoutMutex => {
                "a creator requested a key that another process is creating; it creates the key as well, because the \
                 other process may be waiting for it"
            }
            Warning::LeaseLost => {
                "the lock of a creator expired while it ran; its value is returned but not stored"
            }
            Warning::LongWait => "callers have been waiting for a creation for some seconds",
            Warning::BackgroundFailed => "a creation in the background failed",
            Warning::DetachedFailed => "a detached creation failed",
            Warning::DetachedPanicked => "the creator of a detached creation panicked",
        }
    }

    /// Returns whether it is only logged, and not returned to a caller.
    pub(super) fn is_error(self) -> bool {
        matches!(self, Warning::BackgroundFailed | Warning::DetachedFailed | Warning::DetachedPanicked)
    }
}

/// Lets one warning of each kind pass in ten seconds of the region's clock, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Warnings([LogLimit; KINDS]);

impl Warnings {
    /// Returns how many warnings of this kind were suppressed before this one, or `None` to suppress this one too.
    pub(super) fn pass(&self, warning: Warning, now: CreationTime) -> Option<u64> {
        self.0[warning as usize].pass_at(now).map(Suppressed::count)
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_warning_of_a_kind_passes_in_ten_seconds() {
        let warnings = Warnings::default();
        let pass = |warning, second| warnings.pass(warning, CreationTime::from_seconds(1000.0 + second));
        let passed = [0.0, 1.0, 9.9, 10.0, 19.0, 20.5].map(|second| pass(Warning::NotStored, second));
        assert_eq!(passed, [Some(0), None, None, Some(2), None, Some(1)]);
        assert_eq!(pass(Warning::LeaseLost, 20.5), Some(0), "each kind has a limit of its own");
        assert_eq!(pass(Warning::NotStored, -50.0), Some(0), "the clock was set back");
    }

    #[test]
    fn all_messages_differ() {
        use Warning::*;
        let all = [NotStored, NotReleased, OldValueServed, MutexFailed, WithoutMutex, LeaseLost, LongWait];
        let mut messages: Vec<_> = all.map(Warning::message).into();
        messages.extend([BackgroundFailed, DetachedFailed, DetachedPanicked].map(Warning::message));
        messages.sort_unstable();
        messages.dedup();
        assert_eq!(messages.len(), KINDS);
    }
}
