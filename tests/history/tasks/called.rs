//! [`Caller`]: one task's calls of the region, each recorded.

use std::convert::Infallible;
use std::sync::Arc;

use dogpile::{CacheRegion, Created, RegionError};

use super::super::operations::{Call, Key, Operation, Outcome, Value};
use super::super::random::Random;
use super::super::recorder::{Recorder, TaskRecording, moment};
use super::super::worker::{CreatorError, Reply, created, failed, fresh_value, written};
use super::creators::Creators;
use super::dropping::Drops;

/// A task that calls the region.
pub(super) struct Caller {
    pub(super) region: Arc<CacheRegion>,
    /// The names of the keys of the round.
    pub(super) names: Arc<[String]>,
    pub(super) recorder: Arc<Recorder>,
    /// Its number.
    pub(super) task: usize,
    /// Shared by all creators of the round.
    pub(super) alive: Arc<()>,
}

impl Caller {
    /// Performs and records one call, which is dropped when `drops` requires it. With several keys, it is the multi
    /// form.
    pub(super) async fn call(&self, call: Call, keys: &[Key], drops: Drops, random: &mut Random) {
        let keys = if matches!(call, Call::Invalidate | Call::InvalidateSoft) { &[] } else { keys };
        let sets = if call == Call::Set { keys } else { &[] };
        let values: Vec<Value> = sets.iter().map(|_| fresh_value(0)).collect();
        let begun = Operation::begun(self.task, call, keys, &values, moment());
        let detached = call == Call::GetOrCreateWith && random.below(2) == 0;
        let recording = TaskRecording::begin(&self.recorder, self.task, Operation { detached, ..begun });
        let creators = Creators {
            recording: recording.clone(),
            names: Arc::clone(&self.names),
            random: Random::new(random.next(), 0),
            _alive: Arc::clone(&self.alive),
        };
        match drops.apply(self.perform(call, detached, keys, &values, creators)).await {
            Some((outcome, found)) => recording.end(outcome, found),
            None => recording.end(Outcome::Dropped, Vec::new()),
        }
    }

    async fn perform(
        &self,
        call: Call,
        detached: bool,
        keys: &[Key],
        values: &[Value],
        creators: Creators,
    ) -> Reply {
        match call {
            Call::Get => self.get(keys).await,
            Call::Set => written(self.set(keys, values).await),
            Call::Delete => written(self.delete(keys).await),
            Call::Invalidate => written(self.region.invalidate()),
            Call::InvalidateSoft => written(self.region.invalidate_soft()),
            Call::GetOrCreate => self.get_or_create(keys, creators).await,
            Call::GetOrCreateWith if detached => self.detached(keys, creators).await,
            Call::GetOrCreateWith => self.get_or_create_with(keys, creators).await,
        }
    }

    /// Removes the keys without recording that.
    pub(super) async fn forget(&self) {
        // This only saves memory, because the next round has other keys.
        let _ = self.region.delete_multi_async(&self.names).await;
    }

    fn names(&self, keys: &[Key]) -> Vec<&str> {
        keys.iter().map(|key| self.names[*key].as_str()).collect()
    }

    async fn get(&self, keys: &[Key]) -> Reply {
        let found = match self.names(keys)[..] {
            [name] => self.region.get_async(name).await.map(|found| vec![found]),
            ref names => self.region.get_multi_async(names).await,
        };
        found.map_or_else(|error| (failed(&error), Vec::new()), |found| (Outcome::Succeeded, found))
    }

    async fn set(&self, keys: &[Key], values: &[Value]) -> Result<(), RegionError> {
        match self.names(keys)[..] {
            [name] => self.region.set_async(name, values[0]).await,
            ref names => self.region.set_multi_async(names.iter().zip(values.iter().copied())).await,
        }
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), RegionError> {
        match self.names(keys)[..] {
            [name] => self.region.delete_async(name).await,
            ref names => self.region.delete_multi_async(names).await,
        }
    }

    async fn get_or_create(&self, keys: &[Key], creators: Creators) -> Reply {
        let made = match self.names(keys)[..] {
            [name] => {
                let create = async || creators.create(keys.to_vec()).await[0];
                self.region.get_or_create_async(name, create).await.map(|value| vec![value])
            }
            ref names => {
                let create = |missing: Vec<String>| creators.clone().create(creators.keys(&missing));
                self.region.get_or_create_multi_async(names, create).await
            }
        };
        created::<Infallible>(made.map_err(Into::into))
    }

    async fn get_or_create_with(&self, keys: &[Key], creators: Creators) -> Reply {
        let call = self.region.options();
        created::<CreatorError>(match self.names(keys)[..] {
            [name] => {
                let create = async |_| creators.decide(keys.to_vec()).await.map(first);
                call.get_or_create_with_async(name, create).await.map(|value| vec![value])
            }
            ref names => {
                let create = |missing: Vec<String>, _| creators.clone().decide(creators.keys(&missing));
                call.get_or_create_multi_with_async(names, create).await
            }
        })
    }

    async fn detached(&self, keys: &[Key], creators: Creators) -> Reply {
        let call = self.region.options().detach();
        created::<CreatorError>(match self.names(keys)[..] {
            [name] => {
                let keys = keys.to_vec();
                let create = move |_| async move { creators.decide(keys).await.map(first) };
                call.get_or_create_with_async(name, create).await.map(|value| vec![value])
            }
            ref names => {
                let create = move |missing: Vec<String>, _| {
                    let keys = creators.keys(&missing);
                    creators.clone().decide(keys)
                };
                call.get_or_create_multi_with_async(names, create).await
            }
        })
    }
}

fn first(made: Vec<Created<Value>>) -> Created<Value> {
    made.into_iter().next().expect("there is one key")
}
