//! Storing the values that a [`Call`] created.

use std::borrow::Cow;

use dogpile_sdk::CreationTime;

use super::Call;
use crate::decision::stamp;
use crate::engine::{StoreInProgress, Storing};
use crate::error::RegionError;
use crate::observe::EventKind;
use crate::outage::was_refused;
use crate::redacted::Redacted;
use crate::region::call_key::CallKey;
use crate::region::creator::Creator;
use crate::region::front_end::FrontEnd;
use crate::region::store_writes::Write;
use crate::region::stores::Encoded;
use crate::region::warn::Concerns;
use crate::region::warnings::Warning;
use crate::value::CacheValue;

/// Created values in their stored form.
#[derive(Default)]
pub(super) struct ToStore {
    entries: Vec<(String, Encoded)>,
    in_progress: Vec<StoreInProgress>,
}

impl<T: CacheValue, C: Creator<T>, F: FrontEnd> Call<'_, T, C, F> {
    /// Returns the places of those of `values` that can be serialized, and what is to be stored for them.
    pub(super) fn encode_all(
        &self,
        values: Vec<Storing<'_, T>>,
        began: CreationTime,
    ) -> (Vec<usize>, ToStore) {
        let ended = self.current.clock.stamp();
        let (mut places, mut to_store) = (Vec::with_capacity(values.len()), ToStore::default());
        for storing in values {
            match self.encode(&storing, began, ended) {
                Ok(encoded) => {
                    places.push(storing.place);
                    to_store.entries.push((self.keys[storing.place].mangled.to_string(), encoded));
                    to_store.in_progress.extend(storing.in_progress);
                }
                Err(error) => {
                    self.note(&[storing.place], EventKind::NotSerialized);
                    self.log_not_stored(&[storing.place], &error);
                }
            }
        }
        (places, to_store)
    }

    pub(super) async fn store_all(&mut self, to_store: ToStore) -> Result<(), RegionError> {
        let ToStore { mut entries, in_progress } = to_store;
        let stores = &self.current.stores;
        let mut write = Write::of_created(&mut self.policy, &self.current.clock);
        match entries.pop() {
            Some((mangled, encoded)) if !C::IS_MULTI => {
                stores.set(self.front, &mangled, encoded, in_progress, &mut write).await
            }
            Some(last) => {
                entries.push(last);
                stores.set_multi(self.front, entries, in_progress, &mut write).await
            }
            None => Ok(()),
        }
    }

    fn encode(
        &self,
        storing: &Storing<'_, T>,
        began: CreationTime,
        ended: CreationTime,
    ) -> Result<Encoded, RegionError> {
        let Storing { place, made, fence, .. } = storing;
        let CallKey { key, mangled, .. } = &self.keys[*place];
        let metadata = stamp(mangled, made.terms.metadata(began), ended, &*self.current.strategy);
        let mut encoded = self.current.stores.encode(key, Cow::Borrowed(&made.value), &metadata)?;
        encoded.options.fence.clone_from(fence);
        encoded.options.keep_for = self.current.keep_for(made.terms.expires_after, &self.policy);
        Ok(encoded)
    }

    #[cold]
    pub(super) fn log_not_stored(&self, places: &[usize], error: &RegionError) {
        if error.backend_error().is_some_and(was_refused) {
            return;
        }
        let key = self.shown_all(places);
        // The reason why a value cannot be serialized may quote it.
        let redacted = Redacted(error);
        let concerns = Concerns::key(&key).because(&redacted, error.backend_error());
        self.current.warn(Warning::NotStored, concerns);
    }
}
