//! [`Creators`]: what the creators of a task do, each recorded.

use std::sync::Arc;
use std::time::Duration;

use dogpile::Created;

use super::super::operations::{Key, Value};
use super::super::random::Random;
use super::super::recorder::TaskRecording;
use super::super::worker::{CREATED, CreatorError, NOT_CACHEABLE, decide, fresh_value, is_cacheable};

/// The creators of one call. They own what they use, because a detached creation outlives its caller.
#[derive(Clone)]
pub(super) struct Creators {
    pub(super) recording: TaskRecording,
    pub(super) names: Arc<[String]>,
    pub(super) random: Random,
    /// Shared by all creators of a round, so that the round can wait for their end.
    pub(super) _alive: Arc<()>,
}

impl Creators {
    /// Makes a value for each key.
    pub(super) async fn create(self, keys: Vec<Key>) -> Vec<Value> {
        self.make(keys, |_| CREATED).await
    }

    /// Makes decisions for the keys, or fails.
    pub(super) async fn decide(mut self, keys: Vec<Key>) -> Result<Vec<Created<Value>>, CreatorError> {
        if self.random.below(3) == 0 {
            let _run = self.recording.called(&keys);
            rest(&mut self.random).await;
            return Err(CreatorError);
        }
        let bits = |random: &mut Random| if random.below(8) == 0 { CREATED | NOT_CACHEABLE } else { CREATED };
        Ok(self.make(keys, bits).await.into_iter().map(decide).collect())
    }

    /// Returns the keys that the region calls by `names`.
    pub(super) fn keys(&self, names: &[String]) -> Vec<Key> {
        let key = |name: &String| self.names.iter().position(|own| own == name);
        names.iter().map(|name| key(name).expect("the creator is called with keys of its call")).collect()
    }

    async fn make(mut self, keys: Vec<Key>, bits: impl Fn(&mut Random) -> Value) -> Vec<Value> {
        let run = self.recording.called(&keys);
        rest(&mut self.random).await;
        let values: Vec<Value> = keys.iter().map(|_| fresh_value(bits(&mut self.random))).collect();
        run.returned(values.iter().map(|value| (*value, is_cacheable(value))).collect());
        values
    }
}

/// Waits: not at all, for some polls, or for a moment.
pub(super) async fn rest(random: &mut Random) {
    match random.below(8) {
        0..3 => {}
        3..6 => {
            for _ in 0..=random.below(3) {
                tokio::task::yield_now().await;
            }
        }
        _ => tokio::time::sleep(Duration::from_millis(1)).await,
    }
}
