//! [`BackgroundCall`]: calls whose stale values a runner creates.

use std::borrow::Cow;
use std::convert::{Infallible, identity};
use std::fmt;

use super::call::{Call, CallKey, to_runner};
use super::call_options::{CallOptions, one_of};
use super::creator::{Multi, Single};
use super::should_cache::{CacheAll, ShouldCache};
use crate::error::{CreateError, RegionError};
use crate::value::CacheValue;

/// Calls whose stale values a runner creates in the background.
///
/// [`CallOptions::background`] creates it. The creators own what they use, so that a runner can take them.
///
/// ```
/// use std::sync::Arc;
///
/// use dogpile::{CacheRegion, RegionConfig, ThreadRunner};
///
/// let region = CacheRegion::new("reports");
/// let config = RegionConfig::new("dogpile.cache.memory").async_creation_runner(Arc::new(ThreadRunner));
/// region.configure(config)?;
/// let year = 2026;
/// let report = region.options().background().get_or_create("report", move || format!("of {year}"))?;
/// assert_eq!(report, "of 2026");
/// # Ok::<(), dogpile::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until a call is made through them"]
pub struct BackgroundCall<'r, P = CacheAll>(CallOptions<'r, P>);

impl<'r, P> CallOptions<'r, P> {
    /// Lets the region's [runner](crate::AsyncCreationRunner) create stale values, while the caller gets the old ones.
    ///
    /// The caller creates missing values. Without a runner, it creates stale values too.
    pub fn background(self) -> BackgroundCall<'r, P> {
        BackgroundCall(self)
    }
}

impl<P> BackgroundCall<'_, P> {
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    pub fn get_or_create<T: CacheValue>(
        self,
        key: &str,
        creator: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RegionError>
    where
        P: ShouldCache<T> + Send + 'static,
    {
        self.try_get_or_create(key, || Ok::<T, Infallible>(creator())).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create). If the runner's creator fails, its error is logged.
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    pub fn try_get_or_create<T: CacheValue, E: fmt::Debug + fmt::Display + 'static>(
        self,
        key: &str,
        creator: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, CreateError<E>>
    where
        P: ShouldCache<T> + Send + 'static,
    {
        let (call, predicate) = self.0.apart();
        call.fresh_or(key, identity, |current, mangled, limit, found| {
            let key = CallKey::new(current, key, Cow::Borrowed(mangled));
            let call = Call::new(current, vec![key], limit, Single::new(creator, predicate), Some(to_runner));
            one_of(call.run(vec![found.into()])?)
        })
    }

    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi). The runner creates all stale values in one call of the creator.
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    pub fn get_or_create_multi<T: CacheValue>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Vec<T> + Clone + Send + 'static,
    ) -> Result<Vec<T>, RegionError>
    where
        P: ShouldCache<T> + Clone + Send + 'static,
    {
        let creator = move |keys: &[&str]| Ok::<Vec<T>, Infallible>(creator(keys));
        self.try_get_or_create_multi(keys, creator).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    pub fn try_get_or_create_multi<T: CacheValue, E: fmt::Debug + fmt::Display + 'static>(
        self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(&[&str]) -> Result<Vec<T>, E> + Clone + Send + 'static,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        P: ShouldCache<T> + Clone + Send + 'static,
    {
        let (call, predicate) = self.0.apart();
        call.create_multi(keys, Multi::new(creator, predicate), Some(to_runner))
    }
}
