//! [`to_runner`]: creations that a runner makes.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::call::Call;
use super::call_key::CallKey;
use super::configured::Configured;
use super::creator::OwnedCreator;
use super::front_end::Blocking;
use crate::engine::blocking::drive;
use crate::engine::{Led, Queued, create_queued};
use crate::policy::Policy;
use crate::runner::Creation;
use crate::shorten::Shortened;
use crate::value::CacheValue;

/// Gives creations to the region's runner.
pub(super) fn to_runner<T, C>(call: &mut Call<'_, T, C, Blocking>, creations: Vec<(usize, Queued)>)
where
    T: CacheValue,
    C: OwnedCreator<T>,
    C::Error: fmt::Debug + fmt::Display + 'static,
{
    let (Some(runner), Some(creator)) = (&call.current.runner, call.creator.get_mut().detach()) else {
        return;
    };
    let current = Arc::clone(call.current);
    // The backend may work again by then.
    let policy = Policy { skips_backend: false, ..call.policy };
    let (mut keys, mut queued) = (Vec::new(), Vec::new());
    for (place, creation) in creations {
        keys.push(call.keys[place].to_owned());
        queued.push(creation);
    }
    let names: Vec<String> = keys.iter().map(|key| key.key.to_string()).collect();
    runner.run(Creation::new(Arc::clone(&current.region), names, move || {
        run_queued(&current, keys, policy, creator, queued);
    }));
}

/// Creates, on a runner's thread, the keys that no caller took over.
fn run_queued<T, C>(
    current: &Arc<Configured>,
    keys: Vec<CallKey<'static>>,
    policy: Policy,
    creator: C,
    queued: Vec<Queued>,
) where
    T: CacheValue,
    C: OwnedCreator<T>,
    C::Error: fmt::Debug + fmt::Display + 'static,
{
    let mut call = Call::new(Blocking, current, keys, policy, creator, None);
    let leads = |(place, queued): (usize, Queued)| {
        queued.begin(&call.leader, Instant::now()).map(|leadership| Led { place, leadership })
    };
    let led: Vec<Led> = queued.into_iter().enumerate().filter_map(leads).collect();
    let names: Vec<String> = led.iter().map(|led| call.keys[led.place].key.to_string()).collect();
    if let Err(error) = drive(create_queued(&mut call, led)) {
        let (region, error) = (&*current.region, &error as &(dyn std::error::Error + 'static));
        match names.as_slice() {
            [key] => tracing::error!(region, key, error, "a creation in the background failed"),
            keys => {
                tracing::error!(region, keys = %Shortened(keys), error, "a creation in the background failed");
            }
        }
    }
}
