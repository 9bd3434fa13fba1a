//! [`Level`]: the parts of the suite, which are reported separately.

use std::fmt;

use crate::expect::{Outcome, Stop};
use crate::setup::Setup;

/// A part of the suite. The levels that a backend does not claim are skipped and listed by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Single values are stored.
    Store,
    /// Many values at once are stored, and returned in the order of the keys.
    Multi,
    /// Creation times and versions are stored unchanged.
    Metadata,
    /// Mutexes exclude each other. Claimed by a backend that has mutexes.
    Mutex,
    /// The mutex of a process that is killed or stopped becomes free after its lease, and not earlier. Claimed with
    /// [`Setup::leased`].
    Lease,
    /// The commands of a lease store keep their contract. Claimed with [`Setup::with_lease_store`].
    LeaseStore,
    /// Values expire after their lifetime. Claimed by a backend with native expiry.
    Expiry,
    /// Values are stored only while their mutex is held. Claimed by a backend that checks fences.
    Fencing,
    /// The limits that the backend reports are true.
    Capabilities,
    /// Unusual keys and values are refused or stored unchanged, and affect nothing else.
    BadInput,
    /// Threads can share the backend.
    Concurrency,
    /// No call panics, and panics of callers do not damage the backend.
    Containment,
    /// Asynchronous calls do what the blocking ones do, complete once, and can be canceled. Claimed by a backend that has
    /// them.
    Asynchronous,
    /// Calls end in time while the store does not reply, and succeed afterwards. Claimed with [`Setup::freezable`].
    Frozen,
    /// A proxy passes on failures, mutexes, and the keys under which its store keeps values. Claimed with
    /// [`Setup::proxy`].
    Proxy,
}

impl Level {
    /// All levels, in the order in which they are reported.
    pub const ALL: [Level; 15] = [
        Level::Store,
        Level::Multi,
        Level::Metadata,
        Level::Mutex,
        Level::Lease,
        Level::LeaseStore,
        Level::Expiry,
        Level::Fencing,
        Level::Capabilities,
        Level::BadInput,
        Level::Concurrency,
        Level::Containment,
        Level::Asynchronous,
        Level::Frozen,
        Level::Proxy,
    ];

    /// Returns the name of the level in reports and in the names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Level::Store => "store",
            Level::Multi => "multi",
            Level::Metadata => "metadata",
            Level::Mutex => "mutex",
            Level::Lease => "lease",
            Level::LeaseStore => "lease_store",
            Level::Expiry => "expiry",
            Level::Fencing => "fencing",
            Level::Capabilities => "capabilities",
            Level::BadInput => "bad_input",
            Level::Concurrency => "concurrency",
            Level::Containment => "containment",
            Level::Asynchronous => "asynchronous",
            Level::Frozen => "frozen",
            Level::Proxy => "proxy",
        }
    }

    /// Returns what the level requires, in a few words.
    pub fn requirement(self) -> &'static str {
        match self {
            Level::Store => "single values are stored",
            Level::Multi => "several values at once are stored, whole and in order",
            Level::Metadata => "creation times, versions, and attributes are kept",
            Level::Mutex => "mutexes exclude each other and heed deadlines",
            Level::Lease => "a killed or stopped holder loses its mutex after its lease",
            Level::LeaseStore => "the commands of a lease store keep their contract",
            Level::Expiry => "each value expires after its own lifetime",
            Level::Fencing => "values are stored only while their mutex is held",
            Level::Capabilities => "the reported limits are true",
            Level::BadInput => "unusual keys and values are refused or kept",
            Level::Concurrency => "threads can share the backend, and calls can overlap",
            Level::Containment => "no call panics, not even inside an async runtime",
            Level::Asynchronous => "asynchronous calls do what the blocking ones do",
            Level::Frozen => "calls end in time while the store does not reply",
            Level::Proxy => "failures, mutexes, and keys of the store are passed on",
        }
    }

    /// Checks that the backend of `setup` claims the level.
    ///
    /// # Errors
    /// [`Stop::Skipped`](crate::Stop::Skipped) if it does not claim the level, or a failure if the backend fails.
    pub fn claimed(self, setup: &Setup) -> Outcome {
        match self {
            Level::Mutex => setup.mutex(&*setup.backend()?, &setup.fresh_key()).map(drop),
            Level::Lease => setup.lease().map(drop),
            Level::LeaseStore => setup.lease_store().map(drop),
            Level::Expiry => claimed(setup.backend()?.capabilities().native_expiry, "native expiry"),
            Level::Fencing => claimed(setup.backend()?.capabilities().fencing, "fencing"),
            Level::Frozen => setup.freezer().map(drop),
            Level::Proxy => setup.build_proxy().map(drop),
            Level::Asynchronous => match setup.backend()?.operations() {
                Some(_) => Ok(()),
                None => Err(Stop::skipped("the backend has no asynchronous calls")),
            },
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fn claimed(is_claimed: bool, feature: &str) -> Outcome {
    if is_claimed { Ok(()) } else { Err(Stop::skipped(format!("the backend does not claim {feature}"))) }
}
