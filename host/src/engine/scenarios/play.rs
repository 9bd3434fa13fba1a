//! [`Play`]: the steps of a script, and the two drivers that run its callers.

use std::any::Any;
use std::borrow::Cow;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use super::coverage::Tag::{self, *};
use super::port::{Call, ScriptedPort, task};
use super::world::{CANCELED, Key, ManualTime, Mutexes, Name, Order, PANICKED, Point, World};
use crate::engine::blocking::drive;

/// A scenario that is being played.
pub(super) struct Play {
    pub(super) world: Arc<World>,
    tasks: Vec<Task>,
}

type BoxedTask = Pin<Box<dyn Future<Output = String> + Send>>;

struct Task {
    name: Name,
    future: BoxedTask,
    is_woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// What a writer writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Write {
    Set(u32),
    Delete,
}

impl Play {
    pub(super) fn new(name: &str, is_tasks: bool) -> Self {
        let driver = if is_tasks { "tasks" } else { "threads" };
        Play { world: World::new(format!("{name} with {driver}"), is_tasks), tasks: Vec::new() }
    }

    /// A value that is stored and fresh.
    pub(super) fn fresh(&mut self, key: Key, value: u32) {
        self.world.change(|state| state.stored.insert(key, (value, 900.0)));
    }

    /// A value that is stored and stale.
    pub(super) fn stale(&mut self, key: Key, value: u32) {
        self.world.change(|state| state.stored.insert(key, (value, 100.0)));
    }

    pub(super) fn mutexes(&mut self, mutexes: Mutexes) {
        self.world.change(|state| state.mutexes = mutexes);
    }

    /// The mutex waits no longer than this many seconds, by its own configuration.
    pub(super) fn mutex_limit(&mut self, seconds: u64) {
        self.world.change(|state| state.mutex_limit = Some(Duration::from_secs(seconds)));
    }

    /// Another process holds the mutex of `key`.
    pub(super) fn hold_elsewhere(&mut self, key: Key) {
        self.world.change(|state| {
            state.mutexes = Mutexes::Working;
            state.held.insert(key, true);
        });
    }

    pub(super) fn release_elsewhere(&mut self, key: Key) {
        self.world.change(|state| state.held.remove(key));
        self.run();
    }

    pub(super) fn rereads_fail(&mut self, fail: bool) {
        self.world.change(|state| state.rereads_fail = fail);
    }

    pub(super) fn stores_fail(&mut self, fail: bool) {
        self.world.change(|state| state.stores_fail = fail);
    }

    /// Begins a call.
    pub(super) fn call(&mut self, call: Call) {
        let (world, name) = (Arc::clone(&self.world), call.name);
        if self.world.is_tasks {
            self.spawn(name, task(&world, call));
        } else {
            start(&self.world, name, move || drive(ScriptedPort::<false>::new(&world, call).get()));
        }
    }

    /// Begins a call, and waits until its creator runs.
    pub(super) fn creating(&mut self, call: Call) {
        let name = call.name;
        self.call(call);
        self.at(name, Point::Creating);
    }

    /// Begins a call, and waits until it waits at a gate.
    pub(super) fn waiting(&mut self, call: Call) {
        let name = call.name;
        self.call(call);
        self.at(name, Point::Waiting);
    }

    /// Lets a runner begin what is queued.
    pub(super) fn run_queue(&mut self, call: Call) {
        let (world, name) = (Arc::clone(&self.world), call.name);
        let (keys, queued): (Vec<Key>, Vec<_>) =
            world.change(|state| std::mem::take(&mut state.queue)).into_iter().unzip();
        let call = Call { keys, ..call };
        if self.world.is_tasks {
            self.spawn(name, Box::pin(ScriptedPort::<true>::new(&world, call).run(queued)));
        } else {
            start(&self.world, name, move || drive(ScriptedPort::<false>::new(&world, call).run(queued)));
        }
    }

    /// Drops what is queued, as a runner does that ends.
    pub(super) fn drop_queue(&mut self) {
        let queue = self.world.change(|state| std::mem::take(&mut state.queue));
        assert!(!queue.is_empty(), "nothing is queued");
        self.world.change(|state| state.see(Dropped));
        drop(queue);
        self.run();
    }

    /// Begins a `set` or `delete`.
    pub(super) fn write(&mut self, name: Name, key: Key, write: Write, holds: &[Point]) {
        let (world, holds) = (Arc::clone(&self.world), holds.to_vec());
        world.change(|state| state.caller(name).holds = holds);
        let writer = write_key(Arc::clone(&world), name, key, write);
        if self.world.is_tasks {
            self.spawn(name, Box::pin(writer));
        } else {
            start(&self.world, name, move || drive(writer));
        }
    }

    /// Sets `key`, from the beginning to the end.
    pub(super) fn set(&mut self, key: Key, value: u32) {
        self.write("set", key, Write::Set(value), &[]);
        self.at("set", Point::Done);
    }

    /// Deletes `key`, from the beginning to the end.
    pub(super) fn delete(&mut self, key: Key) {
        self.write("delete", key, Write::Delete, &[]);
        self.at("delete", Point::Done);
    }

    pub(super) fn invalidate(&mut self, hard: bool) {
        self.world.change(|state| {
            let moment = if hard { &mut state.hard } else { &mut state.soft };
            *moment = Some(state.wall);
            state.wall += 1.0;
            state.see_during(if hard { HardInvalidation } else { SoftInvalidation });
        });
        self.run();
    }

    pub(super) fn advance(&mut self, seconds: f64) {
        self.world.change(|state| {
            state.now += Duration::from_secs_f64(seconds);
            state.wall += seconds;
        });
        self.run();
    }

    /// Gives a caller that is held its order.
    pub(super) fn order(&mut self, name: Name, order: Order) {
        self.world.change(|state| state.caller(name).orders.push_back(order));
        self.run();
    }

    pub(super) fn go(&mut self, name: Name) {
        self.order(name, Order::Go);
    }

    pub(super) fn succeed(&mut self, name: Name, value: u32) {
        self.order(name, Order::Succeed(value));
        self.at(name, Point::Done);
    }

    pub(super) fn fail(&mut self, name: Name) {
        self.order(name, Order::Fail);
        self.at(name, Point::Done);
    }

    pub(super) fn panic(&mut self, name: Name) {
        self.order(name, Order::Panic);
        self.at(name, Point::Done);
    }

    /// Cancels a caller: drops the task, or unwinds the thread.
    pub(super) fn cancel(&mut self, name: Name) {
        self.world.look(|state| state.see(Cancellation));
        if let Some(place) = self.tasks.iter().position(|task| task.name == name) {
            drop(self.tasks.remove(place));
            self.world.finish(name, CANCELED.to_owned());
        } else {
            self.world.change(|state| state.caller(name).is_canceled = true);
        }
        self.at(name, Point::Done);
    }

    /// Ends the creation of `name` in the way of `tag`.
    pub(super) fn end(&mut self, name: Name, tag: Tag, value: u32) {
        match tag {
            Success => self.succeed(name, value),
            Fails => self.fail(name),
            Panics => self.panic(name),
            _ => self.cancel(name),
        }
    }

    /// Does to `key` what `tag` names.
    pub(super) fn disturb(&mut self, key: Key, tag: Tag, value: u32) {
        match tag {
            Set => self.set(key, value),
            Delete => self.delete(key),
            HardInvalidation => self.invalidate(true),
            SoftInvalidation => self.invalidate(false),
            _ => {}
        }
    }

    /// Waits until a caller is at `point`.
    pub(super) fn at(&mut self, name: Name, point: Point) {
        if self.world.is_tasks {
            self.run();
            let found = self.world.look(|state| state.caller(name).point);
            assert_eq!(found, point, "{name} of {}", self.world.region);
        } else {
            self.world.block_until(name, |state| (state.caller(name).point == point).then_some(()));
        }
    }

    /// Waits until something was reported.
    pub(super) fn reported(&mut self) {
        self.world.block_until("a report", |state| (!state.reports.is_empty()).then_some(()));
    }

    fn spawn(&mut self, name: Name, future: BoxedTask) {
        self.world.look(|state| _ = state.caller(name));
        self.tasks.push(Task { name, future, is_woken: Arc::new(Woken(AtomicBool::new(true))) });
        self.run();
    }

    /// Polls all tasks that were woken, in the order in which they began, until none is.
    fn run(&mut self) {
        while let Some(place) = self.tasks.iter().position(|task| task.is_woken.0.swap(false, SeqCst)) {
            let Task { name, future, is_woken } = &mut self.tasks[place];
            let (name, waker) = (*name, Waker::from(Arc::clone(is_woken)));
            let poll = || future.as_mut().poll(&mut Context::from_waker(&waker));
            let outcome = match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(outcome)) => outcome,
                Err(payload) => text(&*payload),
            };
            drop(self.tasks.remove(place));
            self.world.finish(name, outcome);
        }
    }
}

/// Starts a caller on a thread.
fn start(world: &Arc<World>, name: Name, work: impl FnOnce() -> String + Send + 'static) {
    world.look(|state| _ = state.caller(name));
    let world = Arc::clone(world);
    let run = move || {
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| text(&*payload));
        world.finish(name, outcome);
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread starts");
}

fn text(payload: &(dyn Any + Send)) -> String {
    match payload.downcast_ref::<&'static str>() {
        Some(known @ (&PANICKED | &CANCELED)) => (*known).to_owned(),
        Some(other) => format!("panicked: {other}"),
        None => {
            payload.downcast_ref::<String>().map_or("panicked".to_owned(), |text| format!("panicked: {text}"))
        }
    }
}

/// For how many seconds a writer waits for the end of a store.
pub(super) const STORE_WAIT: u64 = 10;

async fn write_key(world: Arc<World>, name: Name, key: Key, write: Write) -> String {
    let mut writing = world.gates.write([Cow::Borrowed(key)]);
    if writing.must_wait() {
        let time = ManualTime { world: Arc::clone(&world), name };
        let limit = world.look(|state| state.now) + Duration::from_secs(STORE_WAIT);
        writing.stored(time.sleep_until(limit)).await;
    }
    world.pass(name, Point::Writing).await;
    world.look(|state| match write {
        Write::Set(value) => {
            state.stored.insert(key, (value, state.wall));
            state.see_during(Set);
        }
        Write::Delete => {
            state.stored.remove(key);
            state.see_during(Delete);
        }
    });
    drop(writing);
    "written".to_owned()
}
