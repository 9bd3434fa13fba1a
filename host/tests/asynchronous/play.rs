//! [`Play`]: the steps of a scenario, whose callers are tasks that are polled by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, CreateError, Created, CreationInfo, CreationStage, ManualClock};
use parking_lot::Mutex;
use smol::channel::{Sender, unbounded};

use super::backends::{Backend, PATIENCE};
use super::polling::Task;

const KEY: &str = "k";

/// How a creator ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Succeed(u32),
    SucceedUncached(u32),
    Fail,
    Panic,
}

/// A scenario that is being played.
pub(crate) struct Play {
    pub(crate) backend: Backend,
    region: Arc<CacheRegion>,
    clock: Arc<ManualClock>,
    tasks: BTreeMap<&'static str, Task<'static, String>>,
    orders: BTreeMap<&'static str, Sender<Order>>,
    outcomes: BTreeMap<&'static str, String>,
    creating: Arc<Mutex<Creating>>,
    set: Option<Task<'static, ()>>,
}

/// The calls whose creators run, and the number of creators that were called.
#[derive(Default)]
struct Creating {
    names: BTreeSet<&'static str>,
    called: usize,
}

impl Play {
    pub(crate) fn new(backend: Backend) -> Self {
        let clock = Arc::new(ManualClock::at(1000.0));
        let region = backend.configured(|config| {
            config.clock(Arc::<ManualClock>::clone(&clock)).expiration_time(Duration::from_secs(10))
        });
        Play {
            backend,
            region: Arc::new(region),
            clock,
            tasks: BTreeMap::new(),
            orders: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            creating: Arc::default(),
            set: None,
        }
    }

    /// Begins a call.
    pub(crate) fn call(&mut self, name: &'static str) {
        self.call_waiting_for(name, PATIENCE);
    }

    /// Begins a call that waits for others for at most `limit`.
    pub(crate) fn call_waiting_for(&mut self, name: &'static str, limit: Duration) {
        let (sender, orders) = unbounded();
        let (region, creating) = (Arc::clone(&self.region), Arc::clone(&self.creating));
        let call = async move {
            let creator = async |_| {
                {
                    let mut creating = creating.lock();
                    creating.called += 1;
                    creating.names.insert(name);
                }
                match orders.recv().await.expect("the script gives an order") {
                    Order::Succeed(value) => Ok(Created::new(value)),
                    Order::SucceedUncached(value) => Ok(Created::uncached(value)),
                    Order::Fail => Err("the creator failed"),
                    Order::Panic => std::panic::resume_unwind(Box::new("planted")),
                }
            };
            let call = region.options().creation_wait_timeout(limit);
            match call.get_or_create_with_async(KEY, creator).await {
                Ok(value) => u32::to_string(&value),
                Err(CreateError::Creator(error)) => error.to_owned(),
                Err(error) => format!("{error:#}"),
            }
        };
        self.orders.insert(name, sender);
        self.tasks.insert(name, Task::new(call));
        self.poll();
    }

    /// Begins a call, and waits until its creator runs.
    pub(crate) fn creating(&mut self, name: &'static str) {
        self.call(name);
        self.at_creator(name);
    }

    /// Begins a call, and waits until `count` callers wait.
    pub(crate) fn waiting(&mut self, name: &'static str, count: usize) {
        self.call(name);
        self.until("a caller waits", |play| play.waiters() == count);
    }

    /// Waits until the creator of a call runs.
    pub(crate) fn at_creator(&mut self, name: &'static str) {
        self.until("a creator runs", |play| play.creating.lock().names.contains(name));
    }

    /// Waits until a caller leads the key.
    pub(crate) fn at_gate(&mut self) {
        self.until("a caller leads", |play| !play.creations().is_empty());
    }

    /// Waits until the created value is being stored, by `count` calls of the store in all.
    pub(crate) fn at_write(&mut self, count: usize) {
        let is_storing =
            |play: &Play| play.creations().iter().any(|creation| creation.stage == CreationStage::Storing);
        self.until("a value is stored", is_storing);
        self.backend.store.writes.await_callers(count);
    }

    /// Orders how the creator of a call ends.
    pub(crate) fn order(&mut self, name: &'static str, order: Order) {
        self.creating.lock().names.remove(name);
        self.orders[name].send_blocking(order).expect("the creator runs");
        self.poll();
    }

    /// Ends the creator of a call, and waits until the call has ended.
    pub(crate) fn end(&mut self, name: &'static str, order: Order) {
        self.order(name, order);
        self.done(name);
    }

    /// Waits until a call has ended.
    pub(crate) fn done(&mut self, name: &'static str) {
        self.until("a call ends", |play| play.outcomes.contains_key(name));
    }

    /// Drops the future of a call.
    pub(crate) fn cancel(&mut self, name: &'static str) {
        drop(self.tasks.remove(name).expect("the call runs"));
        self.outcomes.insert(name, "canceled".to_owned());
        self.poll();
    }

    /// Stores a value that is fresh.
    pub(crate) fn set(&mut self, value: u32) {
        self.begin_set(value);
        self.end_set();
    }

    /// Stores a value that is stale.
    pub(crate) fn stale(&mut self, value: u32) {
        self.set(value);
        self.clock.advance(Duration::from_secs(20));
    }

    pub(crate) fn begin_set(&mut self, value: u32) {
        let region = Arc::clone(&self.region);
        self.set =
            Some(Task::new(async move { region.set_async(KEY, value).await.expect("the store works") }));
        self.poll();
    }

    pub(crate) fn end_set(&mut self) {
        self.until("a set ends", |play| play.set.is_none());
    }

    pub(crate) fn delete(&mut self) {
        smol::block_on(self.region.delete_async(KEY)).expect("the store works");
        self.poll();
    }

    fn creations(&self) -> Vec<CreationInfo> {
        self.region.creations().expect("the region is configured")
    }

    /// Returns how many callers wait for the key.
    pub(crate) fn waiters(&self) -> usize {
        self.creations().iter().map(|creation| creation.waiters).sum()
    }

    /// Waits until a call has ended, and returns its result.
    pub(crate) fn outcome(&mut self, name: &'static str) -> String {
        self.done(name);
        self.outcomes[name].clone()
    }

    /// Returns the number of creators that were called.
    pub(crate) fn created(&self) -> usize {
        self.creating.lock().called
    }

    /// Returns the stored value, fresh or not.
    pub(crate) fn stored(&self) -> Option<u32> {
        smol::block_on(self.region.options().ignore_expiration().get_async(KEY)).expect("the store works")
    }

    /// Waits until neither a gate nor the mutex is left.
    pub(crate) fn assert_nothing_is_left(&mut self) {
        assert!(self.tasks.is_empty(), "a call has not ended");
        self.until("no gate is left", |play| play.creations().is_empty());
        self.backend.store.await_unlocked();
    }

    /// Polls all tasks until `holds`.
    fn until(&mut self, what: &str, holds: impl Fn(&Play) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "timed out waiting until {what}");
            self.poll();
            thread::yield_now();
        }
    }

    /// Polls each task once, in the order of the names.
    fn poll(&mut self) {
        for (name, mut task) in std::mem::take(&mut self.tasks) {
            match catch_unwind(AssertUnwindSafe(|| task.poll())) {
                Ok(None) => _ = self.tasks.insert(name, task),
                Ok(Some(outcome)) => _ = self.outcomes.insert(name, outcome),
                Err(_) => _ = self.outcomes.insert(name, "panicked".to_owned()),
            }
        }
        if self.set.as_mut().is_some_and(|set| set.poll().is_some()) {
            self.set = None;
        }
    }
}
