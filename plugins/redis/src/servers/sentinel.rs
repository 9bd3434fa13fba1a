//! [`Sentinel`]: a master and its replicas, discovered through sentinels.

// Source: redis-py `sentinel.py`, as dogpile.cache uses it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind, error_chain};
use redis::Connection;

use super::recent::RecentWrites;
use super::run::Servers;
use crate::command::{Access, Command, Repeat, Reply, pack};
use crate::config::{ConnectionOptions, Node, RedisConfig};
use crate::error;
use crate::pool::{Limits, Pool};

/// The age at which a topology that still works is refreshed.
const TRUSTED: Duration = Duration::from_secs(10);

/// A master and its replicas. Writes go to the master, reads to a replica.
///
/// Keys that this process has just written or locked are read from the master.
pub(crate) struct Sentinel {
    sentinels: Vec<Pool>,
    /// The index of the sentinel that replied last. It is asked first the next time.
    first_sentinel: AtomicUsize,
    service_name: String,
    options: ConnectionOptions,
    limits: Limits,
    known: Mutex<Option<Known>>,
    /// The lock of the caller that refreshes the topology.
    ///
    /// It contains the time of the last failure, and the error.
    asking: Mutex<Option<(Instant, Arc<BackendError>)>>,
    recent: RecentWrites,
    next_replica: AtomicUsize,
}

/// The topology, as the sentinels last reported it.
#[derive(Clone)]
struct Known {
    master: Arc<Pool>,
    replicas: Vec<Arc<Pool>>,
    since: Instant,
    /// Whether a call has failed since, so that the topology must be refreshed.
    is_in_doubt: bool,
}

impl Sentinel {
    pub(crate) fn new(
        config: &RedisConfig,
        options: ConnectionOptions,
        limits: Limits,
    ) -> Result<Self, BackendError> {
        let to_sentinels = config.sentinel_options();
        let few = Limits { size: 1, max_idle: 1, ..Limits::new(config, &to_sentinels)? };
        let pool = |node: &Node| Pool::new(to_sentinels.to(node)?, few.clone());
        Ok(Sentinel {
            sentinels: config.sentinels.iter().map(pool).collect::<Result<_, _>>()?,
            first_sentinel: AtomicUsize::new(0),
            service_name: config.service_name.clone().unwrap_or_else(|| "mymaster".to_owned()),
            options,
            limits,
            known: Mutex::default(),
            asking: Mutex::default(),
            recent: RecentWrites::new(),
            next_replica: AtomicUsize::new(0),
        })
    }

    fn read(&self, commands: &[Command<'_>], packed: &[u8]) -> Result<Vec<Reply>, BackendError> {
        let known = self.known()?;
        let now = Instant::now();
        if !commands.iter().any(|command| self.recent.has(command.key, now))
            && let Some(replica) = self.replica(&known)
        {
            match replica.ask(packed, commands.len(), Repeat::Harmless) {
                Ok(replies) if !replies.iter().any(is_not_ready) => return Ok(replies),
                Ok(_) => {}
                Err(error) => {
                    let cause = error_chain(&error);
                    log::debug!("reading from the master {:?} instead: {cause}", self.service_name);
                    self.doubt(&known);
                    if error.kind() == ErrorKind::Timeout {
                        return Err(error);
                    }
                }
            }
        }
        self.on_master(packed, commands.len(), Repeat::Harmless)
    }

    fn on_master(&self, packed: &[u8], count: usize, repeat: Repeat) -> Result<Vec<Reply>, BackendError> {
        let known = self.known()?;
        let replies = known.master.ask(packed, count, repeat);
        let again = match &replies {
            // The server is no longer the master. It changed nothing, so any command may be repeated.
            Ok(replies) => replies.iter().all(|reply| reply.code() == Some("READONLY")),
            Err(error) => error.kind() == ErrorKind::Unavailable && repeat == Repeat::Harmless,
        };
        if again || replies.is_err() {
            self.doubt(&known);
        }
        if again { self.known()?.master.ask(packed, count, repeat) } else { replies }
    }

    /// Returns the next replica in rotation.
    fn replica(&self, known: &Known) -> Option<Arc<Pool>> {
        let next = self.next_replica.fetch_add(1, Ordering::Relaxed);
        let count = known.replicas.len().max(1);
        known.replicas.get(next % count).cloned()
    }

    /// Returns the topology, refreshing it first if it is missing, old, or in doubt.
    fn known(&self) -> Result<Known, BackendError> {
        let begun = Instant::now();
        if let Some(known) = self.trusted() {
            return Ok(known);
        }
        let known = self.lock_known().clone();
        let mut failed = match (self.asking.try_lock(), known) {
            // The topology is old but not suspect, and another caller is already refreshing it. Use the old one.
            (Err(TryLockError::WouldBlock), Some(known)) if !known.is_in_doubt => return Ok(known),
            (Ok(asking), _) => asking,
            (Err(_), _) => self.asking.lock().unwrap_or_else(PoisonError::into_inner),
        };
        // Check again: another caller may have refreshed the topology while we waited for the lock.
        if let Some(known) = self.trusted() {
            return Ok(known);
        }
        if let Some((when, error)) = &*failed
            && *when > begun
        {
            return Err(error::copy(error));
        }
        let before = self.lock_known().clone();
        match (self.ask_sentinels(before.as_ref()), before) {
            (Ok(known), _) => {
                *self.lock_known() = Some(known.clone());
                Ok(known)
            }
            // Only the sentinels failed. The old topology still works, so keep using it.
            (Err(error), Some(before)) if !before.is_in_doubt => {
                log::warn!("using master {} as before: {}", before.master.server(), error_chain(&error));
                let known = Known { since: Instant::now(), ..before };
                *self.lock_known() = Some(known.clone());
                Ok(known)
            }
            (Err(error), _) => {
                let error = Arc::new(error);
                *failed = Some((Instant::now(), Arc::clone(&error)));
                Err(error::copy(&error))
            }
        }
    }

    fn trusted(&self) -> Option<Known> {
        let known = self.lock_known().clone();
        known.filter(|known| !known.is_in_doubt && known.since.elapsed() < TRUSTED)
    }

    /// Marks the topology for a refresh, unless it has been refreshed since `known`.
    fn doubt(&self, known: &Known) {
        if let Some(current) = &mut *self.lock_known()
            && current.since == known.since
        {
            current.is_in_doubt = true;
        }
    }

    fn lock_known(&self) -> MutexGuard<'_, Option<Known>> {
        // Ignore poison: no code panics while it holds this lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one sentinel after the other for the topology, until one knows it.
    ///
    /// Keeps the pools of known servers.
    fn ask_sentinels(&self, before: Option<&Known>) -> Result<Known, BackendError> {
        let mut last = None;
        let (count, first) = (self.sentinels.len(), self.first_sentinel.load(Ordering::Relaxed));
        for number in (0..count).map(|step| (first + step) % count) {
            let sentinel = &self.sentinels[number];
            match self.ask_sentinel(sentinel) {
                Ok(Some((master, replicas))) => {
                    self.first_sentinel.store(number, Ordering::Relaxed);
                    return self.pools(&master, &replicas, before);
                }
                Ok(None) => last = Some(self.unknown_name(sentinel)),
                Err(error) => last = Some(error),
            }
        }
        let message = format!(
            "cannot discover the Redis master {:?}: no sentinel returned its address; check \"sentinels\" and \
             \"service_name\"",
            self.service_name
        );
        let error = BackendError::new(ErrorKind::Unavailable, message);
        Err(match last {
            Some(last) => error.with_source(last),
            None => error,
        })
    }

    /// Returns the error for a sentinel that does not know the service name.
    fn unknown_name(&self, sentinel: &Pool) -> BackendError {
        let (name, address) = (&self.service_name, sentinel.address());
        let message = format!("sentinel {address} does not know a master {name:?}");
        BackendError::new(ErrorKind::Unavailable, message).at_server(address)
    }

    /// Returns the master and its usable replicas, or `None` for an unknown service name.
    fn ask_sentinel(&self, sentinel: &Pool) -> Result<Option<(Node, Vec<Node>)>, BackendError> {
        let requests = ["GET-MASTER-ADDR-BY-NAME", "REPLICAS"].map(|request| {
            let mut command = redis::cmd("SENTINEL");
            command.arg(request).arg(&self.service_name);
            command.get_packed_command()
        });
        let mut replies = sentinel.ask(&requests.concat(), 2, Repeat::Harmless)?.into_iter();
        let (Some(master), Some(replicas)) = (replies.next(), replies.next()) else { return Ok(None) };
        let Some((host, port)) = master.read::<Option<(String, String)>>()? else { return Ok(None) };
        let Ok(port) = port.parse() else { return Ok(None) };
        let rows: Vec<HashMap<String, String>> = replicas.read().unwrap_or_default();
        Ok(Some((Node { host, port }, rows.iter().filter_map(usable_replica).collect())))
    }

    fn pools(&self, master: &Node, replicas: &[Node], before: Option<&Known>) -> Result<Known, BackendError> {
        let pool = |node: &Node| -> Result<Arc<Pool>, BackendError> {
            let pool = Pool::new(self.options.to(node)?, self.limits.clone())?;
            let mut known = before.into_iter().flat_map(|known| known.replicas.iter().chain([&known.master]));
            let known = known.find(|known| known.server() == pool.server());
            Ok(known.cloned().unwrap_or_else(|| Arc::new(pool)))
        };
        let replicas = replicas.iter().map(pool).collect::<Result<_, _>>()?;
        Ok(Known { master: pool(master)?, replicas, since: Instant::now(), is_in_doubt: false })
    }
}

/// Returns the replica in a row of `SENTINEL REPLICAS`, if it is usable.
///
/// A usable replica is up and connected to its master.
fn usable_replica(row: &HashMap<String, String>) -> Option<Node> {
    let is_down = |flag: &str| matches!(flag, "s_down" | "o_down" | "disconnected");
    let is_up = !row.get("flags")?.split(',').any(is_down);
    let is_linked = row.get("master-link-status").is_some_and(|status| status == "ok");
    let node = Node::new(row.get("ip")?, row.get("port")?.parse().ok()?);
    (is_up && is_linked).then_some(node)
}

fn is_not_ready(reply: &Reply) -> bool {
    matches!(reply.code(), Some("LOADING" | "MASTERDOWN"))
}

impl Servers for Sentinel {
    fn run(
        &self,
        commands: &[Command<'_>],
        access: Access,
        repeat: Repeat,
    ) -> Result<Vec<Reply>, BackendError> {
        let packed = pack(commands);
        if access == Access::Read {
            return self.read(commands, &packed);
        }
        let replies = self.on_master(&packed, commands.len(), repeat);
        // Do this even after an error: the master may have run the commands.
        commands.iter().for_each(|command| self.catch_up(command.key));
        replies
    }

    fn is_spread(&self) -> bool {
        true
    }

    fn scope(&self) -> String {
        let mut sentinels: Vec<_> = self.sentinels.iter().map(Pool::address).collect();
        sentinels.sort();
        let (sentinels, db) = (sentinels.join(","), self.options.db.unwrap_or(0));
        format!("redis-sentinel://{sentinels}/{}/{db}", self.service_name)
    }

    fn listen(&self, key: &str) -> Result<Connection, BackendError> {
        self.known()?.master.listen(key)
    }

    fn catch_up(&self, key: &str) {
        self.recent.note(key, Instant::now());
    }
}

impl fmt::Debug for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinel").field("servers", &self.scope()).finish_non_exhaustive()
    }
}
