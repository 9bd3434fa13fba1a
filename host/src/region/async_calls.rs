//! Calls that a task awaits.

use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use super::async_creator::{AsyncMulti, AsyncSingle};
use super::call::Call;
use super::call_key::CallKey;
use super::call_options::CallOptions;
use super::configured::Configured;
use super::creator::Creator;
use super::ending::{all_fresh, end, end_one, fresh};
use super::front_end::{Polling, Tasks};
use super::get_or_create::{in_request_order, sorted};
use super::plain_value::PlainValue;
use crate::created::{Aged, Created};
use crate::decision::Reading;
use crate::engine::{Found, Settled, asynchronous};
use crate::error::{CreateError, RegionError};
use crate::observe::Request;
use crate::policy::Policy;
use crate::value::CacheValue;

/// What a call can find out about a key without waiting.
pub(super) enum Look<T> {
    Fresh(T),
    /// Boxed, so that a call without waiting stays small, and so that its memory is free while the call waits.
    NotFresh(Box<FirstRead<T>>),
    /// The store may block, so that it was not read.
    NotRead,
}

/// A first read that found no fresh value.
pub(super) struct FirstRead<T> {
    found: Found<T>,
    /// Whether the backend failed.
    skips_backend: bool,
}

impl CallOptions<'_> {
    /// See [`CacheRegion::get_async`](crate::CacheRegion::get_async).
    ///
    /// # Errors
    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    pub async fn get_async<T: CacheValue>(&self, key: &str) -> Result<Option<T>, RegionError> {
        let current = self.state().current()?;
        if current.stores.are_immediate() {
            let access = &current.stores.bottom.access;
            let otherwise = |current: &Arc<Configured>, _: &_, policy: Policy, found: Found<T>| {
                Ok(current.found(key, &policy, found.reading))
            };
            return access.without_blocking(|| self.fresh_in(&current, key, Some, otherwise));
        }
        drop(current);
        asynchronous::drive(async {
            let current = self.state().shared()?;
            let mut policy = self.policy(&current);
            current.polling(pin!(current.get(current.tasks(), key, &mut policy))).await
        })
        .await
    }

    /// See [`CacheRegion::get_multi_async`](crate::CacheRegion::get_multi_async).
    ///
    /// # Errors
    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    pub async fn get_multi_async<T: CacheValue>(
        &self,
        keys: &[impl AsRef<str>],
    ) -> Result<Vec<Option<T>>, RegionError> {
        let current = self.state().shared()?;
        let mut policy = self.policy(&current);
        current.polling(pin!(current.get_multi(current.tasks(), keys, &mut policy))).await
    }

    /// See [`CacheRegion::get_value_metadata_async`](crate::CacheRegion::get_value_metadata_async).
    ///
    /// # Errors
    /// See [`CacheRegion::get`](crate::CacheRegion::get).
    pub async fn get_value_metadata_async<T: CacheValue>(
        &self,
        key: &str,
    ) -> Result<Option<Aged<T>>, RegionError> {
        let current = self.state().shared()?;
        let mut policy = self.policy(&current);
        current.polling(pin!(current.get_aged(current.tasks(), key, &mut policy))).await
    }

    /// See [`CacheRegion::set_async`](crate::CacheRegion::set_async).
    ///
    /// # Errors
    /// See [`CacheRegion::set`](crate::CacheRegion::set).
    pub async fn set_async<T: CacheValue>(&self, key: &str, value: T) -> Result<(), RegionError> {
        let current = self.state().shared()?;
        let mut policy = self.policy(&current);
        current.polling(pin!(current.set(current.tasks(), key, value, &mut policy))).await
    }

    /// See [`CacheRegion::set_multi_async`](crate::CacheRegion::set_multi_async).
    ///
    /// # Errors
    /// See [`CacheRegion::set_multi`](crate::CacheRegion::set_multi).
    pub async fn set_multi_async<K: AsRef<str>, T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (K, T)>,
    ) -> Result<(), RegionError> {
        let current = self.state().shared()?;
        let entries = current.encode_multi(values)?;
        let mut policy = self.policy(&current);
        current.polling(pin!(current.set_multi(current.tasks(), entries, &mut policy))).await
    }

    /// See [`CacheRegion::delete_async`](crate::CacheRegion::delete_async).
    ///
    /// # Errors
    /// See [`CacheRegion::delete`](crate::CacheRegion::delete).
    pub async fn delete_async(&self, key: &str) -> Result<(), RegionError> {
        let current = self.state().shared()?;
        let mut policy = self.policy(&current);
        current.polling(pin!(current.delete(current.tasks(), key, &mut policy))).await
    }

    /// See [`CacheRegion::delete_multi_async`](crate::CacheRegion::delete_multi_async).
    ///
    /// # Errors
    /// See [`CacheRegion::delete_multi`](crate::CacheRegion::delete_multi).
    pub async fn delete_multi_async(&self, keys: &[impl AsRef<str>]) -> Result<(), RegionError> {
        let current = self.state().shared()?;
        let mangled = current.mangle_multi(keys)?;
        let mut policy = self.policy(&current);
        current.polling(pin!(current.delete_multi(current.tasks(), &mangled, &mut policy))).await
    }

    /// See [`CacheRegion::get_or_create_async`](crate::CacheRegion::get_or_create_async).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    pub async fn get_or_create_async<T, Kind, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> Fut,
    ) -> Result<T, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = T>,
    {
        let look = match self.creating().look(key)? {
            Look::Fresh(value) => return Ok(value),
            look => look,
        };
        create_plain(self, look, key, creator).await
    }

    /// See [`CacheRegion::try_get_or_create_async`](crate::CacheRegion::try_get_or_create_async).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    pub async fn try_get_or_create_async<T, E, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> Fut,
    ) -> Result<T, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<T, E>>,
    {
        let look = match self.creating().look(key)? {
            Look::Fresh(value) => return Ok(value),
            look => look,
        };
        create_fallible(self, look, key, creator).await
    }

    /// Returns the value of `key`, awaiting a creator that decides whether its value is stored.
    pub(crate) async fn get_or_decide_async<T, E, Fut>(
        self,
        key: &str,
        creator: impl FnOnce() -> Fut,
    ) -> Result<T, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<Created<T>, E>>,
    {
        let look = match self.creating().look(key)? {
            Look::Fresh(value) => return Ok(value),
            look => look,
        };
        create_after(self, look, key, AsyncSingle::<_, false>::new(|_| creator())).await
    }

    /// Awaits a creator that sees the old value and decides whether to replace it. See
    /// [`get_or_create_with`](Self::get_or_create_with).
    ///
    /// # Errors
    /// See [`get_or_create_with`](Self::get_or_create_with).
    pub async fn get_or_create_with_async<T, E, Fut>(
        self,
        key: &str,
        creator: impl FnOnce(Option<Aged<T>>) -> Fut,
    ) -> Result<T, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<Created<T>, E>>,
    {
        let look = match self.creating().look(key)? {
            Look::Fresh(value) => return Ok(value),
            look => look,
        };
        create_after(self, look, key, AsyncSingle::<_, true>::new(creator)).await
    }

    /// See [`CacheRegion::get_or_create_multi_async`](crate::CacheRegion::get_or_create_multi_async).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    pub async fn get_or_create_multi_async<T, Kind, Fut>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(Vec<String>) -> Fut,
    ) -> Result<Vec<T>, RegionError>
    where
        T: CacheValue + PlainValue<Kind>,
        Fut: Future<Output = Vec<T>>,
    {
        let creator = move |keys, _| {
            let created = creator(keys);
            async { Ok::<_, Infallible>(Created::all(created.await)) }
        };
        let values = self.create_multi_async(keys, AsyncMulti::<_, false>::new(creator)).await;
        values.map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_multi_async`](crate::CacheRegion::try_get_or_create_multi_async).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    pub async fn try_get_or_create_multi_async<T, E, Fut>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(Vec<String>) -> Fut,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<Vec<T>, E>>,
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
        mut creator: impl FnMut(Vec<String>) -> Fut,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<Vec<Created<T>>, E>>,
    {
        let creator = move |keys, _| creator(keys);
        self.create_multi_async(keys, AsyncMulti::<_, false>::new(creator)).await
    }

    /// Awaits a creator that sees the old values of many keys. It decides whether to replace them. See
    /// [`get_or_create_multi_with`](Self::get_or_create_multi_with). The creator gets owned keys.
    ///
    /// # Errors
    /// See [`get_or_create_multi_with`](Self::get_or_create_multi_with).
    pub async fn get_or_create_multi_with_async<T, E, Fut>(
        self,
        keys: &[impl AsRef<str>],
        creator: impl FnMut(Vec<String>, Vec<Option<Aged<T>>>) -> Fut,
    ) -> Result<Vec<T>, CreateError<E>>
    where
        T: CacheValue,
        E: fmt::Display,
        Fut: Future<Output = Result<Vec<Created<T>>, E>>,
    {
        self.create_multi_async(keys, AsyncMulti::<_, true>::new(creator)).await
    }

    /// See [`CacheRegion::key_is_locked_async`](crate::CacheRegion::key_is_locked_async).
    pub(super) async fn key_is_locked_async(self, key: &str) -> Result<bool, RegionError> {
        let current = self.state().shared()?;
        current.polling(pin!(current.is_locked(current.tasks(), key))).await
    }

    /// Reads `key` if that does not block.
    #[inline]
    pub(super) fn look<T: CacheValue>(&self, key: &str) -> Result<Look<T>, RegionError> {
        let current = self.state().current()?;
        if !current.stores.are_immediate() {
            return Ok(Look::NotRead);
        }
        let otherwise = |_: &Arc<Configured>, _: &_, policy: Policy, found| {
            Ok(Look::NotFresh(Box::new(FirstRead { found, skips_backend: policy.skips_backend })))
        };
        let access = &current.stores.bottom.access;
        access.without_blocking(|| self.fresh_in(&current, key, Look::Fresh, otherwise))
    }

    /// Returns what `returned` makes of the value of a key that a look did not find fresh.
    // Not an `async fn`: the future of its caller then has a pointer to this one.
    pub(super) fn settle_async<T: CacheValue, C: Creator<T>, R>(
        self,
        key: &str,
        look: Look<T>,
        creator: C,
        returned: fn(&Configured, Settled<T>) -> R,
    ) -> asynchronous::Driven<impl Future<Output = Result<R, CreateError<C::Error>>>>
    where
        C::Error: fmt::Display,
    {
        // A waiting task keeps only the policy within its call: the options are freed once it is known.
        let options = Box::new(self);
        asynchronous::drive(async move {
            let current = options.state().shared()?;
            let keys = [key];
            let mut request = Request::new(&current.watch, &keys);
            let settled = async {
                let key = CallKey::new(&current, key, current.mangle(key)?);
                let (found, policy) = {
                    let mut policy = options.policy(&current);
                    drop(options);
                    (current.read_first(&key.mangled, look, &mut policy).await?, policy)
                };
                if let Reading::Fresh(value) = found.reading {
                    return Ok(fresh(value, found.metadata, &policy));
                }
                let spans = request.begin_spans();
                let mut call =
                    Call::new(current.tasks(), &current, vec![key], policy, creator, None).within(spans);
                call.run(vec![found]).await.map(one)
            };
            let settled = current.polling(pin!(settled)).await;
            Ok(returned(&current, end_one(request, settled)?))
        })
    }

    /// Reads many keys, and creates those that are missing or stale in one go.
    async fn create_multi_async<T: CacheValue, C: Creator<T>>(
        self,
        keys: &[impl AsRef<str>],
        creator: C,
    ) -> Result<Vec<T>, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        self.settle_multi_async(keys, creator, |_, settled| settled.value).await
    }

    /// Returns what `returned` makes of the values of many keys, creating those that are missing or stale in one go.
    pub(super) async fn settle_multi_async<T: CacheValue, C: Creator<T>, R: Clone>(
        self,
        keys: &[impl AsRef<str>],
        creator: C,
        returned: fn(&Configured, Settled<T>) -> R,
    ) -> Result<Vec<R>, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        let current = self.state().shared()?;
        let policy = self.creating().policy(&current);
        let sorted = sorted(keys);
        let mut request = Request::new(&current.watch, &sorted);
        let settled = async {
            let call_keys = current.call_keys(&sorted)?;
            current.polling(pin!(current.create_multi(call_keys, policy, creator, &mut request))).await
        };
        let settled = settled.await;
        Ok(in_request_order(&current, keys, &sorted, end(request, settled)?, returned))
    }
}

impl Configured {
    /// Returns the front end for tasks.
    pub(super) fn tasks(&self) -> Tasks<'_> {
        Tasks::new(self.runtime.as_ref())
    }

    /// Returns `future`, which is an asynchronous call of this region. In debug builds, a blocking call in it panics.
    pub(super) fn polling<F: Future + Unpin>(&self, future: F) -> Polling<F> {
        self.stores.bottom.access.polling(future)
    }

    /// Returns what a look found, or reads now.
    pub(super) async fn read_first<T: CacheValue>(
        &self,
        mangled: &str,
        look: Look<T>,
        policy: &mut Policy,
    ) -> Result<Found<T>, RegionError> {
        match look {
            Look::Fresh(value) => Ok(Found { reading: Reading::Fresh(value), metadata: None }),
            Look::NotFresh(read) => {
                policy.skips_backend |= read.skips_backend;
                Ok(read.found)
            }
            // Boxed, so that its memory is free while the call waits for a creation.
            Look::NotRead => Box::pin(self.find(self.tasks(), mangled, policy)).await,
        }
    }

    /// Returns the values of many keys, each once and in order.
    pub(super) async fn create_multi<T: CacheValue, C: Creator<T>>(
        self: &Arc<Self>,
        keys: Vec<CallKey<'_>>,
        mut policy: Policy,
        creator: C,
        request: &mut Request<'_>,
    ) -> Result<Vec<Settled<T>>, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        let mangled: Vec<&str> = keys.iter().map(|key| &*key.mangled).collect();
        let found = self.read_multi(self.tasks(), &mangled, &mut policy).await?;
        let found = match all_fresh(found, &policy) {
            Ok(fresh) => return Ok(fresh),
            Err(found) => found,
        };
        let spans = request.begin_spans();
        let mut call = Call::new(self.tasks(), self, keys, policy, creator, None).within(spans);
        call.run(found).await
    }
}

// A hit ends in the function that the caller awaits. Each further future would copy the creator before it and the result after
// it, which may be a large error. A call of a region makes its options only here, for the same reason.

/// Creates the value of `key` after a `look` without a hit.
#[cold]
#[inline(never)]
pub(super) fn create_plain<T, Kind, Fut>(
    options: CallOptions<'_>,
    look: Look<T>,
    key: &str,
    creator: impl FnOnce() -> Fut,
) -> impl Future<Output = Result<T, RegionError>>
where
    T: CacheValue + PlainValue<Kind>,
    Fut: Future<Output = T>,
{
    let creator = |_| async { Ok::<_, Infallible>(Created::new(creator().await)) };
    let created = create_after(options, look, key, AsyncSingle::<_, false>::new(creator));
    async { created.await.map_err(CreateError::into_region) }
}

/// Creates the value of `key` with a creator that may fail, after a `look` without a hit.
#[cold]
#[inline(never)]
pub(super) fn create_fallible<T, E, Fut>(
    options: CallOptions<'_>,
    look: Look<T>,
    key: &str,
    creator: impl FnOnce() -> Fut,
) -> impl Future<Output = Result<T, CreateError<E>>>
where
    T: CacheValue,
    E: fmt::Display,
    Fut: Future<Output = Result<T, E>>,
{
    let creator = |_| async { creator().await.map(Created::new) };
    create_after(options, look, key, AsyncSingle::<_, false>::new(creator))
}

/// Reads `key` if the `look` did not, and creates its value if it is missing or stale.
fn create_after<T: CacheValue, C: Creator<T>>(
    options: CallOptions<'_>,
    look: Look<T>,
    key: &str,
    creator: C,
) -> impl Future<Output = Result<T, CreateError<C::Error>>>
where
    C::Error: fmt::Display,
{
    options.creating().settle_async(key, look, creator, |_, settled| settled.value)
}

/// Returns the only value of a call for one key.
pub(super) fn one<T>(values: Vec<T>) -> T {
    values.into_iter().next().expect("a call for one key returns one value")
}
