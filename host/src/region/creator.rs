//! [`Creator`]: what makes the values of a call.

use dogpile_sdk::CreationTime;

use crate::created::{Aged, Created, expires_after};
use crate::engine::{Made, Old};
use crate::error::{CreateError, RegionError};
use crate::shorten::Shortened;

/// Makes values for the keys of a call, and decides how they are stored.
pub(super) trait Creator<T> {
    /// What the caller's function fails with.
    type Error;

    /// Whether the call is for many keys, so that the backend gets many at a time.
    const IS_MULTI: bool;

    /// Whether the caller's function sees the old values.
    const SEES_OLD: bool;

    /// Calls the caller's function for the keys of `call`, and returns one value for each.
    async fn create(
        &mut self,
        call: &CreatorCall<'_>,
        olds: Vec<Option<Old<T>>>,
    ) -> Result<Vec<Made<T>>, CreateError<Self::Error>>;
}

/// A creator that can run without its caller.
pub(super) trait OwnedCreator<T>: Creator<T> + Sized + Send + 'static {
    /// Returns a creator for the runner, unless it is used up.
    fn detach(&mut self) -> Option<Self>;
}

/// A call of a creator.
pub(super) struct CreatorCall<'a> {
    pub(super) region: &'a str,
    /// As the caller gave them.
    pub(super) keys: &'a [&'a str],
    /// The present time of the region, for ages.
    pub(super) now: CreationTime,
}

impl CreatorCall<'_> {
    /// Returns what the creator gets to see of an old value.
    fn aged<T: Clone>(&self, old: Option<&Old<T>>) -> Option<Aged<T>> {
        old.map(|Old { value, metadata }| {
            let creation_time = metadata.creation_time;
            Aged { value: value.clone(), age: creation_time.age(self.now), creation_time }
        })
    }

    /// Returns the old value of the only key, and what the creator gets to see of it.
    pub(super) fn old_of_one<T: Clone>(
        &self,
        olds: Vec<Option<Old<T>>>,
        sees_old: bool,
    ) -> (Option<Old<T>>, Option<Aged<T>>) {
        let old = olds.into_iter().next().flatten();
        let aged = if sees_old { self.aged(old.as_ref()) } else { None };
        (old, aged)
    }

    /// Returns what the creator gets to see of the old values of all keys.
    pub(super) fn aged_all<T: Clone>(&self, olds: &[Option<Old<T>>], sees_old: bool) -> Vec<Option<Aged<T>>> {
        if sees_old { olds.iter().map(|old| self.aged(old.as_ref())).collect() } else { Vec::new() }
    }

    /// Returns the value that was decided on for the only key.
    pub(super) fn made_one<T, E>(
        &self,
        created: Created<T>,
        old: Option<Old<T>>,
    ) -> Result<Vec<Made<T>>, CreateError<E>> {
        Ok(vec![self.made(0, created, old)?])
    }

    /// Returns the values that were decided on for all keys.
    pub(super) fn made_all<T, E>(
        &self,
        created: Vec<Created<T>>,
        olds: Vec<Option<Old<T>>>,
    ) -> Result<Vec<Made<T>>, CreateError<E>> {
        if created.len() != self.keys.len() {
            let (region, expected, made) = (self.region.to_owned(), self.keys.len(), created.len());
            return Err(RegionError::CreatorCount { region, expected, made }.into());
        }
        let decided = created.into_iter().zip(olds).enumerate();
        let made = decided.map(|(place, (created, old))| self.made(place, created, old));
        Ok(made.collect::<Result<_, RegionError>>()?)
    }

    /// Returns the value that was decided on for the key at `place`.
    fn made<T>(
        &self,
        place: usize,
        created: Created<T>,
        old: Option<Old<T>>,
    ) -> Result<Made<T>, RegionError> {
        let mut terms = created.terms;
        match (created.value, old) {
            (Some(value), _) => Ok(Made { value, terms }),
            (None, Some(Old { value, metadata })) => {
                terms.expires_after = terms.expires_after.or_else(|| expires_after(&metadata));
                Ok(Made { value, terms })
            }
            (None, None) => {
                let (region, key) = (self.region.to_owned(), Shortened(self.keys[place]).to_string());
                Err(RegionError::NothingToConfirm { region, key })
            }
        }
    }
}

/// The function of a borrowing creator of one value.
///
/// By reference, so that the protocol is compiled for each type of values and errors, and not for each creator.
pub(super) type CreateOne<'c, T, E> = &'c mut dyn FnMut(Option<Aged<T>>) -> Result<Created<T>, E>;

/// The function of a borrowing creator of many values. See [`CreateOne`].
pub(super) type CreateMany<'c, T, E> =
    &'c mut dyn FnMut(&[&str], Vec<Option<Aged<T>>>) -> Result<Vec<Created<T>>, E>;

/// Returns a function that calls `creator` the first time, and panics the second.
pub(super) fn once<A, R>(creator: impl FnOnce(A) -> R) -> impl FnMut(A) -> R {
    let mut creator = Some(creator);
    // The protocol creates a key at most once in a call.
    move |argument| creator.take().expect("a creator of one value is called once")(argument)
}

/// Makes the value of one key, once.
pub(super) struct Single<F, const SEES_OLD: bool>(Option<F>);

impl<F, const SEES_OLD: bool> Single<F, SEES_OLD> {
    pub(super) fn new(function: F) -> Self {
        Single(Some(function))
    }
}

impl<T, E, F, const SEES_OLD: bool> Creator<T> for Single<F, SEES_OLD>
where
    T: Clone,
    F: FnOnce(Option<Aged<T>>) -> Result<Created<T>, E>,
{
    type Error = E;

    const IS_MULTI: bool = false;
    const SEES_OLD: bool = SEES_OLD;

    async fn create(
        &mut self,
        call: &CreatorCall<'_>,
        olds: Vec<Option<Old<T>>>,
    ) -> Result<Vec<Made<T>>, CreateError<E>> {
        // The protocol creates a key at most once in a call, and not after it handed the creator over.
        let function = self.0.take().expect("a creator of one value is called once");
        let (old, aged) = call.old_of_one(olds, SEES_OLD);
        call.made_one(function(aged).map_err(CreateError::Creator)?, old)
    }
}

impl<T, E, F, const SEES_OLD: bool> OwnedCreator<T> for Single<F, SEES_OLD>
where
    T: Clone,
    F: FnOnce(Option<Aged<T>>) -> Result<Created<T>, E> + Send + 'static,
{
    fn detach(&mut self) -> Option<Self> {
        self.0.take().map(|function| Single(Some(function)))
    }
}

/// Makes the values of many keys.
#[derive(Clone)]
pub(super) struct Multi<F, const SEES_OLD: bool>(F);

impl<F, const SEES_OLD: bool> Multi<F, SEES_OLD> {
    pub(super) fn new(function: F) -> Self {
        Multi(function)
    }
}

impl<T, E, F, const SEES_OLD: bool> Creator<T> for Multi<F, SEES_OLD>
where
    T: Clone,
    F: FnMut(&[&str], Vec<Option<Aged<T>>>) -> Result<Vec<Created<T>>, E>,
{
    type Error = E;

    const IS_MULTI: bool = true;
    const SEES_OLD: bool = SEES_OLD;

    async fn create(
        &mut self,
        call: &CreatorCall<'_>,
        olds: Vec<Option<Old<T>>>,
    ) -> Result<Vec<Made<T>>, CreateError<E>> {
        let aged = call.aged_all(&olds, SEES_OLD);
        call.made_all((self.0)(call.keys, aged).map_err(CreateError::Creator)?, olds)
    }
}

impl<T, E, F, const SEES_OLD: bool> OwnedCreator<T> for Multi<F, SEES_OLD>
where
    T: Clone,
    F: FnMut(&[&str], Vec<Option<Aged<T>>>) -> Result<Vec<Created<T>>, E> + Clone + Send + 'static,
{
    fn detach(&mut self) -> Option<Self> {
        Some(self.clone())
    }
}
