//! Calls with a creator that may borrow from its caller.

use std::borrow::Cow;
use std::convert::{Infallible, identity};
use std::fmt;
use std::sync::Arc;

use super::call::{Call, Owned};
use super::call_key::CallKey;
use super::call_options::CallOptions;
use super::configured::Configured;
use super::creator::{CreateMany, CreateOne, Creator, Multi, Single, once};
use super::ending::{all_fresh, end};
use super::front_end::Blocking;
use super::plain_value::PlainValue;
use crate::created::{Aged, Created};
use crate::engine::blocking::drive;
use crate::engine::{Found, Settled};
use crate::error::{CreateError, RegionError};
use crate::observe::Request;
use crate::policy::Policy;
use crate::value::CacheValue;

impl CallOptions<'_> {
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create`](crate::CacheRegion::get_or_create).
    #[inline]
    pub fn get_or_create<T: CacheValue + PlainValue<Kind>, Kind>(
        self,
        key: &str,
        creator: impl FnOnce() -> T,
    ) -> Result<T, RegionError> {
        self.try_get_or_create(key, || Ok::<T, Infallible>(creator())).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create).
    #[inline]
    pub fn try_get_or_create<T: CacheValue, E: fmt::Display>(
        self,
        key: &str,
        creator: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CreateError<E>> {
        self.get_or_decide(key, || creator().map(Created::new))
    }

    /// Returns the value of `key`, calling a creator that decides whether its value is stored.
    #[inline]
    pub(crate) fn get_or_decide<T: CacheValue, E: fmt::Display>(
        self,
        key: &str,
        creator: impl FnOnce() -> Result<Created<T>, E>,
    ) -> Result<T, CreateError<E>> {
        self.create_borrowing::<T, E, false>(key, |_| creator())
    }

    /// Returns the value of `key`, calling a creator that sees the old value. The creator decides whether to replace
    /// it.
    ///
    /// `creator` gets the stale value, if there is one, as it was read under the dogpile lock. It gets `None` for a
    /// value that is missing or hard-invalidated. Nothing is stored if the key is set or deleted since that value was
    /// read.
    ///
    /// ```
    /// use dogpile::{Aged, CacheRegion, CreateError, Created, RegionConfig};
    ///
    /// # fn changed_since(_version: Option<u32>) -> Result<Option<u32>, std::io::Error> { Ok(Some(7)) }
    /// let region = CacheRegion::new("feeds");
    /// region.configure(RegionConfig::new("dogpile.cache.memory"))?;
    /// let feed = region.options().get_or_create_with("feed", |old: Option<Aged<u32>>| {
    ///     Ok(match changed_since(old.map(|old| old.value))? {
    ///         Some(feed) => Created::new(feed),
    ///         None => Created::unchanged(),
    ///     })
    /// })?;
    /// assert_eq!(feed, 7);
    /// # Ok::<(), CreateError<std::io::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RegionError::NothingToConfirm`] if the creator returns [`Created::unchanged`] without an old value. See
    /// [`CacheRegion::try_get_or_create`](crate::CacheRegion::try_get_or_create) for the others.
    #[inline]
    pub fn get_or_create_with<T: CacheValue, E: fmt::Display>(
        self,
        key: &str,
        creator: impl FnOnce(Option<Aged<T>>) -> Result<Created<T>, E>,
    ) -> Result<T, CreateError<E>> {
        self.create_borrowing::<T, E, true>(key, creator)
    }

    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::get_or_create_multi`](crate::CacheRegion::get_or_create_multi).
    pub fn get_or_create_multi<T: CacheValue + PlainValue<Kind>, Kind>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Vec<T>,
    ) -> Result<Vec<T>, RegionError> {
        let creator = |keys: &[&str]| Ok::<Vec<T>, Infallible>(creator(keys));
        self.try_get_or_create_multi(keys, creator).map_err(CreateError::into_region)
    }

    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    ///
    /// # Errors
    /// See [`CacheRegion::try_get_or_create_multi`](crate::CacheRegion::try_get_or_create_multi).
    pub fn try_get_or_create_multi<T: CacheValue, E: fmt::Display>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Result<Vec<T>, E>,
    ) -> Result<Vec<T>, CreateError<E>> {
        self.get_or_decide_multi(keys, |keys| creator(keys).map(Created::all))
    }

    /// Returns the values of many keys, calling a creator that decides which of its values are stored.
    pub(crate) fn get_or_decide_multi<T: CacheValue, E: fmt::Display>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str]) -> Result<Vec<Created<T>>, E>,
    ) -> Result<Vec<T>, CreateError<E>> {
        let mut creator = |keys: &[&str], _: Vec<Option<Aged<T>>>| creator(keys);
        self.create_multi(keys, Multi::<CreateMany<'_, T, E>, false>::new(&mut creator), None)
    }

    /// Returns the values of many keys, calling a creator that sees the old values. The creator decides whether to
    /// replace them.
    ///
    /// `creator` gets the sorted keys that this caller creates, and the old value of each. It returns one decision for
    /// each key. See [`get_or_create_with`](Self::get_or_create_with).
    ///
    /// # Errors
    /// [`RegionError::CreatorCount`] if `creator` returns a wrong number of decisions. See
    /// [`get_or_create_with`](Self::get_or_create_with) for the others.
    pub fn get_or_create_multi_with<T: CacheValue, E: fmt::Display>(
        self,
        keys: &[impl AsRef<str>],
        mut creator: impl FnMut(&[&str], Vec<Option<Aged<T>>>) -> Result<Vec<Created<T>>, E>,
    ) -> Result<Vec<T>, CreateError<E>> {
        self.create_multi(keys, Multi::<CreateMany<'_, T, E>, true>::new(&mut creator), None)
    }

    /// Returns the value of `key`, calling a creator that may borrow if the value is missing or stale.
    #[inline]
    fn create_borrowing<T: CacheValue, E: fmt::Display, const SEES_OLD: bool>(
        self,
        key: &str,
        creator: impl FnOnce(Option<Aged<T>>) -> Result<Created<T>, E>,
    ) -> Result<T, CreateError<E>> {
        self.creating().fresh_or(key, identity, |current, mangled, policy, found| {
            let mut creator = once(creator);
            let creator = Single::<CreateOne<'_, T, E>, SEES_OLD>::new(&mut creator);
            create_one(current, key, mangled, policy, found, creator, None)
        })
    }

    /// Returns the value of `key`, creating it if it is missing or stale.
    #[inline]
    pub(super) fn create<T: CacheValue, C: Creator<T>>(
        self,
        key: &str,
        creator: C,
        owned: Option<Owned<T, C, Blocking>>,
    ) -> Result<T, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        self.creating().fresh_or(key, identity, |current, mangled, policy, found| {
            create_one(current, key, mangled, policy, found, creator, owned)
        })
    }

    /// Reads many keys, and creates those that are missing or stale in one go.
    pub(super) fn create_multi<T: CacheValue, C: Creator<T>>(
        self,
        keys: &[impl AsRef<str>],
        creator: C,
        owned: Option<Owned<T, C, Blocking>>,
    ) -> Result<Vec<T>, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        self.settle_multi(keys, creator, owned, |_, settled| settled.value)
    }

    /// Returns what `returned` makes of the values of many keys, creating those that are missing or stale in one go.
    pub(super) fn settle_multi<T: CacheValue, C: Creator<T>, R: Clone>(
        self,
        keys: &[impl AsRef<str>],
        creator: C,
        owned: Option<Owned<T, C, Blocking>>,
        returned: fn(&Configured, Settled<T>) -> R,
    ) -> Result<Vec<R>, CreateError<C::Error>>
    where
        C::Error: fmt::Display,
    {
        let (current, sorted) = (self.state().current()?, sorted(keys));
        let settled = create_many(&current, &sorted, self.creating().policy(&current), creator, owned)?;
        Ok(in_request_order(&current, keys, &sorted, settled, returned))
    }
}

/// Returns the value of a key that is missing or stale.
fn create_one<T: CacheValue, C: Creator<T>>(
    current: &Arc<Configured>,
    key: &str,
    mangled: &str,
    policy: Policy,
    found: Found<T>,
    creator: C,
    owned: Option<Owned<T, C, Blocking>>,
) -> Result<T, CreateError<C::Error>>
where
    C::Error: fmt::Display,
{
    let keys = [key];
    let mut request = Request::new(&current.watch, &keys);
    let key = CallKey::new(current, key, Cow::Borrowed(mangled));
    let mut call =
        Call::new(Blocking, current, vec![key], policy, creator, owned).within(request.begin_spans());
    let settled = end(request, drive(call.run(vec![found])))?;
    Ok(settled.into_iter().next().expect("a call for one key returns one value").value)
}

/// Returns the values of the `sorted` keys, creating those that are missing or stale.
fn create_many<T: CacheValue, C: Creator<T>>(
    current: &Arc<Configured>,
    sorted: &[&str],
    mut policy: Policy,
    creator: C,
    owned: Option<Owned<T, C, Blocking>>,
) -> Result<Vec<Settled<T>>, CreateError<C::Error>>
where
    C::Error: fmt::Display,
{
    let mut request = Request::new(&current.watch, sorted);
    let settled = drive(async {
        let call_keys = current.call_keys(sorted)?;
        let mangled: Vec<&str> = call_keys.iter().map(|key| &*key.mangled).collect();
        let found = current.read_multi(Blocking, &mangled, &mut policy).await?;
        let found = match all_fresh(found, &policy) {
            Ok(fresh) => return Ok(fresh),
            Err(found) => found,
        };
        let spans = request.begin_spans();
        let mut call = Call::new(Blocking, current, call_keys, policy, creator, owned).within(spans);
        call.run(found).await
    });
    end(request, settled)
}

/// Returns each of `keys` once, in order.
pub(super) fn sorted(keys: &[impl AsRef<str>]) -> Vec<&str> {
    let mut sorted: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// Returns what `returned` makes of `values`, which are those of the `sorted` keys, in the order of `keys`.
pub(super) fn in_request_order<T, R: Clone>(
    current: &Configured,
    keys: &[impl AsRef<str>],
    sorted: &[&str],
    values: Vec<Settled<T>>,
    returned: fn(&Configured, Settled<T>) -> R,
) -> Vec<R> {
    let values: Vec<R> = values.into_iter().map(|settled| returned(current, settled)).collect();
    let value =
        |key: &_| sorted.binary_search(&AsRef::<str>::as_ref(key)).ok().map(|place| values[place].clone());
    keys.iter().filter_map(value).collect()
}
