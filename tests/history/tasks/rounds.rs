//! [`Run`]: rounds of random operations by eight tasks on a few fresh keys.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile::CacheRegion;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;

use super::super::operations::{Call, History};
use super::super::random::Random;
use super::super::recorder::{Recorder, moment};
use super::super::workload::{KEYS, OPERATIONS, some_keys};
use super::called::Caller;
use super::creators::rest;
use super::dropping::Drops;
use super::left_behind::left_behind;

/// The number of tasks in a round.
const TASKS: usize = 8;

/// The weight of each call: one mix per kind of round.
const MIXES: [&[(Call, u64)]; 4] = [
    // Everything.
    &[
        (Call::Get, 3),
        (Call::Set, 2),
        (Call::Delete, 2),
        (Call::GetOrCreate, 6),
        (Call::GetOrCreateWith, 6),
        (Call::Invalidate, 1),
        (Call::InvalidateSoft, 1),
    ],
    // Creations against writes.
    &[(Call::Get, 2), (Call::Set, 2), (Call::Delete, 4), (Call::GetOrCreate, 8), (Call::GetOrCreateWith, 4)],
    // Creations that see old values, half of them detached, and invalidations.
    &[
        (Call::Get, 4),
        (Call::Set, 2),
        (Call::GetOrCreate, 3),
        (Call::GetOrCreateWith, 8),
        (Call::Invalidate, 1),
        (Call::InvalidateSoft, 2),
    ],
    // Few writes, so that most creations are still stored afterwards.
    &[(Call::Get, 8), (Call::Delete, 1), (Call::GetOrCreate, 8), (Call::GetOrCreateWith, 3)],
];

/// Rounds on one region.
pub(super) struct Run {
    /// The region, which has nothing stored under the keys of the rounds.
    pub(super) region: Arc<CacheRegion>,
    /// Whether the store may drop values on its own.
    pub(super) evicts: bool,
    /// The source of the operations.
    pub(super) seed: u64,
    /// The longest time of a round, after which its calls count as hanging.
    pub(super) limit: Duration,
    /// The runtime that polls the tasks.
    pub(super) runtime: Runtime,
}

/// A round that has ended.
pub(super) struct Ended {
    pub(super) history: History,
    /// What was left when all calls had ended, in one sentence.
    pub(super) left: Option<String>,
}

impl Run {
    /// Performs rounds for `time`, and shows `judge` each, until that breaks.
    pub(super) fn rounds<B>(
        &self,
        time: Duration,
        mut judge: impl FnMut(u64, &Ended) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let begin = Instant::now();
        for round in 0.. {
            judge(round, &self.runtime.block_on(self.round(round)))?;
            if begin.elapsed() >= time {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// Performs one round: the tasks at once, and then one more, when all is quiet.
    async fn round(&self, round: u64) -> Ended {
        let (recorder, alive) = (Arc::new(Recorder::new(TASKS + 1)), Arc::new(()));
        let names: Arc<[String]> = {
            let round = moment();
            (0..KEYS).map(|key| format!("history-{round}-{key}")).collect()
        };
        let caller = |task| Caller {
            region: Arc::clone(&self.region),
            names: Arc::clone(&names),
            recorder: Arc::clone(&recorder),
            task,
            alive: Arc::clone(&alive),
        };
        let callers = (0..TASKS).map(caller).collect();
        let mut left = None;
        if tokio::time::timeout(self.limit, all_end(callers, Random::new(self.seed, round))).await.is_ok() {
            left = left_behind(&self.region, &names, &alive, self.limit).await;
            let last = look_after(caller(TASKS));
            // A call that hangs is in the history.
            let _ = tokio::time::timeout(self.limit, last).await;
        }
        Ended { history: recorder.history(self.evicts), left }
    }
}

/// Lets all tasks perform their operations, once all of them have started.
async fn all_end(callers: Vec<Caller>, mut random: Random) {
    let (mix, keeps_writes) = (random.one_of(&MIXES), random.below(2) == 0);
    let start = Arc::new(Barrier::new(callers.len()));
    let begin = |caller: Caller| {
        let (start, random) = (Arc::clone(&start), Random::new(random.next(), caller.task as u64));
        tokio::spawn(async move {
            start.wait().await;
            perform(&caller, mix, keeps_writes, random).await;
        })
    };
    let tasks: Vec<_> = callers.into_iter().map(begin).collect();
    for task in tasks {
        // A call that panics is one without an end, and in the history.
        let _ = task.await;
    }
}

/// Performs the operations of one task. If it `keeps_writes`, no `set` or `delete` is dropped. A write that was
/// dropped excuses many later results.
async fn perform(caller: &Caller, mix: &[(Call, u64)], keeps_writes: bool, mut random: Random) {
    for _ in 0..OPERATIONS {
        let (call, keys) = (random.weighted(mix), some_keys(&mut random));
        let drops = Drops::at_random(&mut random);
        let drops = if keeps_writes && call.writes() { Drops::AtItsEnd } else { drops };
        caller.call(call, &keys, drops, &mut random).await;
        rest(&mut random).await;
    }
}

/// Reads, creates, and reads again, after all other tasks have ended. Then removes the keys.
async fn look_after(caller: Caller) {
    let mut random = Random::new(0, 0);
    for key in 0..KEYS {
        for call in [Call::Get, Call::GetOrCreate, Call::Get] {
            caller.call(call, &[key], Drops::AtItsEnd, &mut random).await;
        }
    }
    caller.forget().await;
}
