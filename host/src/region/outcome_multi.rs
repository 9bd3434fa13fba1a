//! Calls for many keys that return how they got each value.

use std::convert::Infallible;
use std::fmt;

use super::async_creator::AsyncMulti;
use super::configured::Configured;
use super::creator::{CreateMany, Multi};
use super::outcome_call::{DetachedOutcomeCall, OutcomeCall};
use super::plain_value::PlainValue;
use crate::created::{Aged, Created};
use crate::error::{CreateError, RegionError};
use crate::outcome::Served;
use crate::value::CacheValue;

impl OutcomeCall<'_> {
    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi). Returns an outcome for each key.
    ///
    /// ```
    /// use dogpile::{CacheRegion, Outcome, RegionConfig};
    ///
    /// let region = CacheRegion::new("prices");
    /// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
    /// region.set("tea", 350)?;
    /// let call = region.options().with_outcome();
    /// let prices = call.get_or_create_multi(&["tea", "coffee"], |keys| vec![400; keys.len()])?;
    /// let outcomes: Vec<Outcome> = prices.iter().map(|price| price.outcome).collect();
    /// assert_eq!(outcomes, [Outcome::Fresh, Outcome::Created]);
    /// # Ok::<(), dogpile::RegionError>(())
    /// ```
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    pub fn get_or_create_multi<T: CacheValue + PlainValue<Kind>, Kind>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Vec<T>,
    ) -> Result<Vec<Served<T>>, RegionError> {
        let creator = |keys: &[&str]| Ok::<Vec<T>, Infallible>(creator(keys));
        self.try_get_or_create_multi(keys, creator).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi). Returns an outcome for each
    /// key.
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    pub fn try_get_or_create_multi<T: CacheValue, E: fmt::Display>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Result<Vec<T>, E>,
    ) -> Result<Vec<Served<T>>, CreateError<E>> {
        let mut creator = |keys: &[&str], _: Vec<Option<Aged<T>>>| creator(keys).map(Created::all);
        let creator = Multi::<CreateMany<'_, T, E>, false>::new(&mut creator);
        self.0.settle_multi(keys, creator, None, Configured::served)
    }

    /// See [`CallOptions::get_or_create_multi_with`](crate::CallOptions::get_or_create_multi_with). Returns an outcome for each
    /// key.
    ///
    /// # Errors
    /// See [`CallOptions::get_or_create_multi_with`](crate::CallOptions::get_or_create_multi_with).
    pub fn get_or_create_multi_with<T: CacheValue, E: fmt::Display>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str], Vec<Option<Aged<T>>>) -> Result<Vec<Created<T>>, E>,
    ) -> Result<Vec<Served<T>>, CreateError<E>> {
        let creator = Multi::<CreateMany<'_, T, E>, true>::new(&mut creator);
        self.0.settle_multi(keys, creator, None, Configured::served)
    }

    /// See [`CacheRegion::get_or_create_multi_async`](crate::CacheRegion::get_or_create_multi_async). Returns an outcome for
    /// each key.
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    pub async fn get_or_create_multi_async<T, Kind, Fut>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(Vec<String>) -> Fut,
    ) -> Result<Vec<Served<T>>, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = Vec<T>>,
    {
        let creator = move |keys, _| {
            let created = creator(keys);
            async { Ok::<_, Infallible>(Created::all(created.await)) }
        };
        let creator = AsyncMulti::<_, false>::new(creator);
        let served = self.0.settle_multi_async(keys, creator, Configured::served).await;
        served.map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_multi_async`](crate::CacheRegion::try_get_or_create_multi_async). Returns an outcome
    /// for each key.
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    pub async fn try_get_or_create_multi_async<T, E, Fut>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(Vec<String>) -> Fut,
    ) -> Result<Vec<Served<T>>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<Vec<T>, E>>,
    {
        let creator = move |keys, _| {
            let created = creator(keys);
            async { created.await.map(Created::all) }
        };
        let creator = AsyncMulti::<_, false>::new(creator);
        self.0.settle_multi_async(keys, creator, Configured::served).await
    }

    /// See [`CallOptions::get_or_create_multi_with_async`](crate::CallOptions::get_or_create_multi_with_async). Returns an outcome
    /// for each key.
    ///
    /// # Errors
    /// See [`CallOptions::get_or_create_multi_with`](crate::CallOptions::get_or_create_multi_with).
    pub async fn get_or_create_multi_with_async<T, E, Fut>(
        self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(Vec<String>, Vec<Option<Aged<T>>>) -> Fut,
    ) -> Result<Vec<Served<T>>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<Vec<Created<T>>, E>>,
    {
        let creator = AsyncMulti::<_, true>::new(creator);
        self.0.settle_multi_async(keys, creator, Configured::served).await
    }
}

impl DetachedOutcomeCall<'_> {
    /// See [`DetachedCall::get_or_create_multi_async`](crate::DetachedCall::get_or_create_multi_async). Returns an outcome for
    /// each key.
    ///
    /// # Errors
    /// See [`DetachedCall::get_or_create_multi_async`](crate::DetachedCall::get_or_create_multi_async).
    pub async fn get_or_create_multi_async<T, Kind, Fut>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(Vec<String>) -> Fut + Send + 'static,
    ) -> Result<Vec<Served<T>>, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = Vec<T>> + Send + 'static,
    {
        let creator = move |keys, _| {
            let created = creator(keys);
            async { Ok::<_, Infallible>(Created::all(created.await)) }
        };
        let creator = AsyncMulti::<_, false>::new(creator);
        let served = self.0.settle_multi(keys, creator, Configured::served).await;
        served.map_err(CreateError::into_region)
    }

    /// See [`DetachedCall::try_get_or_create_multi_async`](crate::DetachedCall::try_get_or_create_multi_async). Returns an outcome
    /// for each key.
    ///
    /// # Errors
    /// See [`DetachedCall::try_get_or_create_multi_async`](crate::DetachedCall::try_get_or_create_multi_async).
    pub async fn try_get_or_create_multi_async<T, E, Fut>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(Vec<String>) -> Fut + Send + 'static,
    ) -> Result<Vec<Served<T>>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        Fut: Future<Output = Result<Vec<T>, E>> + Send + 'static,
    {
        let creator = move |keys, _| {
            let created = creator(keys);
            async { created.await.map(Created::all) }
        };
        self.0.settle_multi(keys, AsyncMulti::<_, false>::new(creator), Configured::served).await
    }

    /// See [`DetachedCall::get_or_create_multi_with_async`](crate::DetachedCall::get_or_create_multi_with_async). Returns an
    /// outcome for each key.
    ///
    /// # Errors
    /// See [`DetachedCall::get_or_create_multi_with_async`](crate::DetachedCall::get_or_create_multi_with_async).
    pub async fn get_or_create_multi_with_async<T, E, Fut>(
        self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(Vec<String>, Vec<Option<Aged<T>>>) -> Fut + Send + 'static,
    ) -> Result<Vec<Served<T>>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        Fut: Future<Output = Result<Vec<Created<T>>, E>> + Send + 'static,
    {
        self.0.settle_multi(keys, AsyncMulti::<_, true>::new(creator), Configured::served).await
    }
}
