//! Leased mutexes over a server that each test scripts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::lease::{LeaseOptions, LeaseStore, LeaseWait, Leases};
use dogpile_sdk::{BackendError, CacheMutex, ErrorKind};

const LIMIT: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_millis(30);

/// A command that the server received, and its key.
type Command = (&'static str, String);

/// A server whose locks never expire.
#[derive(Debug)]
struct Server {
    locks: Mutex<HashMap<String, String>>,
    /// The commands whose replies are lost. They take effect and return an error.
    loses: Mutex<Vec<&'static str>>,
    panics: AtomicBool,
    waits: AtomicUsize,
    asked: Sender<Command>,
}

/// A wait without signals.
struct Wait<'s>(&'s Server, &'s str);

impl LeaseWait for Wait<'_> {
    fn pause(&mut self, limit: Duration) -> bool {
        thread::sleep(limit);
        // The test may have stopped listening.
        let _ = self.0.asked.send(("pause", self.1.to_owned()));
        false
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.waits.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Server {
    fn start() -> (Arc<Self>, Receiver<Command>) {
        let (asked, commands) = channel();
        let (locks, loses, panics, waits) = Default::default();
        (Arc::new(Server { locks, loses, panics, waits, asked }), commands)
    }

    fn reply<T>(&self, command: &'static str, key: &str, reply: T) -> Result<T, BackendError> {
        // The test may have stopped listening.
        let _ = self.asked.send((command, key.to_owned()));
        let mut loses = self.loses.lock().expect("nothing panics meanwhile");
        match loses.iter().position(|lost| *lost == command) {
            None => Ok(reply),
            Some(at) => {
                loses.remove(at);
                Err(BackendError::new(ErrorKind::Timeout, "the reply was lost"))
            }
        }
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.locks.lock().expect("nothing panics meanwhile")
    }

    /// Loses the next reply to each of these commands.
    fn lose(&self, commands: &[&'static str]) {
        self.loses.lock().expect("nothing panics meanwhile").extend(commands);
    }

    fn has(&self, key: &str) -> bool {
        self.locks().contains_key(key)
    }
}

impl LeaseStore for Server {
    fn acquire(
        &self,
        key: &str,
        token: &str,
        _lease: Duration,
        _deadline: Instant,
    ) -> Result<bool, BackendError> {
        let acquired = self.locks().entry(key.into()).or_insert_with(|| token.into()) == token;
        self.reply("acquire", key, acquired)
    }

    fn renew(&self, key: &str, token: &str, _lease: Duration) -> Result<bool, BackendError> {
        let ours = self.locks().get(key).is_some_and(|held| held == token);
        let is_next = key == "first" && self.panics.swap(false, Ordering::SeqCst);
        assert!(!is_next, "scripted panic");
        self.reply("renew", key, ours)
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let mut locks = self.locks();
        let ours = locks.get(key).is_some_and(|held| held == token);
        if ours {
            locks.remove(key);
        }
        drop(locks);
        self.reply("release", key, ours)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let locked = self.has(key);
        self.reply("locked", key, locked)
    }

    fn wait<'s>(&'s self, key: &'s str) -> Box<dyn LeaseWait + 's> {
        assert_eq!(self.waits.fetch_add(1, Ordering::SeqCst), 0, "one acquisition begins one wait");
        Box::new(Wait(self, key))
    }
}

fn options(change: impl FnOnce(&mut LeaseOptions)) -> LeaseOptions {
    let mut options = LeaseOptions::default();
    options.lease = LEASE;
    change(&mut options);
    options
}

fn leases(server: &Arc<Server>, change: impl FnOnce(&mut LeaseOptions)) -> Leases {
    Leases::new(Arc::clone(server) as Arc<dyn LeaseStore>, options(change))
}

fn acquire(mutex: &dyn CacheMutex) {
    assert!(mutex.try_acquire().expect("the server replies"));
}

/// Acquires the mutex with a deadline that no test reaches.
fn acquire_blocking(mutex: &dyn CacheMutex) -> Result<bool, BackendError> {
    mutex.acquire_until(Instant::now() + LIMIT * 10)
}

/// Waits until the server receives `command` for `key`, and returns the commands before it.
fn heard(commands: &Receiver<Command>, command: &str, key: &str) -> Vec<Command> {
    let (mut before, end) = (Vec::new(), Instant::now() + LIMIT);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let heard = commands.recv_timeout(left).expect("the server receives the command in time");
        if heard == (command, key.to_owned()) {
            return before;
        }
        before.push(heard);
    }
}

fn kind(result: Result<(), BackendError>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn held_lease_is_renewed() {
    let (server, commands) = Server::start();
    let mutex = leases(&server, |_| {}).mutex("key");
    acquire(&*mutex);
    for _ in 0..3 {
        heard(&commands, "renew", "key");
    }
    mutex.release().unwrap();
    assert!(!server.has("key"));
}

#[test]
fn fixed_lease_is_not_renewed() {
    let (server, commands) = Server::start();
    let fixed = leases(&server, |options| options.renewed = false).mutex("fixed");
    let renewed = leases(&server, |_| {}).mutex("renewed");
    acquire(&*fixed);
    acquire(&*renewed);
    for _ in 0..3 {
        let before = heard(&commands, "renew", "renewed");
        assert!(!before.contains(&("renew", "fixed".to_owned())));
    }
}

#[test]
fn mutex_dropped_while_held_is_no_longer_renewed() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |_| {});
    let (dropped, other) = (leases.mutex("dropped"), leases.mutex("other"));
    acquire(&*dropped);
    acquire(&*other);
    drop(dropped);
    // Ignore the renewals from before the drop.
    while commands.try_recv().is_ok() {}
    let mut before = Vec::new();
    for _ in 0..5 {
        before.extend(heard(&commands, "renew", "other"));
    }
    // One renewal may have been in progress.
    let renewals = before.iter().filter(|heard| **heard == ("renew", "dropped".to_owned())).count();
    assert!(renewals <= 1, "{before:?}");
}

#[test]
fn failed_renewal_is_retried() {
    let (server, commands) = Server::start();
    server.lose(&["renew"]);
    let mutex = leases(&server, |options| options.lease = LIMIT / 30).mutex("key");
    acquire(&*mutex);
    heard(&commands, "renew", "key");
    heard(&commands, "renew", "key");
    mutex.release().unwrap();
}

#[test]
fn panicking_renewal_leaves_other_leases_alone() {
    let (server, commands) = Server::start();
    server.panics.store(true, Ordering::SeqCst);
    let leases = leases(&server, |_| {});
    let (first, second) = (leases.mutex("first"), leases.mutex("second"));
    acquire(&*first);
    acquire(&*second);
    heard(&commands, "renew", "second");
    first.release().unwrap();
    second.release().unwrap();
}

#[test]
fn release_of_a_lock_taken_over_fails() {
    let (server, _commands) = Server::start();
    let mutex = leases(&server, |_| {}).mutex("key");
    acquire(&*mutex);
    server.locks().insert("key".into(), "another's".into());
    assert_eq!(kind(mutex.release()), Some(ErrorKind::NotHeld));
    assert!(server.has("key"));
}

#[test]
fn lock_whose_acquire_reply_was_lost_is_removed() {
    let (server, commands) = Server::start();
    server.lose(&["acquire"]);
    let mutex = leases(&server, |_| {}).mutex("key");
    assert_eq!(kind(acquire_blocking(&*mutex).map(drop)), Some(ErrorKind::Timeout));
    heard(&commands, "release", "key");
    acquire(&*mutex);
    assert!(server.has("key"));
}

#[test]
fn failed_release_is_retried_in_background() {
    let (server, commands) = Server::start();
    server.lose(&["release", "release"]);
    let mutex = leases(&server, |options| options.lease = LIMIT / 30).mutex("key");
    acquire(&*mutex);
    assert_eq!(kind(mutex.release()), Some(ErrorKind::Timeout));
    for _ in 0..3 {
        heard(&commands, "release", "key");
    }
    assert_eq!(kind(mutex.release()), Some(ErrorKind::NotHeld));
}

#[test]
fn waiter_acquires_released_mutex() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |_| {});
    let (held, wanted) = (leases.mutex("key"), leases.mutex("key"));
    acquire(&*held);
    heard(&commands, "acquire", "key");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| acquire_blocking(&*wanted));
        heard(&commands, "acquire", "key");
        held.release().unwrap();
        assert!(waiter.join().unwrap().unwrap());
    });
    wanted.release().unwrap();
}

#[test]
fn waiter_gives_up_at_the_mutex_limit() {
    let (server, _commands) = Server::start();
    let leases = leases(&server, |options| options.give_up_after = LEASE);
    acquire(&*leases.mutex("key"));
    assert!(!acquire_blocking(&*leases.mutex("key")).unwrap());
}

#[test]
fn waiter_gives_up_at_its_deadline_and_not_earlier() {
    let (server, _commands) = Server::start();
    let leases = leases(&server, |_| {});
    acquire(&*leases.mutex("key"));
    let deadline = Instant::now() + LEASE;
    assert!(!leases.mutex("key").acquire_until(deadline).unwrap());
    assert!(Instant::now() >= deadline);
}

#[test]
fn acquire_until_past_deadline_tries_once() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |options| options.renewed = false);
    let (held, wanted) = (leases.mutex("key"), leases.mutex("key"));
    assert!(held.acquire_until(Instant::now()).unwrap());
    assert!(!wanted.acquire_until(Instant::now()).unwrap());
    let received: Vec<_> = commands.try_iter().map(|(command, _)| command).collect();
    assert_eq!(received, ["acquire", "acquire"]);
}

/// The configuration `lock_blocking = false` sets this limit.
#[test]
fn acquire_until_with_limit_zero_tries_once() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |options| {
        options.renewed = false;
        options.give_up_after = Duration::ZERO;
    });
    let (held, wanted) = (leases.mutex("key"), leases.mutex("key"));
    assert!(acquire_blocking(&*held).unwrap());
    assert!(!acquire_blocking(&*wanted).unwrap());
    assert_eq!(commands.try_iter().count(), 2);
}

#[test]
fn renewed_lease_is_not_lost() {
    let (server, commands) = Server::start();
    let mutex = leases(&server, |options| options.lease = LIMIT / 15).mutex("key");
    assert!(!mutex.is_lost());
    acquire(&*mutex);
    let acquired = Instant::now();
    while acquired.elapsed() < LIMIT / 12 {
        heard(&commands, "renew", "key");
        assert!(!mutex.is_lost());
    }
    mutex.release().unwrap();
    assert!(!mutex.is_lost());
}

#[test]
fn fixed_lease_is_lost_once_it_ends() {
    let (server, commands) = Server::start();
    let mutex = leases(&server, |options| options.renewed = false).mutex("key");
    let acquired = Instant::now();
    acquire(&*mutex);
    while !mutex.is_lost() {
        thread::yield_now();
    }
    assert!(acquired.elapsed() >= LEASE);
    assert_eq!(commands.try_iter().count(), 1, "is_lost asks the server nothing");
    // The lock is still there: this server keeps it beyond the lease.
    mutex.release().unwrap();
    assert!(!mutex.is_lost());
}

#[test]
fn lease_whose_renewals_fail_is_lost_once_it_ends() {
    let (server, _commands) = Server::start();
    server.lose(&["renew"; 1000]);
    let mutex = leases(&server, |_| {}).mutex("key");
    let acquired = Instant::now();
    acquire(&*mutex);
    while !mutex.is_lost() {
        thread::yield_now();
    }
    assert!(acquired.elapsed() >= LEASE);
}

#[test]
fn lease_is_lost_once_a_renewal_reports_another_holder() {
    let (server, commands) = Server::start();
    let mutex = leases(&server, |options| options.lease = LIMIT / 5).mutex("key");
    acquire(&*mutex);
    server.locks().insert("key".into(), "another's".into());
    heard(&commands, "renew", "key");
    // The reply to the renewal is on its way. The lease itself has two thirds of its time left.
    let renewed = Instant::now();
    while !mutex.is_lost() {
        assert!(renewed.elapsed() < LIMIT / 10, "the loss is noticed before the lease ends");
        thread::yield_now();
    }
    server.locks().remove("key");
    acquire(&*mutex);
    assert!(!mutex.is_lost());
}

#[test]
fn acquisition_begins_one_wait_and_ends_it() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |_| {});
    let (held, wanted) = (leases.mutex("key"), leases.mutex("key"));
    acquire(&*held);
    assert_eq!(server.waits.load(Ordering::SeqCst), 0);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| acquire_blocking(&*wanted));
        for _ in 0..3 {
            heard(&commands, "pause", "key");
        }
        assert_eq!(server.waits.load(Ordering::SeqCst), 1);
        held.release().unwrap();
        assert!(waiter.join().unwrap().unwrap());
    });
    assert_eq!(server.waits.load(Ordering::SeqCst), 0);
}

#[test]
fn dropping_all_mutexes_ends_the_thread() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |_| {});
    let mutex = leases.mutex("key");
    acquire(&*mutex);
    heard(&commands, "renew", "key");
    drop((leases, mutex));
    assert_eq!(Arc::strong_count(&server), 1);
}
