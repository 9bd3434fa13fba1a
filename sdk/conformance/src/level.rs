//! [`Level`]: the parts of the suite, each reported by itself.

use std::fmt;

use crate::expect::Outcome;
use crate::setup::Setup;

/// A part of the suite. A backend claims some of them by what it has; the others are skipped by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Single values are kept.
    Store,
    /// Many values at once are kept, in the order asked.
    Multi,
    /// Creation times and versions are kept.
    Metadata,
    /// Mutexes exclude each other. Claimed by a backend that has mutexes.
    Mutex,
    /// A mutex outlives its holder's process by one lease at most. Claimed with [`Setup::leased`].
    Lease,
    /// What the backend says of its limits is true.
    Capabilities,
    /// Keys and values that no backend likes are refused or kept, and harm nothing.
    BadInput,
    /// Threads can share the backend.
    Concurrency,
    /// No call panics, and what panics around a backend does not harm it.
    Containment,
}

impl Level {
    /// All levels, in the order in which they are reported.
    pub const ALL: [Level; 9] = [
        Level::Store,
        Level::Multi,
        Level::Metadata,
        Level::Mutex,
        Level::Lease,
        Level::Capabilities,
        Level::BadInput,
        Level::Concurrency,
        Level::Containment,
    ];

    /// Its name in reports, and in the names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Level::Store => "store",
            Level::Multi => "multi",
            Level::Metadata => "metadata",
            Level::Mutex => "mutex",
            Level::Lease => "lease",
            Level::Capabilities => "capabilities",
            Level::BadInput => "bad_input",
            Level::Concurrency => "concurrency",
            Level::Containment => "containment",
        }
    }

    /// Whether the backend of `setup` claims it.
    ///
    /// # Errors
    /// [`Stop::Skipped`](crate::Stop::Skipped) if it does not; any other if the backend cannot be asked.
    pub fn claimed(self, setup: &Setup) -> Outcome {
        match self {
            Level::Mutex => setup.mutex(&*setup.backend()?, &setup.fresh_key()).map(drop),
            Level::Lease => setup.lease().map(drop),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
