//! Creators that a task awaits.

use super::creator::{Creator, CreatorCall};
use super::front_end::{Polling, unmarked};
use crate::created::{Aged, Created};
use crate::engine::{Made, Old};
use crate::error::CreateError;

/// Makes the value of one key, once.
pub(super) struct AsyncSingle<F, const SEES_OLD: bool>(Option<F>);

impl<F, const SEES_OLD: bool> AsyncSingle<F, SEES_OLD> {
    pub(super) fn new(function: F) -> Self {
        AsyncSingle(Some(function))
    }
}

impl<T, E, F, Fut, const SEES_OLD: bool> Creator<T> for AsyncSingle<F, SEES_OLD>
where
    T: Clone,
    F: FnOnce(Option<Aged<T>>) -> Fut,
    Fut: Future<Output = Result<Created<T>, E>>,
{
    type Error = E;

    const IS_MULTI: bool = false;
    const SEES_OLD: bool = SEES_OLD;

    async fn create(
        &mut self,
        call: &CreatorCall<'_>,
        olds: Vec<Option<Old<T>>>,
    ) -> Result<Vec<Made<T>>, CreateError<E>> {
        // The protocol creates a key at most once in a call.
        let function = self.0.take().expect("a creator of one value is called once");
        let (old, aged) = call.old_of_one(olds, SEES_OLD);
        // Boxed: the future of the protocol, which is moved several times, then does not contain that of the creator.
        let future = Box::pin(unmarked(|| function(aged)));
        call.made_one(Polling::unmarked(future).await.map_err(CreateError::Creator)?, old)
    }
}

/// Makes the values of many keys. It owns the keys that it gets, because its future may outlive the call of the function.
pub(super) struct AsyncMulti<F, const SEES_OLD: bool>(F);

impl<F, const SEES_OLD: bool> AsyncMulti<F, SEES_OLD> {
    pub(super) fn new(function: F) -> Self {
        AsyncMulti(function)
    }
}

impl<T, E, F, Fut, const SEES_OLD: bool> Creator<T> for AsyncMulti<F, SEES_OLD>
where
    T: Clone,
    F: FnMut(Vec<String>, Vec<Option<Aged<T>>>) -> Fut,
    Fut: Future<Output = Result<Vec<Created<T>>, E>>,
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
        let keys = call.keys.iter().map(|key| (*key).to_owned()).collect();
        let future = Box::pin(unmarked(|| (self.0)(keys, aged)));
        call.made_all(Polling::unmarked(future).await.map_err(CreateError::Creator)?, olds)
    }
}
