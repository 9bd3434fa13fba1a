//! Tasks that wait for a key whose leaders are dropped, one after another.

use std::collections::HashMap;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dogpile_benches::{AsyncCreator, AsyncSubject, Failure, OURS_ASYNC};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

use super::subjects;

/// How many leaders are dropped in a row.
const DROPS: [usize; 2] = [200, 1000];
/// How many tasks wait besides those that are dropped.
const OTHERS: usize = 100;
/// How long the last creator takes.
const CREATION: Duration = Duration::from_millis(5);
/// The time without an event after which the waiting tasks count as stuck.
const PATIENCE: Duration = Duration::from_millis(300);

/// What happened to the tasks that were not dropped.
#[derive(Default)]
struct Outcome {
    creators: usize,
    /// The largest number of creators that ran at a time.
    at_once: usize,
    values: usize,
    panics: usize,
    stuck: usize,
}

pub(crate) fn measure() -> Result<(), Failure> {
    println!(
        "\ndropped leaders: what becomes of the {OTHERS} other tasks that wait (target: all get the value, one \
         creator more than drops, one at a time)"
    );
    println!(
        "{:28}{:>7}{:>10}{:>9}{:>9}{:>9}{:>9}",
        "", "drops", "creators", "at once", "values", "panics", "stuck"
    );
    let first_panic = FirstPanic::watch();
    for drops in DROPS {
        for subject in subjects()? {
            let outcome = drop_leaders(&subject, drops)?;
            let Outcome { creators, at_once, values, panics, stuck } = outcome;
            print!("{:28}{drops:>7}{creators:>10}{at_once:>9}{values:>9}{panics:>9}{stuck:>9}", subject.name);
            let met = creators == drops + 1 && at_once == 1 && values == OTHERS;
            let verdict = if met { "  met" } else { "  missed (!)" };
            println!("{}", if subject.name == OURS_ASYNC { verdict } else { "" });
            if let Some(message) = first_panic.take() {
                println!("{:28}{message}", "");
            }
        }
    }
    first_panic.end();
    Ok(())
}

/// Drops the leader `drops` times, and then lets one create.
fn drop_leaders(subject: &AsyncSubject, drops: usize) -> Result<Outcome, Failure> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let (creators, begun) = Creators::new(drops);
    let creator = creators.creator();
    let mut tasks = JoinSet::new();
    let handles: HashMap<Id, _> = (0..drops + OTHERS)
        .map(|_| tasks.spawn_on(subject.request("cold", &creator), runtime.handle()))
        .map(|handle| (handle.id(), handle))
        .collect();
    let mut outcome = runtime.block_on(async {
        drop_each(drops, begun, &handles).await;
        outcome_of(tasks).await
    });
    (outcome.creators, outcome.at_once) = (creators.begun.load(SeqCst), creators.most.load(SeqCst));
    Ok(outcome)
}

/// Drops each task whose creator begins, `drops` times, or until no creator begins.
async fn drop_each(
    drops: usize,
    mut begun: UnboundedReceiver<Id>,
    tasks: &HashMap<Id, tokio::task::AbortHandle>,
) {
    for _ in 0..drops {
        let Ok(Some(id)) = timeout(PATIENCE, begun.recv()).await else { return };
        if let Some(leader) = tasks.get(&id) {
            leader.abort();
        }
    }
}

async fn outcome_of(mut tasks: JoinSet<u64>) -> Outcome {
    let mut outcome = Outcome::default();
    while !tasks.is_empty() {
        match timeout(PATIENCE, tasks.join_next()).await {
            Ok(Some(ended)) => match ended.map_err(JoinError::try_into_panic) {
                Ok(_) => outcome.values += 1,
                Err(Ok(_)) => outcome.panics += 1,
                Err(Err(_)) => {}
            },
            Ok(None) => {}
            Err(_) => {
                outcome.stuck = tasks.len();
                tasks.shutdown().await;
            }
        }
    }
    outcome
}

/// Creators of which the first ones never end.
#[derive(Clone)]
struct Creators {
    drops: usize,
    begun: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    report: UnboundedSender<Id>,
}

/// A creator that runs until this is dropped.
struct Run(Arc<AtomicUsize>);

impl Creators {
    fn new(drops: usize) -> (Self, UnboundedReceiver<Id>) {
        let (report, begun) = unbounded_channel();
        let creators =
            Creators { drops, begun: Arc::default(), running: Arc::default(), most: Arc::default(), report };
        (creators, begun)
    }

    fn creator(&self) -> AsyncCreator {
        let creators = self.clone();
        AsyncCreator::new(move || creators.clone().create())
    }

    async fn create(self) -> u64 {
        let number = self.begun.fetch_add(1, SeqCst);
        self.most.fetch_max(self.running.fetch_add(1, SeqCst) + 1, SeqCst);
        let _run = Run(Arc::clone(&self.running));
        if number < self.drops {
            // The bench may have stopped dropping tasks.
            let _ = self.report.send(tokio::task::id());
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(CREATION).await;
        7
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Keeps the message of the first panic, instead of printing those of all.
struct FirstPanic(Arc<Mutex<Option<String>>>);

impl FirstPanic {
    fn watch() -> Self {
        let first: Arc<Mutex<Option<String>>> = Arc::default();
        let kept = Arc::clone(&first);
        panic::set_hook(Box::new(move |panic| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| panic.to_string());
        }));
        FirstPanic(first)
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn end(self) {
        let _ours = panic::take_hook();
    }
}
