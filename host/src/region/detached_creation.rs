//! Creations of detached calls: tasks of their own, for which their callers wait.

use std::fmt;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::background_task::{Ended, Waiting, background_task};
use super::configured::Configured;
use super::front_end::FrontEnd;
use super::in_hand::InHand;
use super::warn::Concerns;
use super::warnings::Warning;
use crate::engine::unless;
use crate::error::{CreateError, RegionError};
use crate::policy::Policy;
use crate::runner::{TaskCreation, contained};
use crate::runtime::{RuntimeFuture, runtime_for};
use crate::shorten::shown_keys;

/// A creation that has not begun. The task takes it when it begins, and the caller if it does not.
type Unbegun<F> = Arc<Mutex<Option<Pin<Box<F>>>>>;

/// Waits for the end of a task, which is `Ok(None)` if the caller took the creation.
type Task<R, E> = Waiting<Option<Result<R, CreateError<E>>>>;

impl Configured {
    /// Has a task create the values of `keys`, and waits for it, unless the caller has something `in_hand` that it takes
    /// by `policy`. It takes nothing that is not `still` valid then.
    pub(super) async fn wait_for<R, E, F>(
        self: &Arc<Self>,
        creation: F,
        keys: Vec<String>,
        policy: &Policy,
        in_hand: InHand<R>,
        still: impl Fn(&R) -> bool,
    ) -> Result<R, CreateError<E>>
    where
        R: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: Future<Output = Result<R, CreateError<E>>> + Send + 'static,
    {
        let began = self.tasks().now();
        let unbegun = Arc::new(Mutex::new(Some(Box::pin(creation))));
        let task = self.begin_task(&unbegun, keys.clone());
        let InHand { at_once, stale, old } = in_hand;
        if let Some(value) = at_once {
            return Ok(value);
        }
        let is_own = AtomicBool::new(false);
        let mut outcome = pin!(self.outcome(task, (&unbegun, &is_own), began, policy.creation_wait_timeout));
        let soft = policy
            .stale_limit()
            .zip(stale)
            .filter(|(soft, _)| policy.creator_timeout.hard.is_none_or(|hard| *soft < hard));
        let ended = match soft {
            Some((soft, stale)) => match self.within(outcome.as_mut(), began, soft).await {
                // A creation that the caller makes would be dropped, and never end.
                None if !is_own.load(Ordering::Relaxed) && still(&stale) => return Ok(stale),
                ended => ended,
            },
            None => None,
        };
        let ended = match (ended, policy.creator_timeout.hard) {
            (Some(ended), _) => ended,
            (None, Some(hard)) => match (self.within(outcome.as_mut(), began, hard).await, old) {
                (Some(ended), _) => ended,
                (None, Some(old)) if still(&old) => return Ok(old),
                (None, _) => {
                    let (region, key) = (self.region.to_string(), shown_keys(&keys));
                    return Err(RegionError::CreatorTimedOut { region, key, limit: hard }.into());
                }
            },
            (None, None) => outcome.await,
        };
        match ended {
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => resume_unwind(panic),
            None => {
                Err(RegionError::TaskDropped { region: self.region.to_string(), key: shown_keys(&keys) }
                    .into())
            }
        }
    }

    /// Gives a creation to the runner, or spawns it. Returns what waits for its end: `None` if the task was dropped, or if
    /// the caller took the creation.
    fn begin_task<R, E, F>(self: &Arc<Self>, unbegun: &Unbegun<F>, keys: Vec<String>) -> Task<R, E>
    where
        R: Send + 'static,
        E: fmt::Display + Send + 'static,
        F: Future<Output = Result<R, CreateError<E>>> + Send + 'static,
    {
        let (current, names) = (Arc::clone(self), keys.clone());
        let unseen = move |ended| log_unseen(&current, &names, ended);
        let (unbegun, working) = (Arc::clone(unbegun), self.stores.bottom.access.work.begin());
        let creation = async move {
            let _working = working;
            let creation = unbegun.lock().take();
            match creation {
                Some(creation) => Some(creation.await),
                None => None,
            }
        };
        let runtime = runtime_for(self.runtime.as_ref());
        let spawn = |future: RuntimeFuture| match &self.runner {
            Some(runner) => {
                let creation = TaskCreation::new(Arc::clone(&self.region), keys, future);
                contained(&self.region, || runner.spawn(creation, &*runtime));
            }
            None => runtime.spawn(future),
        };
        background_task(spawn, creation, unseen)
    }

    /// Waits for the end of `task`. If it was dropped before it began, or has not begun after `patience`, the caller creates, and
    /// notes that the creation is its own.
    async fn outcome<R, E, F>(
        &self,
        mut task: Task<R, E>,
        (unbegun, is_own): (&Unbegun<F>, &AtomicBool),
        began: Instant,
        patience: Duration,
    ) -> Option<Ended<Result<R, CreateError<E>>>>
    where
        F: Future<Output = Result<R, CreateError<E>>>,
    {
        // A runtime begins its tasks. A runner may have a queue, and the creation before this one may wait for this one.
        let patience = if self.runner.is_some() { patience } else { Duration::MAX };
        let ended = self.within(Pin::new(&mut task), began, patience).await;
        if let Some(Some(ended)) = ended {
            return ended.transpose();
        }
        let creation = unbegun.lock().take();
        match (creation, ended) {
            (Some(creation), _) => {
                is_own.store(true, Ordering::Relaxed);
                Some(Ok(creation.await))
            }
            (None, None) => task.await?.transpose(),
            (None, Some(_)) => None,
        }
    }

    /// Waits for `future` until `limit` after `began`.
    async fn within<F: Future>(
        &self,
        future: Pin<&mut F>,
        began: Instant,
        limit: Duration,
    ) -> Option<F::Output> {
        let tasks = self.tasks();
        match began.checked_add(limit) {
            Some(until) => unless(future, tasks.sleep_until(until)).await,
            None => Some(future.await),
        }
    }
}

/// Logs the failure of a creation without waiters.
fn log_unseen<R, E: fmt::Display>(
    current: &Configured,
    keys: &[String],
    ended: Ended<Option<Result<R, CreateError<E>>>>,
) {
    let key = shown_keys(keys);
    match ended {
        Ok(Some(Ok(_)) | None) => {}
        Ok(Some(Err(error))) => {
            current.warn(Warning::DetachedFailed, Concerns::key(&key).because_of(&error));
        }
        Err(payload) => {
            let panic = dogpile_abi::panic_message(payload);
            current.warn(Warning::DetachedPanicked, Concerns::key(&key).because(&panic, None));
        }
    }
}
