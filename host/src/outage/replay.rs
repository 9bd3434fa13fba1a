//! Makes a backend's queued deletions, on a thread that ends when none are left.
//!
//! The thread also probes the backend, so that the deletions are made soon after it works again, whether or not the
//! application calls it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, CacheBackend, CreationTime, ErrorKind};

use super::deletions::Batch;
use super::guard::Guard;
use super::log::TARGET;
use super::refusal::is_outage;

/// The most keys of one call.
const BATCH: usize = 256;

/// How long the first pause after a failure is. It doubles up to the time that the breaker stays open.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest wait before the thread looks whether its guard is still used.
const LOOK: Duration = Duration::from_secs(1);

/// Queues deletions of keys, each given as the store knows it and as `backend` is given it. They are made when the backend
/// works again.
///
/// If the queue is full, all values made until `now` count as missing from now on.
pub(crate) fn queue_deletions<'k>(
    guard: &Arc<Guard>,
    backend: &Arc<dyn CacheBackend>,
    keys: impl IntoIterator<Item = (&'k str, &'k str)>,
    now: CreationTime,
) {
    guard.queue(backend, keys, now);
    start(guard);
}

/// Starts the thread of `guard`, unless it runs already or no deletion waits.
fn start(guard: &Arc<Guard>) {
    let must_start = guard.with(|state| {
        let must_start = !state.is_replaying && !state.deletions.is_empty();
        if must_start {
            state.is_replaying = true;
            state.retry_at = Some(Instant::now() + FIRST_PAUSE);
        }
        must_start
    });
    if !must_start {
        return;
    }
    let weak = Arc::downgrade(guard);
    let started = thread::Builder::new().name("dogpile-replay".to_owned()).spawn(move || run(&weak));
    if let Err(error) = started {
        // The next deletion that is queued tries again.
        guard.with(|state| state.is_replaying = false);
        let (backend, regions) = (&*guard.name, &*guard.regions.shown());
        tracing::error!(target: TARGET, backend, regions, %error, "cannot start the thread that makes queued deletions");
    }
}

/// What the thread does next.
enum Step {
    Wait(Instant),
    Delete(Batch),
    /// No deletion waits.
    End,
}

fn run(guard: &Weak<Guard>) {
    let mut pace = Pace { most: BATCH, pause: FIRST_PAUSE };
    while let Some(guard) = guard.upgrade() {
        match next(&guard, pace.most) {
            Step::End => return,
            Step::Wait(until) => guard.wait(until.min(Instant::now() + LOOK)),
            Step::Delete(batch) => pace.delete(&guard, &batch),
        }
    }
}

fn next(guard: &Guard, most: usize) -> Step {
    let now = Instant::now();
    guard.with(|state| {
        let Some(batch) = state.deletions.oldest(most) else {
            state.is_replaying = false;
            state.retry_at = None;
            return Step::End;
        };
        match state.retry_at {
            Some(retry_at) if now < retry_at => Step::Wait(retry_at),
            _ => Step::Delete(batch),
        }
    })
}

/// How many keys are deleted at a time, and how long the pause after a failure is.
struct Pace {
    most: usize,
    pause: Duration,
}

impl Pace {
    fn delete(&mut self, guard: &Guard, batch: &Batch) {
        let permit = match guard.admit(true) {
            Ok(permit) => permit,
            Err(_) => return self.pause_until_probe(guard),
        };
        let deleted = delete(batch);
        permit.end(&deleted);
        match deleted {
            Ok(()) => {
                guard.replayed(batch);
                *self = Pace { most: (self.most * 4).min(BATCH), pause: FIRST_PAUSE };
            }
            // Find out which key the backend rejects.
            Err(error) if !is_outage(error.kind()) && batch.keys.len() > 1 => self.most = 1,
            Err(error) if !is_outage(error.kind()) => guard.lose(batch, &error),
            Err(_) => {
                // One server of many may be down: try others next, and fewer keys at a time.
                self.most = (self.most / 4).max(1);
                let pause = self.pause;
                self.pause = guard.with(|state| {
                    state.deletions.postpone(&batch.keys);
                    state.retry_at = Some(Instant::now() + pause);
                    (pause * 2).min(state.open_for())
                });
            }
        }
    }

    fn pause_until_probe(&self, guard: &Guard) {
        let now = Instant::now();
        guard.with(|state| {
            // Another probe is running if its time has come.
            let probe = state.next_probe().filter(|probe| *probe > now);
            state.retry_at = Some(probe.unwrap_or(now + self.pause));
        });
    }
}

/// Deletes the keys of `batch`. A panic of the backend is an error.
fn delete(batch: &Batch) -> Result<(), BackendError> {
    let keys: Vec<&str> = batch.mangled.iter().map(String::as_str).collect();
    catch_unwind(AssertUnwindSafe(|| batch.backend.delete_multi(&keys))).unwrap_or_else(|payload| {
        let message = format!("the backend panicked: {}", dogpile_abi::panic_message(payload));
        Err(BackendError::new(ErrorKind::Panicked, message))
    })
}
