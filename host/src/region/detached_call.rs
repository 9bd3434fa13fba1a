//! [`DetachedCall`]: asynchronous calls whose creations go on without their callers.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use super::async_calls::{Look, one};
use super::async_creator::{AsyncMulti, AsyncSingle};
use super::call::Call;
use super::call_options::CallOptions;
use super::configured::Configured;
use super::ending::{all_fresh, end, end_one, fresh};
use super::get_or_create::{in_request_order, sorted};
use super::in_hand::InHand;
use super::plain_value::PlainValue;
use super::task_spans::TaskSpans;
use crate::created::{Aged, Created};
use crate::decision::Reading;
use crate::engine::{Found, Settled, asynchronous};
use crate::error::{CreateError, RegionError};
use crate::observe::Request;
use crate::value::CacheValue;

/// Asynchronous calls whose creations go on without their callers.
///
/// [`CallOptions::detach`] creates it. Once a value is found to be missing or stale, its creation is a task of its own, for
/// which the caller waits. If the caller is dropped, for example because a request timed out, the creator still runs to its
/// end, its value is stored, and other callers get it. The creators own what they use.
///
/// The task runs on the region's [runtime](crate::RegionConfig::runtime), or as its [runner](crate::Runner::spawn) has it run.
/// A panic of the creator reaches the caller. If no caller waits, a failure is logged.
///
/// If the task does not begin, because the runner refuses it or because it waits in a queue for longer than the
/// [`creation_wait_timeout`](crate::RegionConfig::creation_wait_timeout), the caller creates by itself, as without `detach`.
///
/// ```
/// # fn main() -> Result<(), dogpile::RegionError> { smol::block_on(run()) }
/// # async fn run() -> Result<(), dogpile::RegionError> {
/// use dogpile::{CacheRegion, RegionConfig};
///
/// let region = CacheRegion::new("reports");
/// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
/// let year = 2026;
/// let report = region.options().detach().get_or_create_async("report", async move || format!("of {year}")).await?;
/// assert_eq!(report, "of 2026");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "options do nothing until a call is made through them"]
pub struct DetachedCall<'r>(CallOptions<'r>);

impl<'r> CallOptions<'r> {
    /// Makes asynchronous calls whose creations go on if their callers are dropped.
    pub fn detach(self) -> DetachedCall<'r> {
        DetachedCall(self)
    }
}

impl DetachedCall<'_> {
    /// See [`CacheRegion::get_or_create_async`](crate::CacheRegion::get_or_create_async).
    ///
    /// # Errors
    /// [`RegionError::TaskDropped`] if the task was dropped after it began, as by a runtime that shuts down. See
    /// [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create) for the others.
    pub async fn get_or_create_async<T, Kind, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> Fut + Send + 'static,
    ) -> Result<T, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = T> + Send + 'static,
    {
        let creator = |_| async { Ok::<_, Infallible>(Created::new(creator().await)) };
        let value = self.create(key, || AsyncSingle::<_, false>::new(creator)).await;
        value.map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_async`](crate::CacheRegion::try_get_or_create_async).
    ///
    /// # Errors
    /// See [`get_or_create_async`](Self::get_or_create_async) and
    /// [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    pub async fn try_get_or_create_async<T, E, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> Fut + Send + 'static,
    ) -> Result<T, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.get_or_decide_async(key, || || async { creator().await.map(Created::new) }).await
    }

    /// Returns the value of `key`, awaiting a creator that decides whether its value is stored. `creator` makes the creator if
    /// it is needed, so that a hit pays nothing for what the creator owns.
    pub(crate) async fn get_or_decide_async<T, E, F, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> F,
    ) -> Result<T, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Created<T>, E>> + Send + 'static,
    {
        let creator = || {
            let creator = creator();
            AsyncSingle::<_, false>::new(|_| creator())
        };
        self.create(key, creator).await
    }

    /// See [`CallOptions::get_or_create_with_async`].
    ///
    /// # Errors
    /// See [`get_or_create_async`](Self::get_or_create_async) and [`CallOptions::get_or_create_with`].
    pub async fn get_or_create_with_async<T, E, Fut>(
        self,
        key: &str,
        creator: impl FnOnce(Option<Aged<T>>) -> Fut + Send + 'static,
    ) -> Result<T, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        Fut: Future<Output = Result<Created<T>, E>> + Send + 'static,
    {
        self.create(key, || AsyncSingle::<_, true>::new(creator)).await
    }

    /// See [`CacheRegion::get_or_create_multi_async`](crate::CacheRegion::get_or_create_multi_async).
    ///
    /// # Errors
    /// See [`get_or_create_async`](Self::get_or_create_async) and
    /// [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    pub async fn get_or_create_multi_async<T, Kind, Fut>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(Vec<String>) -> Fut + Send + 'static,
    ) -> Result<Vec<T>, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = Vec<T>> + Send + 'static,
    {
        let creator = move |keys, _| {
            let created = creator(keys);
            async { Ok::<_, Infallible>(Created::all(created.await)) }
        };
        let values = self.create_multi(keys, AsyncMulti::<_, false>::new(creator)).await;
        values.map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_multi_async`](crate::CacheRegion::try_get_or_create_multi_async).
    ///
    /// # Errors
    /// See [`get_or_create_async`](Self::get_or_create_async) and
    /// [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    pub async fn try_get_or_create_multi_async<T, E, Fut>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(Vec<String>) -> Fut + Send + 'static,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        Fut: Future<Output = Result<Vec<T>, E>> + Send + 'static,
    {
        let creator = move |keys| {
            let created = creator(keys);
            async { created.await.map(Created::all) }
        };
        self.get_or_decide_multi_async(keys, creator).await
    }

    /// Returns the values of many keys, awaiting a creator that decides which of its values are stored.
    pub(crate) async fn get_or_decide_multi_async<T, E, Fut>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(Vec<String>) -> Fut + Send + 'static,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        Fut: Future<Output = Result<Vec<Created<T>>, E>> + Send + 'static,
    {
        let creator = move |keys, _| creator(keys);
        self.create_multi(keys, AsyncMulti::<_, false>::new(creator)).await
    }

    /// See [`CallOptions::get_or_create_multi_with_async`].
    ///
    /// # Errors
    /// See [`get_or_create_async`](Self::get_or_create_async) and [`CallOptions::get_or_create_multi_with`].
    pub async fn get_or_create_multi_with_async<T, E, Fut>(
        self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(Vec<String>, Vec<Option<Aged<T>>>) -> Fut + Send + 'static,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        Fut: Future<Output = Result<Vec<Created<T>>, E>> + Send + 'static,
    {
        self.create_multi(keys, AsyncMulti::<_, true>::new(creator)).await
    }

    // The two functions below name the kinds of their creators, so that the compiler can infer that the tasks are `Send`.

    async fn create<T, E, F, Fut, const SEES_OLD: bool>(
        self,
        key: &str,
        creator: impl FnOnce() -> AsyncSingle<F, SEES_OLD>,
    ) -> Result<T, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        F: FnOnce(Option<Aged<T>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Created<T>, E>> + Send + 'static,
    {
        let look = match self.0.creating().look(key)? {
            Look::Fresh(value) => return Ok(value),
            look => look,
        };
        self.settle(key, look, creator, |_, settled| settled.value).await
    }

    /// Returns what `returned` makes of the value of a key that a look did not find fresh.
    pub(super) fn settle<T, E, F, Fut, R, const SEES_OLD: bool>(
        self,
        key: &str,
        look: Look<T>,
        creator: impl FnOnce() -> AsyncSingle<F, SEES_OLD>,
        returned: fn(&Configured, Settled<T>) -> R,
    ) -> asynchronous::Driven<impl Future<Output = Result<R, CreateError<E>>>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        F: FnOnce(Option<Aged<T>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Created<T>, E>> + Send + 'static,
    {
        let call = self.0.creating();
        asynchronous::drive(async move {
            let current = call.state().shared()?;
            let keys = [key];
            let mut request = Request::new(&current.watch, &keys);
            let settled = async {
                let mut policy = call.policy(&current);
                let mangled = current.mangle(key)?;
                let found = current.polling(pin!(current.read_first(&mangled, look, &mut policy))).await?;
                let found = match found {
                    Found { reading: Reading::Fresh(value), metadata } => {
                        return Ok(fresh(value, metadata, &policy));
                    }
                    found => found,
                };
                let spans = request.begin_spans();
                let in_hand = InHand::of(std::slice::from_ref(&found), &policy).map(one);
                if let Some(settled) = &in_hand.at_once
                    && current.stores.gates.get().is_closed(&current.store_key(&mangled))
                {
                    // It is being created. A task could do nothing about it.
                    return Ok(settled.clone());
                }
                let (region, key, creator) = (Arc::clone(&current), key.to_owned(), creator());
                let names = vec![key.clone()];
                let spans = TaskSpans::of(spans, in_hand.at_once.is_some(), &[&key]);
                let still = |had: &Settled<T>| current.may_still_serve(&mangled, had, &policy);
                let creation = async move {
                    let keys = region.call_keys(&[&key])?;
                    let policy = policy.without_limits();
                    let mut call = Call::new(region.tasks(), &region, keys, policy, creator, None)
                        .owning()
                        .within(spans.current());
                    spans.end(region.polling(pin!(call.run(vec![found]))).await).map(one)
                };
                current.wait_for(creation, names, &policy, in_hand, still).await
            };
            let settled = settled.await;
            Ok(returned(&current, end_one(request, settled)?))
        })
    }

    async fn create_multi<T, E, F, Fut, const SEES_OLD: bool>(
        self,
        keys: &[impl AsRef<str>],
        creator: AsyncMulti<F, SEES_OLD>,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        F: FnMut(Vec<String>, Vec<Option<Aged<T>>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<Created<T>>, E>> + Send + 'static,
    {
        self.settle_multi(keys, creator, |_, settled| settled.value).await
    }

    /// Returns what `returned` makes of the values of many keys.
    pub(super) async fn settle_multi<T, E, F, Fut, R, const SEES_OLD: bool>(
        self,
        keys: &[impl AsRef<str>],
        creator: AsyncMulti<F, SEES_OLD>,
        returned: fn(&Configured, Settled<T>) -> R,
    ) -> Result<Vec<R>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display + Send + 'static,
        F: FnMut(Vec<String>, Vec<Option<Aged<T>>>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<Created<T>>, E>> + Send + 'static,
        R: Clone,
    {
        let current = self.0.state().shared()?;
        let mut policy = self.0.creating().policy(&current);
        let sorted = sorted(keys);
        let mut request = Request::new(&current.watch, &sorted);
        let settled = async {
            let mangled = current.mangle_multi(&sorted)?;
            let mangled: Vec<&str> = mangled.iter().map(Cow::as_ref).collect();
            let found =
                current.polling(pin!(current.read_multi(current.tasks(), &mangled, &mut policy))).await?;
            let found = match all_fresh(found, &policy) {
                Ok(fresh) => return Ok(fresh),
                Err(found) => found,
            };
            let spans = request.begin_spans();
            let in_hand = InHand::of(&found, &policy);
            let (region, names) = (Arc::clone(&current), sorted.iter().map(|key| (*key).to_owned()));
            let names: Vec<String> = names.collect();
            let spans = TaskSpans::of(spans, in_hand.at_once.is_some(), &sorted);
            let (owned, limitless) = (names.clone(), policy.without_limits());
            let creation = async move {
                let owned: Vec<&str> = owned.iter().map(String::as_str).collect();
                let keys = region.call_keys(&owned)?;
                let mut call = Call::new(region.tasks(), &region, keys, limitless, creator, None)
                    .owning()
                    .within(spans.current());
                spans.end(region.polling(pin!(call.run(found))).await)
            };
            let still = |had: &Vec<Settled<T>>| {
                let mut all = mangled.iter().zip(had);
                all.all(|(mangled, had)| current.may_still_serve(mangled, had, &policy))
            };
            current.wait_for(creation, names, &policy, in_hand, still).await
        };
        let settled = settled.await;
        Ok(in_request_order(&current, keys, &sorted, end(request, settled)?, returned))
    }
}
