//! [`BackgroundCall`]: calls whose stale values a runner creates.

use std::convert::Infallible;
use std::fmt;

use super::call_options::CallOptions;
use super::creator::{Multi, Single};
use super::plain_value::PlainValue;
use super::to_runner::to_runner;
use crate::created::{Aged, Created};
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
pub struct BackgroundCall<'r>(CallOptions<'r>);

impl<'r> CallOptions<'r> {
    /// Lets the region's [runner](crate::Runner) create stale values, while the caller gets the old ones.
    ///
    /// The caller creates missing values. Without a runner, it creates stale values too. If the call has a
    /// [limit](crate::RegionConfig::creator_timeout), the runner creates all values, and the caller waits for them until then.
    pub fn background(self) -> BackgroundCall<'r> {
        BackgroundCall(self)
    }
}

impl BackgroundCall<'_> {
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    pub fn get_or_create<T: CacheValue + PlainValue<Kind>, Kind>(
        self,
        key: &str,
        creator: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, RegionError> {
        self.try_get_or_create(key, || Ok::<T, Infallible>(creator())).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create). If the runner's creator fails, its
    /// error is logged.
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    pub fn try_get_or_create<T: CacheValue, E: fmt::Debug + fmt::Display + Send + 'static>(
        self,
        key: &str,
        creator: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, CreateError<E>> {
        self.get_or_decide(key, || creator().map(Created::new))
    }

    /// Returns the value of `key`, calling a creator that decides whether its value is stored.
    pub(crate) fn get_or_decide<T: CacheValue, E: fmt::Debug + fmt::Display + Send + 'static>(
        self,
        key: &str,
        creator: impl FnOnce() -> Result<Created<T>, E> + Send + 'static,
    ) -> Result<T, CreateError<E>> {
        self.0.create(key, Single::<_, false>::new(|_| creator()), Some(to_runner()))
    }

    /// See [`CallOptions::get_or_create_with`]. The runner reads the old value again under the dogpile lock.
    ///
    /// # Errors
    /// See [`CallOptions::get_or_create_with`].
    pub fn get_or_create_with<T: CacheValue, E: fmt::Debug + fmt::Display + Send + 'static>(
        self,
        key: &str,
        creator: impl FnOnce(Option<Aged<T>>) -> Result<Created<T>, E> + Send + 'static,
    ) -> Result<T, CreateError<E>> {
        self.0.create(key, Single::<_, true>::new(creator), Some(to_runner()))
    }

    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi). The runner creates all stale
    /// values in one call of the creator.
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    pub fn get_or_create_multi<T: CacheValue + PlainValue<Kind>, Kind>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Vec<T> + Clone + Send + 'static,
    ) -> Result<Vec<T>, RegionError> {
        let creator = move |keys: &[&str]| Ok::<Vec<T>, Infallible>(creator(keys));
        self.try_get_or_create_multi(keys, creator).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    pub fn try_get_or_create_multi<T: CacheValue, E: fmt::Debug + fmt::Display + Send + 'static>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Result<Vec<T>, E> + Clone + Send + 'static,
    ) -> Result<Vec<T>, CreateError<E>> {
        self.get_or_decide_multi(keys, move |keys| creator(keys).map(Created::all))
    }

    /// Returns the values of many keys, calling a creator that decides which of its values are stored.
    pub(crate) fn get_or_decide_multi<T: CacheValue, E: fmt::Debug + fmt::Display + Send + 'static>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Result<Vec<Created<T>>, E> + Clone + Send + 'static,
    ) -> Result<Vec<T>, CreateError<E>> {
        let creator = move |keys: &[&str], _: Vec<Option<Aged<T>>>| creator(keys);
        self.0.create_multi(keys, Multi::<_, false>::new(creator), Some(to_runner()))
    }

    /// See [`CallOptions::get_or_create_multi_with`]. The runner creates all stale values in one call of the creator.
    ///
    /// # Errors
    /// See [`CallOptions::get_or_create_multi_with`].
    pub fn get_or_create_multi_with<T: CacheValue, E: fmt::Debug + fmt::Display + Send + 'static>(
        self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(&[&str], Vec<Option<Aged<T>>>) -> Result<Vec<Created<T>>, E> + Clone + Send + 'static,
    ) -> Result<Vec<T>, CreateError<E>> {
        self.0.create_multi(keys, Multi::<_, true>::new(creator), Some(to_runner()))
    }
}
