//! [`Work`]: what a process has in progress, so that its end can be awaited.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use dogpile_sdk::PerProcess;

/// Counts what is in progress. A forked child has nothing of its parent in progress.
// The references to one `Arc` are the count.
pub(crate) struct Work(PerProcess<Arc<()>>);

/// Something is in progress until this is dropped.
pub(crate) struct Working(Arc<()>);

impl Work {
    pub(crate) fn new() -> Self {
        Work(PerProcess::new(Arc::default, |_| {}))
    }

    pub(crate) fn begin(&self) -> Working {
        Working(Arc::clone(self.0.get()))
    }

    /// Returns whether nothing is in progress. The effects of work that has ended are visible then.
    pub(crate) fn is_done(&self) -> bool {
        let is_done = Arc::strong_count(self.0.get()) == 1;
        fence(Ordering::Acquire);
        is_done
    }
}

impl fmt::Debug for Working {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Working({})", Arc::strong_count(&self.0) - 1)
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_when_all_of_it_has_ended() {
        let work = Work::new();
        assert!(work.is_done());
        let (first, second) = (work.begin(), work.begin());
        drop(first);
        assert!(!work.is_done());
        drop(second);
        assert!(work.is_done());
    }
}
