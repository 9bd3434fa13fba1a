//! [`Wakeups`]: who waits for a lock hears of its release from the server.
//!
//! A release publishes on a channel of the lock; who waits subscribes to it, on a connection that nothing else is
//! asked on. Nobody relies on it: Python's releases publish nothing, a lock that vanishes by itself does not either,
//! and a user may lack the right to the channel. So the lock is looked at again and again all the same.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::BackendError;
use dogpile_sdk::lease::LeaseWait;
use redis::{Connection, PushKind, RedisResult, Value};

use crate::error;
use crate::servers::Servers;

/// The most connections that listen at a time; whoever else waits only looks.
const MOST: usize = 16;

/// Pauses up to this are not worth a connection. They are a sixteenth of the time waited, so whoever listens has
/// waited for some time already.
const SHORT: Duration = Duration::from_millis(1);

/// Who listens for the release of which lock.
#[derive(Debug)]
pub(crate) struct Wakeups {
    servers: Arc<dyn Servers>,
    /// The names of the locks that are listened for.
    names: Mutex<BTreeSet<String>>,
    /// The server is too old, or the user may not listen: it is not tried again.
    refused: AtomicBool,
}

impl Wakeups {
    pub(crate) fn new(servers: Arc<dyn Servers>) -> Self {
        Wakeups { servers, names: Mutex::default(), refused: AtomicBool::new(false) }
    }

    /// Where the release of the lock called `name` is told.
    pub(crate) fn channel(name: &str) -> String {
        format!("{name}:released")
    }

    pub(crate) fn wait(&self, name: String) -> Box<dyn LeaseWait + '_> {
        Box::new(Wait { wakeups: self, name, ear: Ear::NotYet })
    }

    /// A connection on which the server tells of releases, unless there are enough, or the lock has one.
    fn listen(&self, name: &str) -> Option<Listening<'_>> {
        let mut names = self.names();
        if self.refused.load(Ordering::Relaxed) || names.len() >= MOST || names.contains(name) {
            return None;
        }
        names.insert(name.to_owned());
        drop(names);
        let place = Place { wakeups: self, name: name.to_owned() };
        match self.subscribe(name) {
            Ok(connection) => Some(Listening { connection, _place: place }),
            Err(error) => {
                log::debug!("releases of locks are looked for, since nothing tells of them: {error}");
                self.refused.fetch_or(!error.is_transient(), Ordering::Relaxed);
                None
            }
        }
    }

    fn subscribe(&self, name: &str) -> Result<Connection, BackendError> {
        let mut connection = self.servers.listen(name)?;
        let subscription = redis::cmd("SUBSCRIBE").arg(Wakeups::channel(name)).get_packed_command();
        let sent = connection.send_packed_command(&subscription);
        // Once it is answered, every release is told.
        let answer = sent.and_then(|()| connection.recv_response()?.extract_error());
        answer.map(|_| connection).map_err(error::of)
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Nothing panics while it is locked.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for one lock.
struct Wait<'w> {
    wakeups: &'w Wakeups,
    name: String,
    ear: Ear<'w>,
}

enum Ear<'w> {
    /// The wait is short so far.
    NotYet,
    Open(Listening<'w>),
    /// Nothing will be told.
    Deaf,
}

/// A connection that is subscribed to a channel. Closed when this is dropped.
struct Listening<'w> {
    connection: Connection,
    _place: Place<'w>,
}

/// A place among those who listen, free again when this is dropped.
struct Place<'w> {
    wakeups: &'w Wakeups,
    name: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.wakeups.names().remove(&self.name);
    }
}

impl LeaseWait for Wait<'_> {
    fn pause(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        match &mut self.ear {
            Ear::NotYet if limit > SHORT => {
                self.ear = self.wakeups.listen(&self.name).map_or(Ear::Deaf, Ear::Open);
                // The lock may have been released before anybody listened.
                return false;
            }
            Ear::Open(listening) => match listening.hear(until) {
                Ok(told) => return told,
                Err(error) => {
                    log::debug!("the server tells no more of releases: {error}");
                    self.ear = Ear::Deaf;
                }
            },
            Ear::NotYet | Ear::Deaf => {}
        }
        thread::sleep(until.saturating_duration_since(Instant::now()));
        false
    }
}

impl Listening<'_> {
    /// Whether a release is told before `until`.
    fn hear(&mut self, until: Instant) -> RedisResult<bool> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.connection.set_read_timeout(Some(left))?;
            match self.connection.recv_response() {
                Ok(Value::Push { kind: PushKind::Message, .. }) => return Ok(true),
                // What else the server pushes.
                Ok(_) => {}
                Err(error) if error.is_timeout() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}
