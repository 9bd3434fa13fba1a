//! Leased mutexes over a server that does, and fails, as each test wants it to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use dogpile_sdk::lease::{LeaseOptions, LeaseStore, LeaseWait, Leases};
use dogpile_sdk::{BackendError, CacheMutex, ErrorKind};

const LIMIT: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_millis(30);

/// What a server was asked, and for which key.
type Command = (&'static str, String);

/// A server whose locks never vanish by themselves.
#[derive(Debug)]
struct Server {
    locks: Mutex<HashMap<String, String>>,
    /// The answers to these commands are lost: they are done, and are errors.
    loses: Mutex<Vec<&'static str>>,
    panics: AtomicBool,
    waits: AtomicUsize,
    asked: Sender<Command>,
}

/// A wait that the server tells of nothing.
struct Wait<'s>(&'s Server, &'s str);

impl LeaseWait for Wait<'_> {
    fn pause(&mut self, limit: Duration) -> bool {
        thread::sleep(limit);
        // The test may have heard enough.
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

    fn answer<T>(&self, command: &'static str, key: &str, answer: T) -> Result<T, BackendError> {
        // The test may have heard enough.
        let _ = self.asked.send((command, key.to_owned()));
        let mut loses = self.loses.lock().expect("nothing panics meanwhile");
        match loses.iter().position(|lost| *lost == command) {
            None => Ok(answer),
            Some(at) => {
                loses.remove(at);
                Err(BackendError::new(ErrorKind::Timeout, "the answer was lost"))
            }
        }
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.locks.lock().expect("nothing panics meanwhile")
    }

    /// The answers to these commands are lost from now on, each once.
    fn lose(&self, commands: &[&'static str]) {
        self.loses.lock().expect("nothing panics meanwhile").extend(commands);
    }

    fn has(&self, key: &str) -> bool {
        self.locks().contains_key(key)
    }
}

impl LeaseStore for Server {
    fn acquire(&self, key: &str, token: &str, _lease: Duration) -> Result<bool, BackendError> {
        let taken = self.locks().entry(key.into()).or_insert_with(|| token.into()) == token;
        self.answer("acquire", key, taken)
    }

    fn renew(&self, key: &str, token: &str, _lease: Duration) -> Result<bool, BackendError> {
        let ours = self.locks().get(key).is_some_and(|held| held == token);
        assert!(!self.panics.swap(false, Ordering::SeqCst), "as the test wants it");
        self.answer("renew", key, ours)
    }

    fn release(&self, key: &str, token: &str) -> Result<bool, BackendError> {
        let mut locks = self.locks();
        let ours = locks.get(key).is_some_and(|held| held == token);
        if ours {
            locks.remove(key);
        }
        drop(locks);
        self.answer("release", key, ours)
    }

    fn locked(&self, key: &str) -> Result<bool, BackendError> {
        let locked = self.has(key);
        self.answer("locked", key, locked)
    }

    fn wait<'s>(&'s self, key: &'s str) -> Box<dyn LeaseWait + 's> {
        assert_eq!(self.waits.fetch_add(1, Ordering::SeqCst), 0, "an acquisition is one wait");
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

fn taken(mutex: &dyn CacheMutex) {
    assert!(mutex.acquire(false).expect("the server answers"));
}

/// Waits until the server is asked `command` for `key`; answers what it was asked before.
fn heard(commands: &Receiver<Command>, command: &str, key: &str) -> Vec<Command> {
    let mut before = Vec::new();
    loop {
        let heard = commands.recv_timeout(LIMIT).expect("the server is asked in time");
        if heard == (command, key.to_owned()) {
            return before;
        }
        before.push(heard);
    }
}

fn kind(answer: Result<(), BackendError>) -> Option<ErrorKind> {
    answer.err().map(|error| error.kind())
}

#[test]
fn a_lease_is_renewed_while_its_mutex_is_held() {
    let (server, commands) = Server::start();
    let mutex = leases(&server, |_| {}).mutex("key");
    taken(&*mutex);
    for _ in 0..3 {
        heard(&commands, "renew", "key");
    }
    mutex.release().unwrap();
    assert!(!server.has("key"));
}

#[test]
fn a_lease_that_is_not_to_be_renewed_is_not() {
    let (server, commands) = Server::start();
    let fixed = leases(&server, |options| options.renewed = false).mutex("fixed");
    let renewed = leases(&server, |_| {}).mutex("renewed");
    taken(&*fixed);
    taken(&*renewed);
    for _ in 0..3 {
        let before = heard(&commands, "renew", "renewed");
        assert!(!before.contains(&("renew", "fixed".to_owned())));
    }
}

#[test]
fn a_mutex_that_is_dropped_while_held_is_renewed_no_more() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |_| {});
    let (dropped, other) = (leases.mutex("dropped"), leases.mutex("other"));
    taken(&*dropped);
    taken(&*other);
    drop(dropped);
    // What was renewed until now was renewed while it was held.
    while commands.try_recv().is_ok() {}
    let mut before = Vec::new();
    for _ in 0..5 {
        before.extend(heard(&commands, "renew", "other"));
    }
    // One renewal may have been under way.
    let renewals = before.iter().filter(|heard| **heard == ("renew", "dropped".to_owned())).count();
    assert!(renewals <= 1, "{before:?}");
}

#[test]
fn a_renewal_that_fails_is_tried_again() {
    let (server, commands) = Server::start();
    server.lose(&["renew"]);
    let mutex = leases(&server, |options| options.lease = LIMIT / 30).mutex("key");
    taken(&*mutex);
    heard(&commands, "renew", "key");
    heard(&commands, "renew", "key");
    mutex.release().unwrap();
}

#[test]
fn a_renewal_that_panics_leaves_the_other_leases_alone() {
    let (server, commands) = Server::start();
    server.panics.store(true, Ordering::SeqCst);
    let leases = leases(&server, |_| {});
    let (first, second) = (leases.mutex("first"), leases.mutex("second"));
    taken(&*first);
    taken(&*second);
    heard(&commands, "renew", "second");
    first.release().unwrap();
    second.release().unwrap();
}

#[test]
fn a_lock_that_became_somebody_elses_is_left_to_them() {
    let (server, _commands) = Server::start();
    let mutex = leases(&server, |_| {}).mutex("key");
    taken(&*mutex);
    server.locks().insert("key".into(), "another's".into());
    assert_eq!(kind(mutex.release()), Some(ErrorKind::NotHeld));
    assert!(server.has("key"));
}

#[test]
fn a_lock_that_was_taken_although_the_answer_was_lost_is_removed() {
    let (server, commands) = Server::start();
    server.lose(&["acquire"]);
    let mutex = leases(&server, |_| {}).mutex("key");
    assert_eq!(kind(mutex.acquire(true).map(drop)), Some(ErrorKind::Timeout));
    heard(&commands, "release", "key");
    taken(&*mutex);
    assert!(server.has("key"));
}

#[test]
fn a_lock_that_could_not_be_released_is_removed_later() {
    let (server, commands) = Server::start();
    server.lose(&["release", "release"]);
    let mutex = leases(&server, |options| options.lease = LIMIT / 30).mutex("key");
    taken(&*mutex);
    assert_eq!(kind(mutex.release()), Some(ErrorKind::Timeout));
    for _ in 0..3 {
        heard(&commands, "release", "key");
    }
    assert_eq!(kind(mutex.release()), Some(ErrorKind::NotHeld));
}

#[test]
fn who_waits_gets_the_mutex_once_it_is_released() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |_| {});
    let (held, wanted) = (leases.mutex("key"), leases.mutex("key"));
    taken(&*held);
    heard(&commands, "acquire", "key");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wanted.acquire(true));
        heard(&commands, "acquire", "key");
        held.release().unwrap();
        assert!(waiter.join().unwrap().unwrap());
    });
    wanted.release().unwrap();
}

#[test]
fn who_waits_gives_up_in_the_end() {
    let (server, _commands) = Server::start();
    let leases = leases(&server, |options| options.give_up_after = LEASE);
    taken(&*leases.mutex("key"));
    assert!(!leases.mutex("key").acquire(true).unwrap());
}

#[test]
fn an_acquisition_is_one_wait_which_ends_with_it() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |_| {});
    let (held, wanted) = (leases.mutex("key"), leases.mutex("key"));
    taken(&*held);
    assert_eq!(server.waits.load(Ordering::SeqCst), 0);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wanted.acquire(true));
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
fn dropping_the_mutexes_ends_the_thread() {
    let (server, commands) = Server::start();
    let leases = leases(&server, |_| {});
    let mutex = leases.mutex("key");
    taken(&*mutex);
    heard(&commands, "renew", "key");
    drop((leases, mutex));
    assert_eq!(Arc::strong_count(&server), 1);
}
