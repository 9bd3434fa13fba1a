//! [`RegionState`]: a region's name and its present configuration.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;

use super::configured::Configured;
use super::former::Former;
use super::settings::Settings;
use crate::error::RegionError;

/// The state of a region. Calls load its configuration once, so that the region can be reconfigured under load.
pub(super) struct RegionState {
    pub(super) name: Cow<'static, str>,
    pub(super) defaults: Option<Box<Settings>>,
    pub(super) current: ArcSwapOption<Configured>,
    /// What was in progress when earlier configurations were replaced. Locked while one is replaced. No foreign code runs then.
    former: Mutex<Vec<Former>>,
}

/// The configuration that a call works with, from its first step to its last.
pub(super) struct Current(Guard<Option<Arc<Configured>>>);

impl Deref for Current {
    type Target = Arc<Configured>;

    #[inline]
    fn deref(&self) -> &Arc<Configured> {
        // `RegionState::current` creates no other.
        self.0.as_ref().expect("the region is configured")
    }
}

impl RegionState {
    pub(super) const fn new(name: Cow<'static, str>, defaults: Option<Box<Settings>>) -> Self {
        RegionState { name, defaults, current: ArcSwapOption::const_empty(), former: Mutex::new(Vec::new()) }
    }

    /// Replaces the configuration `present`, with which `configured` was built. Returns whether it did: another thread, or an
    /// observer, may have configured the region meanwhile. What is in progress with `present` goes on with it.
    #[must_use]
    pub(super) fn replace(&self, present: Option<&Arc<Configured>>, configured: Configured) -> bool {
        let configured = Arc::new(configured);
        let mut former = self.former.lock();
        if self.current.load().as_ref().map(Arc::as_ptr) != present.map(Arc::as_ptr) {
            return false;
        }
        let (over, mut going_on): (Vec<_>, Vec<_>) = former.drain(..).partition(Former::is_over);
        // Before it is replaced, so that its work is known at any time.
        going_on.extend(present.map(Former::of));
        *former = going_on;
        configured.apply();
        let replaced = self.current.swap(Some(Arc::clone(&configured)));
        // Dropping a backend and calling observers runs foreign code, which may configure the region.
        drop(former);
        drop((over, replaced));
        configured.watch_breaker();
        true
    }

    /// Returns whether nothing is in progress, also with configurations that were replaced.
    pub(super) fn is_idle(&self) -> bool {
        // The present one first: it may be replaced meanwhile.
        if !self.current.load().as_ref().is_none_or(|current| Former::of(current).is_idle()) {
            return false;
        }
        // Not under the lock: values that were handed over may be dropped.
        let former = self.former.lock().clone();
        former.iter().all(Former::is_idle)
    }

    /// Returns the present configuration.
    ///
    /// # Errors
    /// If the region is not configured.
    #[inline(always)]
    pub(super) fn current(&self) -> Result<Current, RegionError> {
        let current = self.current.load();
        if current.is_none() {
            return Err(self.not_configured());
        }
        Ok(Current(current))
    }

    /// Returns the present configuration, for a call that may wait for a long time.
    ///
    /// # Errors
    /// If the region is not configured.
    pub(super) fn shared(&self) -> Result<Arc<Configured>, RegionError> {
        self.current.load_full().ok_or_else(|| self.not_configured())
    }

    #[cold]
    fn not_configured(&self) -> RegionError {
        RegionError::NotConfigured { region: self.name.to_string() }
    }
}

impl fmt::Debug for RegionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current.load();
        let backend = current.as_ref().map(|current| &current.stores.bottom.name);
        f.debug_struct("CacheRegion").field("name", &self.name).field("backend", &backend).finish()
    }
}
