//! [`Recorder`]: records what threads do while they do it.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::operations::{Call, Creation, History, Key, Moment, Operation, Outcome, Value};

static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static AT_WORK: Cell<Moment> = const { Cell::new(0) };
}

/// Returns the present moment, which no other event has.
pub(crate) fn moment() -> Moment {
    NEXT.fetch_add(1, Ordering::SeqCst)
}

/// Records that the calling thread's call is in the store.
pub(crate) fn at_work() {
    AT_WORK.set(moment());
}

/// One log per thread, so that threads do not wait for each other.
#[derive(Debug)]
pub(crate) struct Recorder(Vec<Mutex<Vec<Operation>>>);

/// An operation that is being recorded.
#[derive(Debug)]
pub(crate) struct Recording<'r> {
    log: &'r Mutex<Vec<Operation>>,
    index: usize,
}

impl Recorder {
    /// Creates empty logs.
    pub(crate) fn new(threads: usize) -> Self {
        Recorder((0..threads).map(|_| Mutex::default()).collect())
    }

    /// Begins an operation of the calling thread, whose number is `thread`.
    pub(crate) fn begin(&self, thread: usize, call: Call, keys: &[Key], values: &[Value]) -> Recording<'_> {
        let log = &self.0[thread];
        let begin = moment();
        AT_WORK.set(begin);
        let mut operations = log.lock();
        operations.push(Operation::begun(thread, call, keys, values, begin));
        Recording { log, index: operations.len() - 1 }
    }

    /// Returns the operations recorded so far.
    pub(crate) fn history(&self, evicts: bool) -> History {
        let operations = self.0.iter().flat_map(|log| log.lock().clone()).collect();
        History { operations, evicts }
    }
}

impl Recording<'_> {
    /// Records that a creator was called for `keys`.
    pub(crate) fn called(&self, keys: &[Key]) {
        let (ready, called) = (AT_WORK.get(), moment());
        let creation = |&key| Creation { key, ready, called, returned: None, value: None, cacheable: true };
        self.change(|operation| operation.creations.extend(keys.iter().map(creation)));
    }

    /// Records that the creator made `values`, each with whether it is cacheable; none if it failed.
    pub(crate) fn returned(&self, values: &[(Value, bool)]) {
        self.change(|operation| operation.creators_returned(values));
    }

    /// Records how the call ended.
    pub(crate) fn end(self, outcome: Outcome, found: Vec<Option<Value>>) {
        let end = moment();
        self.change(|operation| {
            operation.end = Some(end);
            operation.outcome = outcome;
            operation.found = found;
            if operation.call.writes() {
                operation.at_work = AT_WORK.get();
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Operation)) {
        change(&mut self.log.lock()[self.index]);
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.change(|operation| {
                operation.end = Some(moment());
                operation.outcome = Outcome::Failed("it panicked".to_owned());
            });
        }
    }
}

/// An operation of a task that is being recorded. Its creations may go on after it was dropped.
///
/// A task moves between threads, so that the moments when it is in the store are unknown.
#[derive(Clone, Debug)]
pub(crate) struct TaskRecording {
    recorder: Arc<Recorder>,
    task: usize,
    index: usize,
}

impl TaskRecording {
    /// Begins an operation of a task, whose number is `task`.
    pub(crate) fn begin(recorder: &Arc<Recorder>, task: usize, operation: Operation) -> Self {
        let mut operations = recorder.0[task].lock();
        operations.push(operation);
        TaskRecording { recorder: Arc::clone(recorder), task, index: operations.len() - 1 }
    }

    /// Records that a creator was called for `keys`. Its run ends when what is returned is dropped.
    pub(crate) fn called(&self, keys: &[Key]) -> TaskCreation {
        let called = moment();
        self.change(|operation| {
            let ready = operation.begin;
            let creation =
                |&key| Creation { key, ready, called, returned: None, value: None, cacheable: true };
            operation.creations.extend(keys.iter().map(creation));
        });
        TaskCreation { recording: self.clone(), made: Vec::new() }
    }

    /// Records how the call ended.
    pub(crate) fn end(&self, outcome: Outcome, found: Vec<Option<Value>>) {
        let end = moment();
        self.change(|operation| {
            operation.end = Some(end);
            operation.outcome = outcome;
            operation.found = found;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Operation)) {
        change(&mut self.recorder.0[self.task].lock()[self.index]);
    }
}

/// A creator of a task that runs. Dropped without values, it failed or was dropped itself.
#[derive(Debug)]
pub(crate) struct TaskCreation {
    recording: TaskRecording,
    made: Vec<(Value, bool)>,
}

impl TaskCreation {
    /// Records that the creator made `values`, each with whether it is cacheable.
    pub(crate) fn returned(mut self, values: Vec<(Value, bool)>) {
        self.made = values;
    }
}

impl Drop for TaskCreation {
    fn drop(&mut self) {
        let made = std::mem::take(&mut self.made);
        self.recording.change(|operation| operation.creators_returned(&made));
    }
}

impl Operation {
    /// Ends the creators that run: with `values`, each with whether it is cacheable, or with none if they failed.
    fn creators_returned(&mut self, values: &[(Value, bool)]) {
        let running = self.creations.iter_mut().filter(|creation| creation.returned.is_none());
        let (mut values, returned) = (values.iter(), moment());
        for creation in running {
            creation.returned = Some(returned);
            let made = values.next();
            creation.value = made.map(|(value, _)| *value);
            creation.cacheable = made.is_none_or(|(_, cacheable)| *cacheable);
        }
    }
}
