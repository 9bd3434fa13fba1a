//! [`Recorder`]: writes down what threads do while they do it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::operations::{Call, Creation, History, Key, Moment, Operation, Outcome, Value};

static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static AT_WORK: Cell<Moment> = const { Cell::new(0) };
}

/// The present moment, which no other event has.
pub(crate) fn moment() -> Moment {
    NEXT.fetch_add(1, Ordering::SeqCst)
}

/// Notes that the calling thread's call is in the store.
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

    /// What was recorded so far.
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
        self.change(|operation| {
            let running = operation.creations.iter_mut().filter(|creation| creation.returned.is_none());
            let mut values = values.iter();
            let returned = moment();
            for creation in running {
                creation.returned = Some(returned);
                let made = values.next();
                creation.value = made.map(|(value, _)| *value);
                creation.cacheable = made.is_none_or(|(_, cacheable)| *cacheable);
            }
        });
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
