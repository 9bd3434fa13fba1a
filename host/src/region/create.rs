//! Creating the value of one key under the dogpile lock.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::configured::Configured;
use super::options::ShouldCache;
use crate::decision::{Reading, stamp};
use crate::error::{CreateError, RegionError};
use crate::lock::{DogpileLock, Leadership, LockError, Regeneration};
use crate::runner::Creation;
use crate::shorten::Shortened;
use crate::value::CacheValue;

/// A call that found no fresh value of its key.
pub(super) struct Single<'a, T, E, F, P> {
    current: &'a Arc<Configured>,
    /// As the caller gave it.
    key: &'a str,
    mangled: &'a str,
    limit: Option<Duration>,
    /// What it takes to create, until that is done or handed over.
    creator: Option<(F, P)>,
    hand_over: Option<HandOver<'a, T, E, F, P>>,
    creates: PhantomData<fn() -> Result<T, E>>,
}

/// How the creation is handed to the runner: set only where the creator owns what it uses.
type HandOver<'a, T, E, F, P> = fn(&mut Single<'a, T, E, F, P>, Leadership);

impl<'a, T, E, F, P> Single<'a, T, E, F, P>
where
    T: CacheValue,
    F: FnOnce() -> Result<T, E>,
    P: ShouldCache<T>,
{
    pub(super) fn new(
        current: &'a Arc<Configured>,
        key: &'a str,
        mangled: &'a str,
        limit: Option<Duration>,
        creator: F,
        predicate: P,
    ) -> Self {
        let creator = Some((creator, predicate));
        Single { current, key, mangled, limit, creator, hand_over: None, creates: PhantomData }
    }

    /// Lets the region's runner have the creation.
    pub(super) fn in_background(mut self) -> Self
    where
        E: fmt::Debug + 'static,
        F: Send + 'static,
        P: Send + 'static,
    {
        self.hand_over = Some(hand_over);
        self
    }

    /// The value, for a caller that found `first`.
    #[cold]
    pub(super) fn go_on(mut self, first: Reading<T>) -> Result<T, CreateError<E>> {
        let current = self.current;
        if !current.capabilities.stores {
            // Nobody would find what another one created: they create side by side.
            return self.create_unled();
        }
        let backend = &current.backend;
        let get_mutex = |key: &str| backend.get_mutex(key);
        let lock = DogpileLock::new(&current.gates, self.mangled).with_mutex(&get_mutex);
        lock.go_on(first, &mut self).map_err(|error| match error {
            Failure::Call(error) => error,
            Failure::Lock(source) => RegionError::Lock {
                region: current.region.to_string(),
                key: Shortened(self.key).to_string(),
                source,
            }
            .into(),
        })
    }

    /// Calls the creator, and tells whether what it made is to be stored.
    fn make(&mut self) -> Result<(T, bool), CreateError<E>> {
        // `create` is called at most once, and not after `hand_over`.
        let (creator, predicate) = self.creator.take().expect("the creator is called once");
        let began = self.current.clock.now();
        let value = creator().map_err(CreateError::Creator)?;
        self.current.log_created(began, &[self.key]);
        let wanted = predicate.should_cache(&value);
        Ok((value, wanted))
    }

    fn create_unled(&mut self) -> Result<T, CreateError<E>> {
        self.make().map(|(value, _)| value)
    }

    fn create_led(&mut self, leadership: &Leadership) -> Result<T, CreateError<E>> {
        let current = self.current;
        let began = current.clock.now();
        let (value, wanted) = self.make()?;
        if wanted {
            let made = stamp(began, &*current.strategy, &*current.clock);
            let stored = current.encode(self.key, Cow::Borrowed(&value), made)?;
            // The last moment to notice that the key was stored or deleted meanwhile.
            if !leadership.is_superseded() {
                current.store(self.mangled, stored)?;
            }
        }
        Ok(value)
    }
}

/// What a creation can fail with, inside the lock.
pub(super) enum Failure<E> {
    Call(CreateError<E>),
    Lock(LockError),
}

impl<E> From<LockError> for Failure<E> {
    fn from(error: LockError) -> Self {
        Failure::Lock(error)
    }
}

impl<T, E, F, P> Regeneration for Single<'_, T, E, F, P>
where
    T: CacheValue,
    F: FnOnce() -> Result<T, E>,
    P: ShouldCache<T>,
{
    type Value = T;
    type Error = Failure<E>;

    fn read(&mut self) -> Result<Reading<T>, Failure<E>> {
        self.current.read(self.mangled, self.limit).map_err(|error| Failure::Call(error.into()))
    }

    fn create(&mut self, leadership: &Leadership) -> Result<T, Failure<E>> {
        self.create_led(leadership).map_err(Failure::Call)
    }

    fn has_runner(&self) -> bool {
        self.hand_over.is_some() && self.current.runner.is_some()
    }

    fn hand_over(&mut self, leadership: Leadership) {
        if let Some(hand_over) = self.hand_over {
            hand_over(self, leadership);
        }
    }
}

/// Gives the creation to the region's runner.
fn hand_over<T, E, F, P>(single: &mut Single<'_, T, E, F, P>, leadership: Leadership)
where
    T: CacheValue,
    E: fmt::Debug + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
    P: ShouldCache<T> + Send + 'static,
{
    let Some(runner) = &single.current.runner else { return };
    let Some((creator, predicate)) = single.creator.take() else { return };
    let (current, limit) = (Arc::clone(single.current), single.limit);
    let (key, mangled) = (single.key.to_owned(), single.mangled.to_owned());
    let keys = vec![key.clone()];
    runner.run(Creation::new(Arc::clone(&current.region), keys, move || {
        leadership.take_over();
        let mut single = Single::new(&current, &key, &mangled, limit, creator, predicate);
        if let Err(error) = single.create_led(&leadership) {
            tracing::error!(region = &*current.region, key, ?error, "a creation in the background failed");
        }
    }));
}
