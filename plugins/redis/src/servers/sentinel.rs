//! [`Sentinel`]: a master and its replicas, discovered through sentinels.

// Source: redis-py `sentinel.py`, as dogpile.cache uses it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dogpile_sdk::{BackendError, ErrorKind, error_chain};

use super::recent::RecentWrites;
use super::run::Servers;
use super::turns::{Turn, Turns, share};
use crate::command::{Access, Command, Repeat, Reply, Request};
use crate::config::{AllowedHosts, Deployment, Node, RedisConfig};
use crate::connection::{Address, Connection, Profile, Server};
use crate::pool::{Limits, Pool};
use crate::resp::{Expected, Value};

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
    allowed: AllowedHosts,
    profile: Arc<Profile>,
    limits: Limits,
    known: Mutex<Option<Known>>,
    /// The turns of those who refresh the topology.
    turns: Turns,
    recent: RecentWrites,
    next_replica: AtomicUsize,
}

/// The topology, as the sentinels last reported it.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) master: Arc<Pool>,
    replicas: Vec<Arc<Pool>>,
    since: Instant,
    /// Whether a call has failed since, so that the topology must be refreshed.
    is_in_doubt: bool,
}

impl Sentinel {
    /// Returns what creates a value for the sentinels that `config` names.
    pub(super) fn plan(config: &RedisConfig) -> Result<impl Fn() -> Self + use<>, BackendError> {
        let options = config.options(Deployment::Sentinel);
        let (limits, profile) = (Limits::new(config, &options)?, Arc::new(options.profile(false)?));
        let to_sentinels = config.sentinel_options();
        let mut few = Limits::new(config, &to_sentinels)?;
        (few.connections.size, few.connections.max_idle) = (1, 1);
        let profile_of_sentinels = Arc::new(to_sentinels.profile(false)?);
        let (nodes, service_name) = (config.sentinels.clone(), config.service_name.clone());
        let service_name = service_name.unwrap_or_else(|| "mymaster".to_owned());
        let allowed = AllowedHosts(config.allowed_hosts.clone());
        Ok(move || {
            let sentinel = |node: &Node| Pool::new(at(node, &profile_of_sentinels), few.clone());
            Sentinel {
                sentinels: nodes.iter().map(sentinel).collect(),
                first_sentinel: AtomicUsize::new(0),
                service_name: service_name.clone(),
                allowed: allowed.clone(),
                profile: Arc::clone(&profile),
                limits: limits.clone(),
                known: Mutex::default(),
                turns: Turns::default(),
                recent: RecentWrites::new(),
                next_replica: AtomicUsize::new(0),
            }
        })
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.limits.timeout
    }

    /// Returns whether `key` must be read from the master.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_recent(&self, key: &str) -> bool {
        self.recent.has(key, Instant::now())
    }

    fn read(
        &self,
        commands: &[Command<'_>],
        request: &Request,
        deadline: Instant,
    ) -> Result<Vec<Reply>, BackendError> {
        let known = self.known(deadline)?;
        let now = Instant::now();
        if !commands.iter().any(|command| self.recent.has(command.key, now))
            && let Some(replica) = self.replica(&known)
        {
            match replica.ask(request, Repeat::Harmless, deadline) {
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
        self.on_master(request, Repeat::Harmless, deadline)
    }

    fn on_master(
        &self,
        request: &Request,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Vec<Reply>, BackendError> {
        let known = self.known(deadline)?;
        let replies = known.master.ask(request, repeat, deadline);
        let again = match &replies {
            // The server is no longer the master. It changed nothing, so any command may be repeated.
            Ok(replies) => replies.iter().all(|reply| reply.code() == Some("READONLY")),
            Err(error) => error.kind() == ErrorKind::Unavailable && repeat == Repeat::Harmless,
        };
        if again || replies.is_err() {
            self.doubt(&known);
        }
        if again { self.known(deadline)?.master.ask(request, repeat, deadline) } else { replies }
    }

    /// Returns the next replica in rotation.
    pub(crate) fn replica(&self, known: &Known) -> Option<Arc<Pool>> {
        let next = self.next_replica.fetch_add(1, Ordering::Relaxed);
        let count = known.replicas.len().max(1);
        known.replicas.get(next % count).cloned()
    }

    /// Returns the topology, refreshing it first if it is missing, old, or in doubt.
    pub(crate) fn known(&self, deadline: Instant) -> Result<Known, BackendError> {
        let begun = Instant::now();
        if let Some(known) = self.trusted() {
            return Ok(known);
        }
        let known = self.lock_known().clone();
        let turn = match (self.turns.try_take(), known) {
            // The topology is old but not suspect, and another caller is already refreshing it. Use the old one.
            (None, Some(known)) if !known.is_in_doubt => return Ok(known),
            (None, _) => self.turns.take(deadline).ok_or_else(|| self.no_turn())?,
            (Some(turn), _) => turn,
        };
        // Check again: another caller may have refreshed the topology while we waited for the turn.
        if let Some(known) = self.trusted() {
            return Ok(known);
        }
        match turn.failed_since(begun) {
            Some(error) => Err(error),
            None => self.refresh(turn, deadline),
        }
    }

    fn refresh(&self, turn: Turn<'_>, deadline: Instant) -> Result<Known, BackendError> {
        let before = self.lock_known().clone();
        let known = match (self.ask_sentinels(before.as_ref(), deadline), before) {
            (Ok(known), _) => known,
            // Only the sentinels failed. The old topology still works, so keep using it.
            (Err(error), Some(before)) if !before.is_in_doubt => {
                log::warn!("using master {} as before: {}", before.master.name(), error_chain(&error));
                Known { since: Instant::now(), ..before }
            }
            (Err(error), _) => return Err(turn.fail(error)),
        };
        *self.lock_known() = Some(known.clone());
        Ok(known)
    }

    fn no_turn(&self) -> BackendError {
        let message = format!(
            "cannot discover the Redis master {:?}: another thread was still asking the sentinels after {:?}; check \
             \"sentinels\"",
            self.service_name, self.limits.timeout
        );
        BackendError::new(ErrorKind::Timeout, message)
    }

    pub(crate) fn trusted(&self) -> Option<Known> {
        let known = self.lock_known().clone();
        known.filter(|known| !known.is_in_doubt && known.since.elapsed() < TRUSTED)
    }

    /// Marks the topology for a refresh, unless it has been refreshed since `known`.
    pub(crate) fn doubt(&self, known: &Known) {
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
    fn ask_sentinels(&self, before: Option<&Known>, deadline: Instant) -> Result<Known, BackendError> {
        let mut last = None;
        let (count, first) = (self.sentinels.len(), self.first_sentinel.load(Ordering::Relaxed));
        for step in 0..count {
            let number = (first + step) % count;
            let sentinel = &self.sentinels[number];
            match self.ask_sentinel(sentinel, share(deadline, count - step).min(sentinel.deadline())) {
                Ok(Some((master, replicas))) => {
                    self.first_sentinel.store(number, Ordering::Relaxed);
                    return Ok(self.pools(&master, &replicas, before));
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
    fn ask_sentinel(
        &self,
        sentinel: &Pool,
        deadline: Instant,
    ) -> Result<Option<(Node, Vec<Node>)>, BackendError> {
        let request =
            ["GET-MASTER-ADDR-BY-NAME", "REPLICAS"].iter().fold(Request::default(), |request, what| {
                request.with(&["SENTINEL", what, &self.service_name], Expected::List)
            });
        let mut replies = sentinel.ask(&request, Repeat::Harmless, deadline)?.into_iter();
        let (Some(master), Some(replicas)) = (replies.next(), replies.next()) else { return Ok(None) };
        if master.value == Value::Nil {
            return Ok(None);
        }
        let master = master.read(address)?;
        self.allowed.check(&master)?;
        let rows = replicas.read(Value::into_elements).unwrap_or_default();
        let replicas = rows.into_iter().filter_map(row).filter_map(|row| usable_replica(&row));
        Ok(Some((master, replicas.filter(|node| self.allowed.check(node).is_ok()).collect())))
    }

    fn pools(&self, master: &Node, replicas: &[Node], before: Option<&Known>) -> Known {
        let pool = |node: &Node| {
            let pool = Pool::new(at(node, &self.profile), self.limits.clone());
            let mut known = before.into_iter().flat_map(|known| known.replicas.iter().chain([&known.master]));
            let known = known.find(|known| known.name() == pool.name());
            known.cloned().unwrap_or_else(|| Arc::new(pool))
        };
        let replicas = replicas.iter().map(pool).collect();
        Known { master: pool(master), replicas, since: Instant::now(), is_in_doubt: false }
    }
}

fn at(node: &Node, profile: &Arc<Profile>) -> Server {
    Server { address: Address::Tcp(node.clone()), profile: Arc::clone(profile) }
}

/// Returns the address in a reply that consists of a host and a port.
fn address(reply: Value) -> Option<Node> {
    let [host, port]: [Value; 2] = reply.into_elements()?.try_into().ok()?;
    Node::valid(host.into_text()?, port.into_text()?.parse().ok()?)
}

/// Returns a row of `SENTINEL REPLICAS`, which has names and values in turn.
fn row(reply: Value) -> Option<HashMap<String, String>> {
    let mut words = reply.into_elements()?.into_iter().map(Value::into_text);
    let mut row = HashMap::new();
    while let Some(name) = words.next() {
        row.insert(name?, words.next()??);
    }
    Some(row)
}

/// Returns the replica in a row of `SENTINEL REPLICAS`, if it is usable.
///
/// A usable replica is up and connected to its master.
fn usable_replica(row: &HashMap<String, String>) -> Option<Node> {
    let is_down = |flag: &str| matches!(flag, "s_down" | "o_down" | "disconnected");
    let is_up = !row.get("flags")?.split(',').any(is_down);
    let is_linked = row.get("master-link-status").is_some_and(|status| status == "ok");
    let node = Node::valid(row.get("ip")?.clone(), row.get("port")?.parse().ok()?)?;
    (is_up && is_linked).then_some(node)
}

pub(crate) fn is_not_ready(reply: &Reply) -> bool {
    matches!(reply.code(), Some("LOADING" | "MASTERDOWN"))
}

impl Servers for Sentinel {
    fn run_until(
        &self,
        commands: &[Command<'_>],
        access: Access,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Vec<Reply>, BackendError> {
        let (request, deadline) = (Request::new(commands), deadline.min(self.deadline()));
        if access == Access::Read {
            return self.read(commands, &request, deadline);
        }
        let replies = self.on_master(&request, repeat, deadline);
        // Do this even after an error: the master may have run the commands.
        commands.iter().for_each(|command| self.catch_up(command.key));
        replies
    }

    fn next_deadline(&self) -> Instant {
        self.deadline()
    }

    fn is_spread(&self) -> bool {
        true
    }

    fn scope(&self) -> String {
        let mut sentinels: Vec<_> = self.sentinels.iter().map(Pool::address).collect();
        sentinels.sort();
        let (sentinels, db) = (sentinels.join(","), self.profile.login.db);
        format!("redis-sentinel://{sentinels}/{}/{db}", self.service_name)
    }

    fn listen(&self, _key: &str, request: &Request) -> Result<Connection, BackendError> {
        let deadline = self.deadline();
        self.known(deadline)?.master.listen(request, deadline)
    }

    fn catch_up(&self, key: &str) {
        self.recent.note(key, Instant::now());
    }

    fn is_stuck(&self, _key: &str) -> bool {
        self.lock_known().as_ref().is_some_and(|known| known.master.is_stuck())
    }

    fn abandon(&self) {
        self.sentinels.iter().for_each(Pool::abandon);
        if let Ok(known) = self.known.try_lock() {
            let pools = known.iter().flat_map(|known| known.replicas.iter().chain([&known.master]));
            pools.for_each(|pool| pool.abandon());
        }
    }
}

impl fmt::Debug for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinel").field("servers", &self.scope()).finish_non_exhaustive()
    }
}
