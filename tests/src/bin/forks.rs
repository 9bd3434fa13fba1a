//! A process that forks while it holds locks, creates values, or has background threads.
//!
//! * `forks lease` forks while a lease is renewed.
//! * `forks creator PORT` forks inside a creator, over the Redis server on that port.
//! * `forks leader PORT` forks while another thread creates a value.
//! * `forks waiter PORT` forks while another thread waits for a lock.
//! * `forks background PORT` forks after a runner and a releaser of mutexes have run.
//! * `forks outage PORT` forks while deletions wait for a backend that is down.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use dogpile::proxy::{Chaos, ChaosConfig, ChaosControl, ChaosScript};
use dogpile::sdk::lease::{LeaseOptions, LeaseStore, Leases};
use dogpile::sdk::{BackendError, ErrorKind, Fence};
use dogpile::{
    BreakerConfig, BreakerState, CacheRegion, ManualClock, OnBackendFailure, PoolRunner, RegionConfig,
};
use dogpile_tests::redis::say;
use dogpile_tests::threads::{Signal, until};
use fork::{Fork, WEXITSTATUS, WIFEXITED};

type Outcome = Result<(), Box<dyn Error>>;

/// A wait that exceeds everything that this program does.
const LONG: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    watch();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["lease"] => lease(),
        ["creator", port] => creator(port),
        ["leader", port] => leader(port),
        ["waiter", port] => waiter(port),
        ["background", port] => background(port),
        ["outage", port] => outage(port),
        _ => Err("unknown arguments".into()),
    };
    ended(done)
}

fn ended(done: Outcome) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed in process {}: {error}", std::process::id());
            ExitCode::FAILURE
        }
    }
}

/// Ends this process if it hangs.
fn watch() {
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(25));
        println!("process {} hangs", std::process::id());
        std::process::exit(1);
    });
}

/// Forks, and runs `child` in the child. Returns the child's ID to the parent.
fn forked(child: impl FnOnce() -> Outcome) -> Result<i32, Box<dyn Error>> {
    match fork::fork()? {
        Fork::Parent(child) => Ok(child),
        Fork::Child => {
            watch();
            let done = catch_unwind(AssertUnwindSafe(child)).unwrap_or_else(|_| Err("a panic".into()));
            std::process::exit(i32::from(ended(done) != ExitCode::SUCCESS));
        }
    }
}

fn wait_for(child: i32) -> Outcome {
    let status = fork::waitpid(child)?;
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, &format!("the child ended with the status {status}"))
}

fn check(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn config(port: &str) -> RegionConfig {
    RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", port.parse::<u16>().expect("it is a port"))
        .argument("distributed_lock", true)
        .argument("lock_blocking_timeout", 0.5)
}

fn region(config: RegionConfig) -> Result<CacheRegion, Box<dyn Error>> {
    let region = CacheRegion::new("forks");
    region.configure(config)?;
    Ok(region)
}

fn is_locked_on(port: &str, key: &str) -> bool {
    say(port.parse().expect("it is a port"), &["EXISTS", &format!("_lock{key}")]) == "1"
}

/// Grants everything, and counts the requests. A forked child goes on with the counts of its parent.
#[derive(Debug, Default)]
struct Counting {
    renewals_of_parent: AtomicUsize,
    renewals_of_child: AtomicUsize,
    releases: AtomicUsize,
}

impl LeaseStore for Counting {
    fn acquire(
        &self,
        _key: &str,
        _token: &str,
        _lease: Duration,
        _deadline: Instant,
    ) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn renew(&self, key: &str, _token: &str, _lease: Duration) -> Result<bool, BackendError> {
        let renewals = if key == "parent" { &self.renewals_of_parent } else { &self.renewals_of_child };
        renewals.fetch_add(1, SeqCst);
        Ok(true)
    }

    fn release(&self, _key: &str, _token: &str) -> Result<bool, BackendError> {
        self.releases.fetch_add(1, SeqCst);
        Ok(true)
    }

    fn locked(&self, _key: &str) -> Result<bool, BackendError> {
        Ok(false)
    }

    fn fence(&self, _key: &str, token: &str) -> Option<Fence> {
        Some(Fence::new(token.as_bytes().to_vec()))
    }
}

fn lease() -> Outcome {
    let store = Arc::new(Counting::default());
    let mut options = LeaseOptions::default();
    options.lease = Duration::from_millis(60);
    let leases = Leases::new(Arc::clone(&store) as Arc<dyn LeaseStore>, options);
    let mutex = leases.mutex("parent");
    check(mutex.try_acquire()?, "the mutex is free")?;
    until("the lease is renewed", || store.renewals_of_parent.load(SeqCst) > 0);
    let kept = RefCell::new(Some((leases.clone(), Arc::clone(&mutex))));
    let child = forked(|| {
        let renewals = store.renewals_of_parent.load(SeqCst);
        let own = leases.mutex("child");
        check(own.try_acquire()?, "the child's mutex is free")?;
        until("the child renews its own lease", || store.renewals_of_child.load(SeqCst) > 5);
        check(!own.is_lost() && own.fence().is_some(), "the child has its own mutex")?;
        check(store.renewals_of_parent.load(SeqCst) == renewals, "the child renews no lease of its parent")?;
        check(mutex.is_lost(), "the child does not have the parent's mutex")?;
        check(mutex.fence().is_none(), "the child has no fence of the parent's mutex")?;
        let error = mutex.release().err().ok_or("the child releases the parent's mutex")?;
        check(error.kind() == ErrorKind::NotHeld, &error.to_string())?;
        check(store.releases.load(SeqCst) == 0, "the child has sent a release")?;
        own.release()?;
        // Ends the child's thread, and waits for none of the parent's.
        drop((own, mutex, leases, kept.take()));
        Ok(())
    });
    // Only the parent comes here.
    let (child, before) = (child?, store.renewals_of_parent.load(SeqCst));
    until("the parent still renews", || store.renewals_of_parent.load(SeqCst) > before + 5);
    wait_for(child)
}

/// Both processes return from the creator. Only the parent holds the lock, so only the parent stores its value.
fn creator(port: &str) -> Outcome {
    let region = region(config(port))?;
    let is_child = Cell::new(false);
    let created = region.get_or_create("key", || match fork::fork().expect("it can fork") {
        Fork::Child => {
            watch();
            is_child.set(true);
            2
        }
        Fork::Parent(child) => {
            wait_for(child).expect("the child succeeds");
            1
        }
    });
    if is_child.get() {
        let check_child = || {
            check(created? == 2, "the child's creator returned 2")?;
            check(region.get::<i32>("key")?.is_none(), "the child's value is not stored")?;
            check(is_locked_on(port, "key"), "the parent's lock is still there")?;
            check(region.get_or_create("other", || 3)? == 3, "the child creates another value")?;
            check(region.get("other")? == Some(3), "the child's value of another key is stored")
        };
        std::process::exit(i32::from(ended(check_child()) != ExitCode::SUCCESS));
    }
    check(created? == 1, "the parent's creator returned 1")?;
    check(region.get("key")? == Some(1), "the parent's value is stored")?;
    check(!is_locked_on(port, "key"), "the parent released its lock")
}

/// The child does not wait for a leader that does not exist in it.
fn leader(port: &str) -> Outcome {
    let in_memory = region(RegionConfig::new("dogpile.cache.memory"))?;
    let shared = region(config(port))?;
    let (creating, proceed) = (channel(), Signal::default());
    thread::scope(|scope| {
        for region in [&in_memory, &shared] {
            let (creating, proceed) = (creating.0.clone(), proceed.clone());
            scope.spawn(move || {
                region.get_or_create("key", || {
                    creating.send(()).expect("the main thread waits");
                    proceed.wait();
                    1
                })
            });
        }
        creating.1.recv()?;
        creating.1.recv()?;
        let child = forked(|| {
            check(in_memory.creations()?.is_empty(), "no creation is in progress in the child")?;
            check(!in_memory.key_is_locked("key")?, "no caller creates in the child")?;
            check(in_memory.get_or_create("key", || 2)? == 2, "the child creates its own value")?;
            in_memory.set("key", 3)?;
            // The lock on the server is different: the parent holds it.
            let begun = Instant::now();
            let waited = shared.get_or_create("key", || 2);
            check(waited.is_err(), "the child waits for its parent's lock")?;
            check(begun.elapsed() < LONG, "the wait for the lock is bounded")?;
            check(is_locked_on(port, "key"), "the parent's lock is still there")
        });
        let waited = child.and_then(wait_for);
        proceed.give();
        waited
    })?;
    check(shared.get("key")? == Some(1), "the parent's value is stored")
}

/// Parent and child subscribe to the releases of one lock.
fn waiter(port: &str) -> Outcome {
    let region = region(config(port).argument("lock_blocking_timeout", 20.0))?;
    let number = port.parse()?;
    check(say(number, &["SET", "_lockkey", "another"]) == "OK", "the lock is taken")?;
    let subscribers = |count: usize| {
        let reply = say(number, &["PUBSUB", "NUMSUB", "_lockkey:released"]);
        reply.split_whitespace().last() == Some(count.to_string().as_str())
    };
    let release = || {
        say(number, &["DEL", "_lockkey"]);
        say(number, &["PUBLISH", "_lockkey:released", ""]);
    };
    thread::scope(|scope| {
        scope.spawn(|| region.get_or_create("key", || 1));
        until("the parent subscribes", || subscribers(1));
        let child = forked(|| {
            let waited = region.get_or_create("key", || 2)?;
            check(matches!(waited, 1 | 2), "a value is created")
        });
        let child = child?;
        until("the child subscribes", || subscribers(2));
        release();
        wait_for(child)
    })
}

/// The child has its own threads for creations and for releases.
fn background(port: &str) -> Outcome {
    let clock = Arc::new(ManualClock::at(1000.0));
    let runner = Arc::new(PoolRunner::new(std::num::NonZeroUsize::MIN, 10)?);
    let config = config(port).expiration_time(Duration::from_secs(10)).clock(clock.clone());
    let region = region(config.async_creation_runner(runner))?;
    let create_in_background = |value: i32| -> Outcome {
        clock.advance(Duration::from_secs(11));
        let old = region.options().background().get_or_create("key", move || value)?;
        check(old == value - 1, &format!("the old value is served, not {old}"))?;
        until("the value is created in the background", || region.get("key").ok() == Some(Some(value)));
        until("its lock is released", || !is_locked_on(port, "key"));
        Ok(())
    };
    let release_in_background = || {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            region.get_or_create("panics", || -> i32 { std::panic::panic_any("planned") })
        }));
        until("the lock of the creator that panicked is released", || !is_locked_on(port, "panics"));
        check(panicked.is_err(), "the creator panics")
    };
    std::panic::set_hook(Box::new(|_| {}));
    region.set("key", 0)?;
    create_in_background(1)?;
    release_in_background()?;
    let child = forked(|| {
        create_in_background(2)?;
        release_in_background()
    })?;
    wait_for(child)?;
    clock.advance(Duration::from_secs(11));
    create_in_background(3)
}

/// Deletions that wait belong to the process that made them. The child has its own queue, breaker, and thread.
fn outage(port: &str) -> Outcome {
    let chaos = ChaosControl::new(ChaosConfig::default())?;
    let (control, breaker) =
        (chaos.clone(), BreakerConfig::default().failures(3).open_for(Duration::from_millis(20)));
    let config = config(port).wrap_in(move |proxied| Chaos::controlled(&control, proxied));
    let region = region(config.on_backend_failure(OnBackendFailure::Degrade).breaker(breaker))?;
    let exists = |key: &str| port.parse().is_ok_and(|port| say(port, &["EXISTS", key]) == "1");
    let goes_down = || chaos.set_script(ChaosScript::new().errors(1.0));
    let replays = || -> Outcome {
        chaos.set_script(ChaosScript::new())?;
        until("the deletions are made", || {
            region.backend_state().is_ok_and(|state| state.queued_deletions == 0)
        });
        Ok(())
    };
    region.set_multi([("of parent", 1), ("of child", 1)])?;
    goes_down()?;
    region.delete("of parent")?;
    check(region.get_or_create("made", || 1)? == 1, "the parent creates")?;
    until("the breaker opens", || {
        region.get::<i32>("of parent").is_ok_and(|found| found.is_none())
            && region.backend_state().is_ok_and(|state| state.breaker != BreakerState::Closed)
    });
    let child = forked(|| {
        let state = region.backend_state()?;
        check(state.queued_deletions == 0, "the child has no deletions of its parent")?;
        check(state.breaker == BreakerState::Closed, "the child has its own breaker")?;
        check(region.get_or_create("made", || 2)? == 2, "the child does not have what its parent created")?;
        region.delete("of child")?;
        check(region.backend_state()?.queued_deletions == 1, "the child queues its own deletion")?;
        replays()?;
        check(!exists("of child"), "the child's deletion is made")?;
        check(exists("of parent"), "the child does not make its parent's deletion")?;
        check(region.get("of parent")? == Some(1), "the child sees the old value until its parent deletes it")
    })?;
    wait_for(child)?;
    check(region.backend_state()?.queued_deletions == 1, "the parent's deletion still waits")?;
    check(region.get::<i32>("of parent")?.is_none(), "the parent does not see the old value")?;
    replays()?;
    check(!exists("of parent"), "the parent's deletion is made")
}
