//! Creation in the background, where another thread releases the lock on the server.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use dogpile::{CacheRegion, ManualClock, Runner, ThreadRunner};
use dogpile_tests::desk::Desk;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{Signal, bounded, until};

use super::{config_of, say, server};

const SECOND: Duration = Duration::from_secs(1);

/// A region with a lock on the server, whose values expire after one second.
struct Subject {
    region: CacheRegion,
    clock: Arc<ManualClock>,
    port: u16,
}

impl Subject {
    fn create(&self, creator: impl FnOnce() -> i32 + Send + 'static) -> i32 {
        self.region.options().background().get_or_create("key", creator).unwrap()
    }

    /// Returns whether the lock exists on the server.
    fn is_locked(&self) -> bool {
        say(self.port, "EXISTS _lockkey") == ":1\r\n"
    }
}

/// Runs `test` on a region over each entry point for a single server.
fn with_runner<R: Runner>(runner: fn() -> R, test: impl Fn(&Subject, &R) + Send + 'static) {
    bounded(move || {
        let server = server(&[]);
        for backend in ["dogpile.cache.redis", "dogpile.cache.valkey"] {
            say(server.port(), "FLUSHALL");
            let (clock, runner) = (Arc::new(ManualClock::at(100.0)), Arc::new(runner()));
            let config = config_of(backend, &server).expiration_time(SECOND).clock(clock.clone());
            let region = region_of("in the background", config.async_creation_runner(runner.clone()));
            test(&Subject { region, clock, port: server.port() }, &runner);
        }
    });
}

/// Behavior: `async-first-call-synchronous-distributed`
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn missing_value_is_created_on_the_calling_thread() {
    with_runner(Desk::default, |subject, desk| {
        let caller = thread::current().id();
        let (created_on, creating) = channel();
        let made = subject.create(move || {
            created_on.send(thread::current().id()).unwrap();
            1
        });
        assert_eq!((made, creating.recv().unwrap()), (1, caller));
        assert!(desk.take().is_empty() && !subject.is_locked());
    });
}

/// Behavior: `async-stale-returned-while-runner-works`, `async-release-from-other-thread`
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn stale_value_is_returned_while_another_thread_creates() {
    with_runner(
        || ThreadRunner,
        |subject, _| {
            subject.create(|| 1);
            subject.clock.advance(2 * SECOND);
            let (begun, go_on) = (Signal::default(), Signal::default());
            let (begins, goes_on) = (begun.clone(), go_on.clone());
            let stale = subject.create(move || {
                begins.give();
                goes_on.wait();
                2
            });
            begun.wait();
            assert_eq!((stale, subject.create(|| 3), subject.is_locked()), (1, 1, true));
            go_on.give();
            until("the thread has released the lock", || !subject.is_locked());
            assert_eq!(subject.create(|| 4), 2);
        },
    );
}

// DIFFERENCE: a runner gets a `Creation`, which does what Python's runner has to do with region, key, creator, and
// mutex.

/// Behavior: `async-runner-gets-region-key-creator-mutex`
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn runner_gets_a_creation_that_owns_the_server_lock() {
    with_runner(Desk::default, |subject, desk| {
        subject.create(|| 1);
        subject.clock.advance(2 * SECOND);
        assert_eq!(subject.create(|| 2), 1);
        let creation = desk.take().pop().unwrap();
        assert_eq!(
            (creation.region(), creation.keys()),
            ("in the background", ["key".to_owned()].as_slice())
        );
        assert!(subject.is_locked());
        thread::spawn(|| creation.run()).join().unwrap();
        assert!(!subject.is_locked());
        assert_eq!(subject.create(|| 3), 2);
    });
}
