//! [`to_runner`]: creations that a runner makes, with or without a caller that waits.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::background_task::{Ended, one_shot};
use super::call::{Call, Owned};
use super::call_key::CallKey;
use super::configured::Configured;
use super::creator::OwnedCreator;
use super::front_end::{Blocking, FrontEnd};
use super::task_spans::TaskSpans;
use super::warn::Concerns;
use super::warnings::Warning;
use super::work::Working;
use crate::engine::blocking::drive;
use crate::engine::{Batch, Elsewhere, Led, Limits, Queued, create_batch, create_queued, unless};
use crate::error::CreateError;
use crate::policy::Policy;
use crate::runner::{Creation, contained};
use crate::shorten::shown_keys;
use crate::value::CacheValue;

/// What a call can do whose creator owns what it uses.
pub(super) fn to_runner<T, C>() -> Owned<T, C, Blocking>
where
    T: CacheValue,
    C: OwnedCreator<T>,
    C::Error: fmt::Debug + fmt::Display + Send + 'static,
{
    Owned { queue, create }
}

/// Gives a batch to the region's runner, and waits for it until a limit at which the caller `may_leave`.
fn create<'a, T, C>(
    call: &mut Call<'a, T, C, Blocking>,
    batch: Batch<T>,
    Limits { until, last }: Limits,
    may_leave: &dyn Fn(&Call<'a, T, C, Blocking>) -> bool,
) -> Elsewhere<T, CreateError<C::Error>>
where
    T: CacheValue,
    C: OwnedCreator<T>,
    C::Error: fmt::Debug + fmt::Display + Send + 'static,
{
    let (Some(_), Some(creator)) = (&call.current.runner, call.creator.get_mut().detach()) else {
        return Elsewhere::Back(batch);
    };
    let (current, policy, places) = (Arc::clone(call.current), call.policy.without_limits(), batch.places());
    let keys: Vec<_> = places.iter().map(|place| call.keys[*place].to_owned()).collect();
    let names: Vec<String> = keys.iter().map(|key| key.key.to_string()).collect();
    // Shared with the caller, which takes it back if the runner drops the creation.
    let parts = Arc::new(Mutex::new(Some((batch.with_places(0..), creator))));
    let (region, shown) = (Arc::clone(&current), names.clone());
    let (ending, mut waiting) = one_shot(move |ended| log_unseen(&region, &shown, ended));
    let (taken, spans) = (Arc::clone(&parts), call.spans.clone());
    hand_over(call.current, names.clone(), move || {
        let Some((batch, creator)) = taken.lock().take() else { return };
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let mut call = Call::new(Blocking, &current, keys, policy, creator, None).owning().within(spans);
            drive(create_batch(&mut call, batch))
        }));
        match ending.end(ended) {
            Some(Ok(Err(error))) => log_failed(&current, &names, &error),
            Some(Err(panic)) => resume_unwind(panic),
            Some(Ok(Ok(_))) | None => {}
        }
    });
    let take_back = |call: &mut Call<'a, T, C, Blocking>| {
        let (batch, creator) = parts.lock().take()?;
        *call.creator.get_mut() = creator;
        Some(Elsewhere::Back(batch.with_places(places.iter().copied())))
    };
    let ended = match drive(unless(&mut waiting, Blocking.sleep_until(until))) {
        None if may_leave(call) => return Elsewhere::Left,
        None => {
            // The old value may not be served any more. A runner that has not begun, perhaps because it waits for this caller,
            // must not keep the creation.
            if let Some(back) = take_back(call) {
                return back;
            }
            match last {
                Some(last) => drive(unless(&mut waiting, Blocking.sleep_until(last))),
                None => Some(drive(waiting)),
            }
        }
        ended => ended,
    };
    match ended {
        None => Elsewhere::LeftAtLast,
        Some(Some(Ok(values))) => Elsewhere::Ended(values),
        Some(Some(Err(panic))) => resume_unwind(panic),
        Some(None) => match take_back(call) {
            Some(back) => back,
            None => unreachable!("a runner that begins a creation ends it"),
        },
    }
}

/// Gives creations to the region's runner, for callers that got the old values.
fn queue<T, C>(call: &mut Call<'_, T, C, Blocking>, creations: Vec<(usize, Queued)>)
where
    T: CacheValue,
    C: OwnedCreator<T>,
    C::Error: fmt::Debug + fmt::Display + Send + 'static,
{
    let (Some(_), Some(creator)) = (&call.current.runner, call.creator.get_mut().detach()) else {
        return;
    };
    let current = Arc::clone(call.current);
    // The backend may work again by then.
    let policy = Policy { skips_backend: false, ..call.policy.without_limits() };
    let (mut keys, mut queued) = (Vec::new(), Vec::new());
    for (place, creation) in creations {
        keys.push(call.keys[place].to_owned());
        queued.push(creation);
    }
    let names: Vec<&str> = keys.iter().map(|key| &*key.key).collect();
    let spans = TaskSpans::of(call.spans.clone(), true, &names);
    let names = names.into_iter().map(str::to_owned).collect();
    hand_over(call.current, names, move || run_queued(&current, keys, policy, creator, queued, &spans));
}

/// Gives the `work` that creates `keys` to the region's runner.
fn hand_over(current: &Configured, keys: Vec<String>, work: impl FnOnce() + Send + 'static) {
    let Some(runner) = &current.runner else { return };
    let counted = Counted { work, _working: current.stores.bottom.access.work.begin() };
    let creation = Creation::new(Arc::clone(&current.region), keys, move || counted.run());
    contained(&current.region, || runner.run(creation));
}

/// Work that a runner has. Dropped without having run, it releases its keys first, and then no longer counts.
struct Counted<F> {
    work: F,
    _working: Working,
}

impl<F: FnOnce()> Counted<F> {
    fn run(self) {
        (self.work)();
    }
}

/// Creates, on a runner's thread, the keys that no caller took over.
fn run_queued<T, C>(
    current: &Arc<Configured>,
    keys: Vec<CallKey<'static>>,
    policy: Policy,
    creator: C,
    queued: Vec<Queued>,
    spans: &TaskSpans,
) where
    T: CacheValue,
    C: OwnedCreator<T>,
    C::Error: fmt::Debug + fmt::Display + Send + 'static,
{
    let mut call = Call::new(Blocking, current, keys, policy, creator, None).owning().within(spans.current());
    let leads = |(place, queued): (usize, Queued)| {
        queued.begin(&call.leader, Instant::now()).map(|leadership| Led { place, leadership })
    };
    let led: Vec<Led> = queued.into_iter().enumerate().filter_map(leads).collect();
    let names: Vec<String> = led.iter().map(|led| call.keys[led.place].key.to_string()).collect();
    if let Err(error) = spans.end(drive(create_queued(&mut call, led))) {
        log_failed(current, &names, &error);
    }
}

/// Logs the failure of a creation whose caller left just before it could take it.
fn log_unseen<R, E: fmt::Debug + fmt::Display + 'static>(
    current: &Configured,
    names: &[String],
    ended: Ended<Result<R, CreateError<E>>>,
) {
    match ended {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => log_failed(current, names, &error),
        Err(payload) => {
            let panic = dogpile_abi::panic_message(payload);
            current.warn(Warning::BackgroundFailed, Concerns::key(&shown_keys(names)).because(&panic, None));
        }
    }
}

fn log_failed<E: fmt::Debug + fmt::Display + 'static>(
    current: &Configured,
    names: &[String],
    error: &CreateError<E>,
) {
    current.warn(Warning::BackgroundFailed, Concerns::key(&shown_keys(names)).because_of(error));
}
