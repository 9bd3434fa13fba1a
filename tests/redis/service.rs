//! A service whose Redis server is killed and frozen. Its users get no error, and few values are created.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, OnBackendFailure, RegionConfig};
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::threads::{bounded, until};
use parking_lot::Mutex;

use super::server;

const THREADS: usize = 8;
const KEYS: usize = 4;

/// The service, and the events that it saw.
struct Service {
    region: CacheRegion,
    requests: AtomicUsize,
    errors: Mutex<Vec<String>>,
    /// When each creation of each key began.
    creations: [Mutex<Vec<Instant>>; KEYS],
    /// Whether a key is being created.
    creating: [AtomicBool; KEYS],
    ended: AtomicBool,
}

impl Service {
    fn over(server: &RedisServer) -> Self {
        let config = RegionConfig::new("dogpile.cache.redis")
            .argument("host", "127.0.0.1")
            .argument("port", server.port())
            .argument("socket_timeout", "1s")
            .on_backend_failure(OnBackendFailure::Degrade);
        Service {
            region: region_of("service", config),
            requests: AtomicUsize::new(0),
            errors: Mutex::default(),
            creations: Default::default(),
            creating: Default::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// Makes requests until the test ends.
    fn work(&self, worker: usize) {
        for key in (worker..).map(|number| number % KEYS) {
            if self.ended.load(SeqCst) {
                return;
            }
            match self.region.get_or_create(&format!("page {key}"), || self.create(key)) {
                Ok(value) => assert_eq!(value, key),
                Err(error) => self.errors.lock().push(format!("{error:#}")),
            }
            self.requests.fetch_add(1, SeqCst);
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn create(&self, key: usize) -> usize {
        assert!(!self.creating[key].swap(true, SeqCst), "two creators of a key at once");
        self.creations[key].lock().push(Instant::now());
        thread::sleep(Duration::from_millis(5));
        self.creating[key].store(false, SeqCst);
        key
    }

    fn created(&self) -> [usize; KEYS] {
        std::array::from_fn(|key| self.creations[key].lock().len())
    }

    /// Lets `happen` happen. Waits until all keys were created since then, and some more requests were made.
    fn creates_after(&self, what: &str, happen: impl FnOnce()) {
        let (before, requests) = (self.created(), self.requests.load(SeqCst));
        happen();
        until(&format!("all keys were created after {what}"), || {
            let grew = self.created().iter().zip(before).all(|(now, before)| *now > before);
            grew && self.requests.load(SeqCst) > requests + 20 * THREADS
        });
    }
}

/// Within a process, a key is created at most once a second, whatever happens to the server.
#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn service_bears_a_killed_and_a_frozen_server() {
    let mut server = server(&[]);
    bounded(move || {
        let service = Service::over(&server);
        thread::scope(|scope| {
            let _end = End(&service.ended);
            let work = |worker| {
                let service = &service;
                scope.spawn(move || service.work(worker));
            };
            service.creates_after("the beginning", || (0..THREADS).for_each(work));
            assert_eq!(service.created(), [1; KEYS], "the server keeps them");
            service.creates_after("the server's death", || server.kill());
            server.start_again();
            until("the new server has the keys", || server.say(&["DBSIZE"]) == KEYS.to_string());
            service.creates_after("the server froze", || server.process().stop());
            server.process().go_on();
            let requests = service.requests.load(SeqCst);
            until("requests go on", || service.requests.load(SeqCst) > requests + 20 * THREADS);
        });
        assert_eq!(*service.errors.lock(), Vec::<String>::new());
        for creations in &service.creations {
            let creations = creations.lock();
            let closest = creations.windows(2).map(|pair| pair[1] - pair[0]).min();
            assert!(closest >= Some(Duration::from_secs(1)), "{closest:?} between {creations:?}");
        }
    });
}

/// Ends the workers, even if the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
