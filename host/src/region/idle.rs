//! Waiting until a region has nothing in progress.

use std::time::{Duration, Instant};

use super::cache_region::CacheRegion;
use super::front_end::{Blocking, FrontEnd, Tasks};
use super::state::RegionState;
use crate::engine::blocking::drive;
use crate::error::RegionError;

/// The first pause between two looks. It doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl CacheRegion {
    /// Waits until nothing is in progress for this region in this process.
    ///
    /// Waits for at most `limit`. Returns whether nothing is in progress.
    ///
    /// What it waits for:
    ///
    /// * creations, in the foreground and in the background, also those that wait for a runner or for the backend's mutex
    /// * stores, `set`, and `delete` of tasks, which go on if their callers are dropped
    /// * mutexes that are released in the background
    ///
    /// All of that counts also if it began with a backend that was replaced since.
    ///
    /// It does not wait for reads, for other processes, or for deletions that are queued while the backend is down (see
    /// [`backend_state`](Self::backend_state)). Calls are still accepted. A program that ends stops making calls, waits here,
    /// and then shuts its runtime down. It blocks: tasks await [`wait_until_idle_async`](Self::wait_until_idle_async). A creator
    /// of the region that calls this waits for itself, and so until `limit`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use dogpile::{CacheRegion, RegionConfig, ThreadRunner};
    ///
    /// let region = CacheRegion::new("reports");
    /// region.configure(RegionConfig::new("dogpile.cache.memory").async_creation_runner(Arc::new(ThreadRunner)))?;
    /// region.set("report", 1)?;
    /// region.invalidate_soft()?;
    /// assert_eq!(region.options().background().get_or_create("report", || 2)?, 1);
    /// assert!(region.wait_until_idle(Duration::from_secs(60))?);
    /// assert_eq!(region.get("report")?, Some(2));
    /// # Ok::<(), dogpile::RegionError>(())
    /// ```
    ///
    /// # Errors
    /// If the region is not configured.
    pub fn wait_until_idle(&self, limit: Duration) -> Result<bool, RegionError> {
        let state = self.options().state();
        drop(state.current()?);
        Ok(drive(state.wait_until_idle(Blocking, limit)))
    }

    /// Waits until this process has nothing in progress for this region. See [`wait_until_idle`](Self::wait_until_idle).
    ///
    /// Dropping the future ends the wait, and nothing else.
    ///
    /// # Errors
    /// If the region is not configured.
    pub async fn wait_until_idle_async(&self, limit: Duration) -> Result<bool, RegionError> {
        let state = self.options().state();
        let runtime = state.shared()?.runtime.clone();
        Ok(state.wait_until_idle(Tasks::new(runtime.as_ref()), limit).await)
    }
}

impl RegionState {
    // It looks again and again: to be notified would cost each creation something.
    async fn wait_until_idle(&self, front: impl FrontEnd, limit: Duration) -> bool {
        let until = front.now().checked_add(limit);
        let is_over = |now: Instant| until.is_some_and(|until| now >= until);
        let mut pause = FIRST_PAUSE;
        loop {
            if self.is_idle() {
                return true;
            }
            let now = front.now();
            if is_over(now) {
                return false;
            }
            let next = now + pause;
            front.sleep_until(until.map_or(next, |until| next.min(until))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
