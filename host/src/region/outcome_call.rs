//! [`OutcomeCall`] and [`DetachedOutcomeCall`]: calls that return how they got their value.

use std::convert::Infallible;
use std::fmt;

use super::async_calls::Look;
use super::async_creator::AsyncSingle;
use super::call::Call;
use super::call_key::CallKey;
use super::call_options::CallOptions;
use super::configured::Configured;
use super::creator::{CreateOne, Creator, Single, once};
use super::detached_call::DetachedCall;
use super::ending::{end_one, fresh};
use super::front_end::Blocking;
use super::plain_value::PlainValue;
use crate::created::{Aged, Created};
use crate::decision::Reading;
use crate::engine::blocking::drive;
use crate::error::{CreateError, RegionError};
use crate::observe::Request;
use crate::outcome::Served;
use crate::value::CacheValue;

/// Calls that return a [`Served`] for each key.
///
/// It contains the value, how the call got it, its age, and whether the call stored it.
///
/// [`CallOptions::with_outcome`] creates it. The calls do what those without an outcome do. A hit takes somewhat longer,
/// because the age is needed.
///
/// ```
/// use dogpile::{CacheRegion, Outcome, RegionConfig};
///
/// let region = CacheRegion::new("prices");
/// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
/// let price = region.options().with_outcome().get_or_create("tea", || 350)?;
/// assert_eq!((price.value, price.outcome), (350, Outcome::Created));
/// let price = region.options().with_outcome().get_or_create("tea", || 360)?;
/// assert_eq!((price.value, price.outcome), (350, Outcome::Fresh));
/// # Ok::<(), dogpile::RegionError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until a call is made through them"]
pub struct OutcomeCall<'r>(pub(super) CallOptions<'r>);

/// Calls of [`DetachedCall`] that return a [`Served`] for each key.
///
/// [`DetachedCall::with_outcome`] creates it.
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until a call is made through them"]
pub struct DetachedOutcomeCall<'r>(pub(super) DetachedCall<'r>);

impl<'r> CallOptions<'r> {
    /// Makes calls that return how they got their value.
    pub fn with_outcome(self) -> OutcomeCall<'r> {
        OutcomeCall(self.creating())
    }
}

impl<'r> DetachedCall<'r> {
    /// Makes calls that return how they got their value.
    pub fn with_outcome(self) -> DetachedOutcomeCall<'r> {
        DetachedOutcomeCall(self)
    }
}

impl OutcomeCall<'_> {
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    pub fn get_or_create<T: CacheValue + PlainValue<Kind>, Kind>(
        self,
        key: &str,
        creator: impl FnOnce() -> T,
    ) -> Result<Served<T>, RegionError> {
        self.try_get_or_create(key, || Ok::<T, Infallible>(creator())).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    pub fn try_get_or_create<T: CacheValue, E: fmt::Display>(
        self,
        key: &str,
        creator: impl FnOnce() -> Result<T, E>,
    ) -> Result<Served<T>, CreateError<E>> {
        self.settle::<T, E, false>(key, |_| creator().map(Created::new))
    }

    /// See [`CallOptions::get_or_create_with`].
    ///
    /// # Errors
    /// See [`CallOptions::get_or_create_with`].
    pub fn get_or_create_with<T: CacheValue, E: fmt::Display>(
        self,
        key: &str,
        creator: impl FnOnce(Option<Aged<T>>) -> Result<Created<T>, E>,
    ) -> Result<Served<T>, CreateError<E>> {
        self.settle::<T, E, true>(key, creator)
    }

    /// See [`CacheRegion::get_or_create_async`](crate::CacheRegion::get_or_create_async).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    pub async fn get_or_create_async<T, Kind, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> Fut,
    ) -> Result<Served<T>, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = T>,
    {
        let creator = |_| async { Ok::<_, Infallible>(Created::new(creator().await)) };
        let creator = AsyncSingle::<_, false>::new(creator);
        let served = self.0.settle_async(key, Look::NotRead, creator, Configured::served).await;
        served.map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_async`](crate::CacheRegion::try_get_or_create_async).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    pub async fn try_get_or_create_async<T, E, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> Fut,
    ) -> Result<Served<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<T, E>>,
    {
        let creator = AsyncSingle::<_, false>::new(|_| async { creator().await.map(Created::new) });
        self.0.settle_async(key, Look::NotRead, creator, Configured::served).await
    }

    /// See [`CallOptions::get_or_create_with_async`].
    ///
    /// # Errors
    /// See [`CallOptions::get_or_create_with`].
    pub async fn get_or_create_with_async<T, E, Fut>(
        self,
        key: &str,
        creator: impl FnOnce(Option<Aged<T>>) -> Fut,
    ) -> Result<Served<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<Created<T>, E>>,
    {
        let creator = AsyncSingle::<_, true>::new(creator);
        self.0.settle_async(key, Look::NotRead, creator, Configured::served).await
    }

    /// Returns the value of `key`, creating it if it is missing or stale.
    fn settle<T: CacheValue, E: fmt::Display, const SEES_OLD: bool>(
        self,
        key: &str,
        creator: impl FnOnce(Option<Aged<T>>) -> Result<Created<T>, E>,
    ) -> Result<Served<T>, CreateError<E>> {
        let mut creator = once(creator);
        self.serve(key, Single::<CreateOne<'_, T, E>, SEES_OLD>::new(&mut creator))
    }

    fn serve<T: CacheValue, C: Creator<T>>(
        self,
        key: &str,
        creator: C,
    ) -> Result<Served<T>, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        let current = self.0.state().current()?;
        let mut policy = self.0.policy(&current);
        let keys = [key];
        let mut request = Request::new(&current.watch, &keys);
        let settled = drive(async {
            let key = CallKey::new(&current, key, current.mangle(key)?);
            let found = current.find(Blocking, &key.mangled, &mut policy).await?;
            if let Reading::Fresh(value) = found.reading {
                return Ok(fresh(value, found.metadata, &policy));
            }
            let spans = request.begin_spans();
            let mut call = Call::new(Blocking, &current, vec![key], policy, creator, None).within(spans);
            let settled = call.run(vec![found]).await?;
            Ok(settled.into_iter().next().expect("a call for one key returns one value"))
        });
        Ok(current.served(end_one(request, settled)?))
    }
}

impl DetachedOutcomeCall<'_> {
    /// See [`DetachedCall::get_or_create_async`].
    ///
    /// # Errors
    /// See [`DetachedCall::get_or_create_async`].
    pub async fn get_or_create_async<T, Kind, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> Fut + Send + 'static,
    ) -> Result<Served<T>, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = T> + Send + 'static,
    {
        let creator = |_| async { Ok::<_, Infallible>(Created::new(creator().await)) };
        let creator = || AsyncSingle::<_, false>::new(creator);
        let served = self.0.settle(key, Look::NotRead, creator, Configured::served).await;
        served.map_err(CreateError::into_region)
    }

    /// See [`DetachedCall::try_get_or_create_async`].
    ///
    /// # Errors
    /// See [`DetachedCall::try_get_or_create_async`].
    pub async fn try_get_or_create_async<T, E, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> Fut + Send + 'static,
    ) -> Result<Served<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        let creator = || AsyncSingle::<_, false>::new(|_| async { creator().await.map(Created::new) });
        self.0.settle(key, Look::NotRead, creator, Configured::served).await
    }

    /// See [`DetachedCall::get_or_create_with_async`].
    ///
    /// # Errors
    /// See [`DetachedCall::get_or_create_with_async`].
    pub async fn get_or_create_with_async<T, E, Fut>(
        self,
        key: &str,
        creator: impl FnOnce(Option<Aged<T>>) -> Fut + Send + 'static,
    ) -> Result<Served<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        Fut: Future<Output = Result<Created<T>, E>> + Send + 'static,
    {
        let creator = || AsyncSingle::<_, true>::new(creator);
        self.0.settle(key, Look::NotRead, creator, Configured::served).await
    }
}
