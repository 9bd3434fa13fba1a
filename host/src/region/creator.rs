//! [`Creator`]: what makes the values of a call.

use crate::engine::Created;
use crate::error::{CreateError, RegionError};

use super::should_cache::ShouldCache;

/// Makes values for the keys of a call, and knows which of them are stored.
pub(super) trait Creator<T> {
    /// What the caller's function fails with.
    type Error;

    /// Whether the call is for many keys, so that the backend is asked for many at a time.
    const IS_MULTI: bool;

    /// Calls the caller's function for `keys`, which returns one value for each.
    fn create(&mut self, region: &str, keys: &[&str]) -> Result<Vec<Created<T>>, CreateError<Self::Error>>;
}

/// A creator that can run without its caller.
pub(super) trait OwnedCreator<T>: Creator<T> + Sized + Send + 'static {
    /// Returns a creator for the runner, unless it is used up.
    fn detach(&mut self) -> Option<Self>;
}

/// Makes the value of one key, once.
pub(super) struct Single<F, P>(Option<(F, P)>);

impl<F, P> Single<F, P> {
    pub(super) fn new(function: F, predicate: P) -> Self {
        Single(Some((function, predicate)))
    }
}

impl<T, E, F: FnOnce() -> Result<T, E>, P: ShouldCache<T>> Creator<T> for Single<F, P> {
    type Error = E;

    const IS_MULTI: bool = false;

    fn create(&mut self, _region: &str, _keys: &[&str]) -> Result<Vec<Created<T>>, CreateError<E>> {
        // The protocol creates a key at most once in a call, and not after it handed the creator over.
        let (function, predicate) = self.0.take().expect("a creator of one value is called once");
        let value = function().map_err(CreateError::Creator)?;
        let is_cacheable = predicate.should_cache(&value);
        Ok(vec![Created { value, is_cacheable }])
    }
}

impl<T, E, F, P> OwnedCreator<T> for Single<F, P>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    P: ShouldCache<T> + Send + 'static,
{
    fn detach(&mut self) -> Option<Self> {
        self.0.take().map(|parts| Single(Some(parts)))
    }
}

/// Makes the values of many keys.
#[derive(Clone)]
pub(super) struct Multi<F, P> {
    function: F,
    predicate: P,
}

impl<F, P> Multi<F, P> {
    pub(super) fn new(function: F, predicate: P) -> Self {
        Multi { function, predicate }
    }
}

impl<T, E, F: FnMut(&[&str]) -> Result<Vec<T>, E>, P: ShouldCache<T>> Creator<T> for Multi<F, P> {
    type Error = E;

    const IS_MULTI: bool = true;

    fn create(&mut self, region: &str, keys: &[&str]) -> Result<Vec<Created<T>>, CreateError<E>> {
        let values = (self.function)(keys).map_err(CreateError::Creator)?;
        if values.len() != keys.len() {
            let (region, expected, made) = (region.to_owned(), keys.len(), values.len());
            return Err(RegionError::CreatorCount { region, expected, made }.into());
        }
        let created = |value| Created { is_cacheable: self.predicate.should_cache(&value), value };
        Ok(values.into_iter().map(created).collect())
    }
}

impl<T, E, F, P> OwnedCreator<T> for Multi<F, P>
where
    F: FnMut(&[&str]) -> Result<Vec<T>, E> + Clone + Send + 'static,
    P: ShouldCache<T> + Clone + Send + 'static,
{
    fn detach(&mut self) -> Option<Self> {
        Some(self.clone())
    }
}
