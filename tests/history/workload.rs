//! [`Run`]: rounds of random operations by eight threads on a few fresh keys.

use std::ops::ControlFlow;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::CacheRegion;

use super::operations::{Call, History, Key, Outcome};
use super::random::{Random, pause, set_pace};
use super::recorder::{Recorder, moment};
use super::worker::Worker;

/// The number of threads in a round.
const THREADS: usize = 8;
/// The number of keys of a round.
pub(crate) const KEYS: usize = 3;
/// The number of operations of each thread in a round.
pub(crate) const OPERATIONS: usize = 8;

/// The longest pauses, in microseconds: one for each kind of round.
const PAUSES: [u64; 4] = [0, 100, 200, 400];
/// The weight of each call: one mix per kind of round.
const MIXES: [&[(Call, u64)]; 4] = [
    // Everything.
    &[
        (Call::Get, 3),
        (Call::Set, 2),
        (Call::Delete, 2),
        (Call::GetOrCreate, 6),
        (Call::GetOrCreateWith, 4),
        (Call::Invalidate, 1),
        (Call::InvalidateSoft, 1),
    ],
    // Creations against writes.
    &[(Call::Get, 2), (Call::Set, 2), (Call::Delete, 4), (Call::GetOrCreate, 8), (Call::GetOrCreateWith, 2)],
    // Invalidations.
    &[
        (Call::Get, 4),
        (Call::Set, 3),
        (Call::GetOrCreate, 6),
        (Call::GetOrCreateWith, 1),
        (Call::Invalidate, 2),
        (Call::InvalidateSoft, 3),
    ],
    // Few writes, so that most creations are still stored afterwards.
    &[(Call::Get, 8), (Call::Delete, 1), (Call::GetOrCreate, 8), (Call::GetOrCreateWith, 3)],
];

/// Rounds on one region.
pub(crate) struct Run {
    /// The region, which has nothing stored under the keys of the rounds.
    pub(crate) region: Arc<CacheRegion>,
    /// Whether the store may drop values on its own.
    pub(crate) evicts: bool,
    /// The source of the operations.
    pub(crate) seed: u64,
    /// The longest time of a round, after which its calls count as hanging.
    pub(crate) limit: Duration,
}

impl Run {
    /// Performs rounds for `time`, and shows `judge` the history of each, until that breaks.
    pub(crate) fn rounds<B>(
        &self,
        time: Duration,
        mut judge: impl FnMut(u64, &History) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let begin = Instant::now();
        for round in 0.. {
            judge(round, &self.round(round))?;
            if begin.elapsed() >= time {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// Performs one round: the threads at once, and then one more thread after they have ended.
    fn round(&self, round: u64) -> History {
        let recorder = Arc::new(Recorder::new(THREADS + 1));
        let mut workers = self.workers(&recorder);
        let last = workers.split_off(THREADS);
        if all_end(tasks(workers, Random::new(self.seed, round)), self.limit) {
            all_end(last.into_iter().map(|worker| task(move || look_after(&worker))).collect(), self.limit);
        }
        recorder.history(self.evicts)
    }

    /// Returns one worker for each log of `recorder`, on keys that no other round has.
    fn workers(&self, recorder: &Arc<Recorder>) -> Vec<Worker> {
        let round = moment();
        let names: Arc<[String]> = (0..KEYS).map(|key| format!("history-{round}-{key}")).collect();
        let worker = |thread| Worker {
            region: Arc::clone(&self.region),
            names: Arc::clone(&names),
            recorder: Arc::clone(recorder),
            thread,
        };
        (0..=THREADS).map(worker).collect()
    }
}

type Task = Box<dyn FnOnce() + Send>;

/// What the threads of a round do once all of them have started.
fn tasks(workers: Vec<Worker>, mut random: Random) -> Vec<Task> {
    let (mix, longest) = (random.one_of(&MIXES), Duration::from_micros(random.one_of(&PAUSES)));
    let start = Arc::new(Barrier::new(workers.len()));
    let begin = |worker: Worker| {
        let (start, random) = (Arc::clone(&start), Random::new(random.next(), worker.thread as u64));
        task(move || {
            set_pace(random.clone().next(), longest);
            start.wait();
            perform(&worker, mix, random);
        })
    };
    workers.into_iter().map(begin).collect()
}

fn task(task: impl FnOnce() + Send + 'static) -> Task {
    Box::new(task)
}

/// Runs each task on a thread of its own, and returns whether all ended within `limit`. The others are left alone.
fn all_end(tasks: Vec<Task>, limit: Duration) -> bool {
    let (deadline, count) = (Instant::now() + limit, tasks.len());
    let (ended, ends) = mpsc::channel();
    for task in tasks {
        let ended = ended.clone();
        thread::spawn(move || {
            task();
            // The receiver is gone if the round took too long.
            let _ = ended.send(());
        });
    }
    drop(ended);
    let has_ended = || ends.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok();
    (0..count).all(|_| has_ended())
}

/// Performs the operations of one thread.
fn perform(worker: &Worker, mix: &[(Call, u64)], mut random: Random) {
    for _ in 0..OPERATIONS {
        let call = random.weighted(mix);
        let keys = some_keys(&mut random);
        worker.call(call, &keys, &mut random);
        pause(1);
    }
}

/// Returns one key, or several in any order.
pub(crate) fn some_keys(random: &mut Random) -> Vec<Key> {
    let first = random.below(KEYS as u64) as Key;
    let count = if random.below(3) == 0 { 2 + random.below(KEYS as u64 - 1) as usize } else { 1 };
    let step = 1 + random.below(KEYS as u64 - 1) as usize;
    (0..count).map(|number| (first + number * step) % KEYS).collect()
}

/// Reads, creates, and reads again, after all other threads have ended. Then removes the keys.
fn look_after(worker: &Worker) {
    let mut random = Random::new(0, 0);
    set_pace(0, Duration::ZERO);
    for key in 0..KEYS {
        for call in [Call::Get, Call::GetOrCreate, Call::Get] {
            worker.call(call, &[key], &mut random);
        }
    }
    worker.forget();
}

/// Returns the first operation of a history that failed, although no failure was planted.
pub(crate) fn failure(history: &History) -> Option<String> {
    let mut operations = history.operations.iter();
    operations.find(|operation| matches!(operation.outcome, Outcome::Failed(_))).map(ToString::to_string)
}
