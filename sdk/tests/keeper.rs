//! How leases on several servers are renewed and lost, and which waits are bounded.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::{LeaseOptions, LeaseStore, Leases};
use dogpile_sdk::{BackendError, CacheMutex, ErrorKind, Fence};

/// The longest wait before a test fails.
const LIMIT: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_millis(60);

/// Some servers, named by the part of the key before the colon. Their locks never expire by themselves.
#[derive(Debug, Default)]
struct Servers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The token of each lock.
    locks: HashMap<String, String>,
    /// The servers that do not reply.
    hung: HashSet<String>,
    /// Other names of servers, for keys that moved.
    moved: HashMap<String, String>,
    /// The commands received, each with its key.
    received: Vec<(&'static str, String)>,
    /// The commands that fail at once.
    failing: HashSet<&'static str>,
    /// The commands to which no server replies, by sender.
    hanging: HashSet<(Sender, &'static str)>,
    /// The number of commands that wait for a hung server, and the highest so far.
    waiting: usize,
    most_waiting: usize,
}

/// Who sends a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sender {
    Keeper,
    Caller,
}

impl Sender {
    fn current() -> Sender {
        let is_keeper = thread::current().name().is_some_and(|name| name == "dogpile-leases");
        if is_keeper { Sender::Keeper } else { Sender::Caller }
    }
}

impl Servers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics meanwhile")
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Makes `server` hang.
    fn hang(&self, server: &str) {
        self.change(|state| {
            state.hung.insert(server.to_owned());
        });
    }

    /// Makes everything work again.
    fn heal(&self) {
        self.change(|state| {
            state.hung.clear();
            state.hanging.clear();
            state.failing.clear();
        });
    }

    /// Removes the lock of `key`, as if it had expired.
    fn lose(&self, key: &str) {
        self.change(|state| {
            state.locks.remove(key);
        });
    }

    fn server_of(state: &State, key: &str) -> String {
        let named = key.split(':').next().unwrap_or_default();
        state.moved.get(named).map_or(named, String::as_str).to_owned()
    }

    /// Receives a command. While the server hangs, blocks until `deadline`.
    fn receive(
        &self,
        command: &'static str,
        key: &str,
        deadline: Instant,
    ) -> Result<MutexGuard<'_, State>, BackendError> {
        let mut state = self.state();
        state.received.push((command, key.to_owned()));
        self.changed.notify_all();
        if state.failing.contains(command) {
            return Err(BackendError::new(ErrorKind::Unavailable, "scripted failure"));
        }
        let sent = (Sender::current(), command);
        while state.hanging.contains(&sent) || state.hung.contains(&Servers::server_of(&state, key)) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BackendError::new(ErrorKind::Timeout, "the server does not reply"));
            }
            state.waiting += 1;
            state.most_waiting = state.most_waiting.max(state.waiting);
            state = self.changed.wait_timeout(state, left).expect("nothing panics meanwhile").0;
            state.waiting -= 1;
        }
        Ok(state)
    }

    /// Blocks until `holds`, and fails the test after [`LIMIT`].
    fn until(&self, what: &str, mut holds: impl FnMut(&State) -> bool) {
        let (mut state, begun) = (self.state(), Instant::now());
        while !holds(&state) {
            assert!(begun.elapsed() < LIMIT, "timed out waiting until {what}");
            state = self.changed.wait_timeout(state, LEASE).expect("nothing panics meanwhile").0;
        }
    }

    fn count(state: &State, command: &str, key: &str) -> usize {
        state.received.iter().filter(|(sent, of)| *sent == command && of == key).count()
    }

    /// Blocks until `command` was received for `key` another `times` times.
    fn hear(&self, command: &str, key: &str, times: usize) {
        let before = Servers::count(&self.state(), command, key);
        let what = format!("{command} {key} is received");
        self.until(&what, |state| Servers::count(state, command, key) >= before + times);
    }

    fn token(&self, key: &str) -> Option<String> {
        self.state().locks.get(key).cloned()
    }
}

fn far() -> Instant {
    Instant::now() + LIMIT
}

impl LeaseStore for Servers {
    fn acquire(
        &self,
        key: &str,
        token: &str,
        _lease: Duration,
        deadline: Instant,
    ) -> Result<bool, BackendError> {
        let mut state = self.receive("acquire", key, deadline)?;
        let held = state.locks.entry(key.to_owned()).or_insert_with(|| token.to_owned());
        Ok(held == token)
    }

    fn renew(&self, key: &str, token: &str, _lease: Duration) -> Result<bool, BackendError> {
        let state = self.receive("renew", key, far())?;
        Ok(state.locks.get(key).is_some_and(|held| held == token))
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let mut state = self.receive("release", key, far())?;
        let is_ours = state.locks.get(key).is_some_and(|held| held == token);
        if is_ours {
            state.locks.remove(key);
        }
        drop(state);
        self.changed.notify_all();
        Ok(is_ours)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        Ok(self.receive("locked", key, far())?.locks.contains_key(key))
    }

    fn fence(&self, _key: &str, token: &str) -> Option<Fence> {
        Some(Fence::new(token.as_bytes().to_vec()))
    }

    fn server<'k>(&self, key: &'k str) -> Cow<'k, str> {
        Cow::Owned(Servers::server_of(&self.state(), key))
    }

    fn is_stuck(&self, key: &str) -> bool {
        let state = self.state();
        state.hung.contains(&Servers::server_of(&state, key))
    }
}

fn leases(servers: &Arc<Servers>, lease: Duration) -> Leases {
    let mut options = LeaseOptions::default();
    options.lease = lease;
    Leases::new(Arc::clone(servers) as Arc<dyn LeaseStore>, options)
}

fn acquired(leases: &Leases, key: &str) -> Arc<dyn CacheMutex> {
    let mutex = leases.mutex(key);
    assert!(mutex.try_acquire().expect("the server replies"), "{key} is free");
    mutex
}

fn spin_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "timed out waiting until {what}");
        thread::yield_now();
    }
}

fn kind(result: Result<(), BackendError>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn hung_server_delays_no_lease_on_another_server() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LEASE);
    let hung: Vec<_> = (0..4).map(|number| acquired(&leases, &format!("hung:{number}"))).collect();
    let (one, other) = (acquired(&leases, "works:1"), acquired(&leases, "other:1"));
    servers.hang("hung");
    servers.until("a renewal hangs", |state| state.waiting == 1);
    for _ in 0..3 {
        servers.hear("renew", "works:1", 2);
        servers.hear("renew", "other:1", 2);
    }
    // One request at a time is enough to find out that a server hangs.
    assert_eq!(servers.state().most_waiting, 1);
    servers.heal();
    for mutex in [one, other].into_iter().chain(hung) {
        mutex.release().expect("the server has the lock");
    }
}

#[test]
fn many_hung_servers_keep_a_bounded_number_of_threads_busy() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LEASE);
    let mutexes: Vec<_> = (0..100).map(|number| acquired(&leases, &format!("{number}:key"))).collect();
    servers.change(|state| state.hung.extend((0..100).map(|number| number.to_string())));
    servers.until("many renewals hang", |state| state.waiting == 32);
    thread::sleep(LEASE);
    assert_eq!(servers.state().most_waiting, 32);
    servers.heal();
    // All continue, those that had to wait for a thread included.
    for number in 0..100 {
        servers.hear("renew", &format!("{number}:key"), 1);
    }
    drop(mutexes);
}

/// The leases wait for their renewal in the lane of one server, and their keys move to another one, which hangs.
#[test]
fn lease_whose_key_moved_is_renewed_on_its_new_server() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LEASE * 5);
    let move_to = |server: &str| {
        servers.change(|state| {
            state.moved.insert("moves".to_owned(), server.to_owned());
        });
    };
    move_to("stays");
    let moved: Vec<_> = (0..4).map(|number| acquired(&leases, &format!("moves:{number}"))).collect();
    let stays = acquired(&leases, "stays:1");
    servers.hang("hung");
    move_to("hung");
    servers.hear("renew", "stays:1", 3);
    servers.until("a moved lease is renewed on its new server", |state| state.waiting == 1);
    servers.heal();
    for mutex in moved.into_iter().chain([stays]) {
        mutex.release().expect("the server has the lock");
    }
}

#[test]
fn lost_lock_is_acquired_again_and_its_mutex_stays_lost() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LEASE);
    let mutex = acquired(&leases, "a:1");
    let (token, fence) = (servers.token("a:1"), mutex.fence());
    // The lock expires, or the server loses its memory.
    servers.lose("a:1");
    servers.until("the lock is acquired again", |state| state.locks.contains_key("a:1"));
    assert!(mutex.is_lost());
    assert_ne!(servers.token("a:1"), token, "the old fence must not match");
    assert_eq!(mutex.fence(), fence);
    assert!(!leases.mutex("a:1").try_acquire().expect("the server replies"), "others wait");
    servers.hear("renew", "a:1", 3);
    assert!(mutex.is_lost());
    assert_eq!(kind(mutex.release()), Some(ErrorKind::NotHeld));
    assert_eq!(servers.token("a:1"), None, "the release removes the lock");
}

#[test]
fn lost_lock_that_another_holds_is_left_alone() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LEASE);
    let (mutex, other) = (acquired(&leases, "a:1"), acquired(&leases, "a:2"));
    servers.change(|state| drop(state.locks.insert("a:1".to_owned(), "another's".to_owned())));
    spin_until("the loss is noticed", || mutex.is_lost());
    servers.hear("renew", "a:2", 3);
    // It is released, and stays free.
    servers.lose("a:1");
    servers.hear("renew", "a:2", 3);
    assert_eq!(servers.token("a:1"), None);
    assert_eq!(kind(mutex.release()), Some(ErrorKind::NotHeld));
    other.release().expect("the server has the lock");
}

#[test]
fn lease_that_ended_is_not_lost_if_the_server_kept_the_lock() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LEASE);
    let mutex = acquired(&leases, "a:1");
    let token = servers.token("a:1");
    servers.change(|state| {
        state.failing.insert("renew");
    });
    spin_until("the lease ends", || mutex.is_lost());
    servers.hear("renew", "a:1", 3);
    servers.heal();
    spin_until("a renewal proves that the lock is ours", || !mutex.is_lost());
    assert_eq!(servers.token("a:1"), token);
    mutex.release().expect("the server has the lock");
}

#[test]
fn lost_mutex_can_be_acquired_again() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LEASE * 10);
    for _ in 0..10 {
        let mutex = acquired(&leases, "a:1");
        let fence = mutex.fence();
        servers.lose("a:1");
        spin_until("the loss is noticed", || mutex.is_lost());
        // The lock is acquired again meanwhile, or has been, or will be.
        assert!(mutex.try_acquire().expect("the server replies"));
        assert!(!mutex.is_lost());
        assert_ne!(mutex.fence(), fence);
        mutex.release().expect("the lock is held");
        assert_eq!(servers.token("a:1"), None);
    }
}

/// The server acquires the lost lock again after the mutex was released, because the request was on its way.
#[test]
fn late_acquisition_of_a_lost_lock_leaves_no_lock() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LEASE);
    let mutex = acquired(&leases, "a:1");
    servers.change(|state| {
        state.locks.clear();
        state.hanging.insert((Sender::Keeper, "acquire"));
    });
    servers.until("the acquisition is on its way", |state| state.waiting == 1);
    assert_eq!(kind(mutex.release()), Some(ErrorKind::NotHeld));
    servers.heal();
    // The first release came too early.
    servers.until("a second release", |state| Servers::count(state, "release", "a:1") >= 2);
    servers.until("the lock is removed", |state| state.locks.is_empty());
}

/// The server acquires the lost lock again while its mutex, which acquired it first, is being released.
#[test]
fn late_acquisition_leaves_the_lock_to_the_release_in_progress() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LEASE);
    let (mutex, other) = (acquired(&leases, "a:1"), acquired(&leases, "b:1"));
    servers.change(|state| {
        state.locks.remove("a:1");
        state.hanging.extend([(Sender::Keeper, "acquire"), (Sender::Caller, "release")]);
    });
    servers.until("the late acquisition is on its way", |state| state.waiting == 1);
    assert!(mutex.try_acquire().expect("the server replies"));
    thread::scope(|scope| {
        let released = scope.spawn(|| mutex.release());
        servers.until("the release is on its way", |state| state.waiting == 2);
        servers.change(|state| state.hanging.retain(|sent| *sent != (Sender::Keeper, "acquire")));
        servers.until("the late acquisition has ended", |state| state.waiting == 1);
        servers.hear("renew", "b:1", 3);
        servers.heal();
        released.join().expect("nothing panics").expect("the mutex held the lock until its release");
    });
    servers.until("the keeper removes what it may have acquired", |state| {
        Servers::count(state, "release", "a:1") == 2
    });
    other.release().expect("the server has the lock");
}

#[test]
fn acquisition_on_a_hung_server_ends_at_the_callers_deadline() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LIMIT);
    servers.hang("hung");
    let (mutex, begun) = (leases.mutex("hung:1"), Instant::now());
    let acquired = mutex.acquire_until(begun + Duration::from_millis(300));
    let took = begun.elapsed();
    assert_eq!(kind(acquired.map(drop)), Some(ErrorKind::Timeout));
    assert!((Duration::from_millis(290)..Duration::from_secs(5)).contains(&took), "{took:?}");
    servers.heal();
}

#[test]
fn server_that_hangs_during_a_wait_ends_it_at_the_deadline() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LIMIT);
    let held = acquired(&leases, "a:1");
    thread::scope(|scope| {
        let (waiter, begun) = (leases.mutex("a:1"), Instant::now());
        let waiting = scope.spawn(move || waiter.acquire_until(begun + Duration::from_millis(500)));
        servers.hear("acquire", "a:1", 2);
        servers.hang("a");
        let acquired = waiting.join().expect("it does not panic");
        assert!(!acquired.expect("the lock was held when the server last replied"));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    });
    servers.heal();
    held.release().expect("the server has the lock");
}

#[test]
fn lock_on_a_stuck_server_is_released_in_the_background() {
    let servers = Arc::new(Servers::default());
    let leases = leases(&servers, LIMIT);
    let mutex = acquired(&leases, "a:1");
    servers.hang("a");
    let begun = Instant::now();
    let error = mutex.release().expect_err("the server hangs");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("released in the background"), "{error}");
    servers.heal();
    servers.until("the lock is released", |state| state.locks.is_empty());
}
