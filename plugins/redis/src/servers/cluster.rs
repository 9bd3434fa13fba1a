//! [`Cluster`]: several masters, each with a share of the keys.

// Source: the Redis Cluster specification, "Redirection and resharding".

mod target;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use dogpile_sdk::bounds::invalid;
use dogpile_sdk::{BackendError, ErrorKind, error_chain};

pub(crate) use self::target::{Target, redirection, request_for, without_asking};
use super::run::Servers;
use super::slots::{Slots, slot};
use super::turns::{Turn, Turns, share};
use crate::command::{Access, Command, Repeat, Reply, Request};
use crate::config::{AllowedHosts, Deployment, Node, RedisConfig};
use crate::connection::{Address, Connection, Failure, Profile, Server};
use crate::pool::{Lent, Limits, Pool};
use crate::resp::{Expected, Value};

/// The maximum number of times that a command is sent, including redirections.
pub(crate) const ATTEMPTS: u32 = 8;

/// The pause before the second attempt, while the cluster changes. Each further attempt doubles it.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The masters of a Redis Cluster. Sends each command to the master of its key's slot.
///
/// All commands for one master share a round trip.
pub(crate) struct Cluster {
    startup: BTreeSet<Node>,
    allowed: AllowedHosts,
    profile: Arc<Profile>,
    limits: Limits,
    pools: Mutex<HashMap<Node, Arc<Pool>>>,
    slots: Mutex<Arc<Map>>,
    /// The turns of those who refresh the slot map.
    turns: Turns,
}

/// A slot map and its version.
#[derive(Debug, Default)]
pub(crate) struct Map {
    slots: Slots,
    /// The number of refreshes so far; 0 before the first one.
    pub(crate) version: u64,
}

/// What all attempts of a call have in common.
#[derive(Clone, Copy)]
struct Call {
    repeat: Repeat,
    deadline: Instant,
    /// The version of the slot map with which the call began.
    version: u64,
}

/// The indices of the commands that must still run, with the targets of redirected ones.
type ToDo = Vec<(usize, Option<Target>)>;

impl Cluster {
    /// Returns what creates a value for the cluster that `config` names.
    pub(super) fn plan(config: &RedisConfig) -> Result<impl Fn() -> Self + use<>, BackendError> {
        let (address, options) = config.server(Deployment::Cluster)?;
        let mut startup: BTreeSet<Node> = config.startup_nodes.iter().cloned().collect();
        match address {
            Address::Tcp(node) if config.url.is_some() => drop(startup.insert(node)),
            Address::Tcp(_) => {}
            Address::Unix(_) => {
                return Err(invalid("url", "a cluster needs a host and a port; use redis://host:port"));
            }
        }
        if options.db.is_some_and(|db| db != 0) {
            return Err(invalid("db", "a cluster has only database 0; remove it"));
        }
        let (limits, profile) = (Limits::new(config, &options)?, Arc::new(options.profile(false)?));
        let allowed = AllowedHosts(config.allowed_hosts.clone());
        Ok(move || {
            let (startup, allowed) = (startup.clone(), allowed.clone());
            let (profile, limits) = (Arc::clone(&profile), limits.clone());
            let (pools, slots, turns) = Default::default();
            Cluster { startup, allowed, profile, limits, pools, slots, turns }
        })
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.limits.timeout
    }

    pub(crate) fn pool(&self, node: &Node) -> Result<Arc<Pool>, BackendError> {
        if !self.startup.contains(node) {
            self.allowed.check(node)?;
        }
        let new = || {
            let server = Server { address: Address::Tcp(node.clone()), profile: Arc::clone(&self.profile) };
            Arc::new(Pool::new(server, self.limits.clone()))
        };
        Ok(Arc::clone(locked(&self.pools).entry(node.clone()).or_insert_with(new)))
    }

    /// Returns a slot map that is newer than `version`, refreshing it if needed.
    pub(crate) fn slots_since(&self, version: u64, deadline: Instant) -> Result<Arc<Map>, BackendError> {
        let begun = Instant::now();
        let turn = self.turns.take(deadline).ok_or_else(|| self.no_turn())?;
        let map = Arc::clone(&locked(&self.slots));
        if map.version > version {
            return Ok(map);
        }
        match turn.failed_since(begun) {
            Some(error) => Err(error),
            None => self.refresh(turn, &map, deadline),
        }
    }

    fn refresh(&self, turn: Turn<'_>, map: &Map, deadline: Instant) -> Result<Arc<Map>, BackendError> {
        let slots = match self.ask_for_slots(&map.slots, deadline) {
            Ok(slots) => slots,
            Err(error) => return Err(turn.fail(error)),
        };
        let nodes: BTreeSet<&Node> = slots.nodes().chain(&self.startup).collect();
        locked(&self.pools).retain(|node, _| nodes.contains(node));
        let map = Arc::new(Map { slots, version: map.version + 1 });
        *locked(&self.slots) = Arc::clone(&map);
        Ok(map)
    }

    fn no_turn(&self) -> BackendError {
        let message = format!(
            "cannot discover the Redis cluster: another thread was still asking its nodes after {:?}; check \
             \"startup_nodes\"",
            self.limits.timeout
        );
        BackendError::new(ErrorKind::Timeout, message)
    }

    /// Requests the slot map from known and startup nodes until one returns it.
    fn ask_for_slots(&self, known: &Slots, deadline: Instant) -> Result<Slots, BackendError> {
        let request = Request::default().with(&["CLUSTER", "SLOTS"], Expected::List);
        let nodes: BTreeSet<&Node> = known.nodes().chain(&self.startup).collect();
        let (count, mut last) = (nodes.len(), None);
        for (number, node) in nodes.into_iter().enumerate() {
            let until = share(deadline, count - number);
            let replies = self.pool(node).and_then(|pool| pool.ask(&request, Repeat::Harmless, until));
            let value = replies.and_then(|mut replies| replies.pop().map_or(Ok(Value::Nil), Reply::accepted));
            match value.and_then(|value| Slots::parse(value, node).ok_or_else(|| outside_of_clusters(node))) {
                Ok(slots) => return Ok(slots),
                Err(error) if error.kind() == ErrorKind::Configuration => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        let why = "cannot discover the Redis cluster: no node returned a slot map; check \"startup_nodes\"";
        let error = BackendError::new(ErrorKind::Unavailable, why);
        Err(match last {
            Some(last) => error.with_source(last),
            None => error,
        })
    }

    /// Returns the slot map, whose version is 0 if it has not been requested yet.
    #[cfg(feature = "tokio")]
    pub(crate) fn current(&self) -> Arc<Map> {
        Arc::clone(&locked(&self.slots))
    }

    /// Returns the slot map, requesting it first if there is none.
    fn map(&self, deadline: Instant) -> Result<Arc<Map>, BackendError> {
        let map = Arc::clone(&locked(&self.slots));
        if map.version == 0 { self.slots_since(0, deadline) } else { Ok(map) }
    }

    /// Sends each command once, fills `replies`, and returns the commands to send again.
    ///
    /// A command whose slot is unassigned is one of them, unless `map` is newer than the call.
    fn attempt(
        &self,
        commands: &[Command<'_>],
        to_do: ToDo,
        map: &Map,
        Call { repeat, deadline, version }: Call,
        replies: &mut [Option<Reply>],
    ) -> Result<ToDo, BackendError> {
        let mut by_target: BTreeMap<Target, Vec<usize>> = BTreeMap::new();
        let mut again = Vec::new();
        for (number, target) in to_do {
            let target = match target {
                Some(target) => target,
                None => match master(map, commands[number].key) {
                    Ok(node) => Target::Master(node.clone()),
                    // The slot may have been assigned since.
                    Err(_) if map.version == version => {
                        again.push((number, None));
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            by_target.entry(target).or_default().push(number);
        }
        let exchanged = self.exchange(commands, &by_target, repeat, deadline);
        for ((_, numbers), received) in by_target.into_iter().zip(exchanged) {
            match received {
                Ok(received) => {
                    for (number, reply) in numbers.into_iter().zip(received) {
                        if let Some(target) = redirection(&reply) {
                            again.push((number, target));
                        }
                        replies[number] = Some(reply);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Unavailable && repeat == Repeat::Harmless => {
                    log::debug!("retrying commands on another node of the cluster: {}", error_chain(&error));
                    again.extend(numbers.into_iter().map(|number| (number, None)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(again)
    }

    /// Returns the replies of each target, or one error if a target is not allowed.
    ///
    /// All requests are sent before the first reply is read.
    fn exchange(
        &self,
        commands: &[Command<'_>],
        by_target: &BTreeMap<Target, Vec<usize>>,
        repeat: Repeat,
        deadline: Instant,
    ) -> Vec<Result<Vec<Reply>, BackendError>> {
        let requests = by_target.iter().map(|(target, numbers)| {
            let request = request_for(target, numbers.iter().map(|number| &commands[*number]));
            self.pool(target.node()).map(|pool| (pool, request, target))
        });
        let requests: Vec<_> = match requests.collect() {
            Ok(requests) => requests,
            Err(error) => return vec![Err(error)],
        };
        if let [(pool, request, target)] = &requests[..] {
            let replies = pool.ask(request, repeat, deadline);
            return vec![replies.map(|replies| without_asking(target, replies))];
        }
        let sent: Vec<Result<Sent<'_>, BackendError>> = requests
            .iter()
            .map(|(pool, request, _)| {
                let mut lent = pool.lend(deadline)?;
                let sent = lent.send(request);
                Ok((lent, sent))
            })
            .collect();
        let received = sent.into_iter().zip(&requests).map(|(sent, (pool, request, target))| {
            let (mut lent, sent) = sent?;
            let replies = sent.and_then(|()| lent.receive(request));
            if replies.is_err() {
                pool.close_idle();
            }
            lent.end(replies).map(|replies| without_asking(target, replies))
        });
        received.collect()
    }
}

/// A connection, and whether a request was sent on it.
type Sent<'p> = (Lent<'p>, Result<(), Failure>);

/// Returns the error for commands for whose keys no node was reached.
pub(crate) fn unreachable_keys() -> BackendError {
    let why = "cannot reach a node of the Redis cluster: no other node has its keys yet; retry later";
    BackendError::new(ErrorKind::Unavailable, why)
}

/// Returns the error for a node that does not return a valid slot map.
fn outside_of_clusters(node: &Node) -> BackendError {
    let message = format!("Redis server {node} returned no slot map: it is not part of a cluster");
    BackendError::new(ErrorKind::Unavailable, message).at_server(node.to_string())
}

pub(crate) fn master<'m>(map: &'m Map, key: &str) -> Result<&'m Node, BackendError> {
    let slot = slot(key);
    map.slots.node(slot).ok_or_else(|| {
        let why =
            format!("no node of the Redis cluster has the key: its slot {slot} is unassigned; retry later");
        BackendError::new(ErrorKind::Unavailable, why)
    })
}

/// Locks `mutex`, ignoring poison: no code panics while it holds one of these.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Servers for Cluster {
    fn run_until(
        &self,
        commands: &[Command<'_>],
        _access: Access,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Vec<Reply>, BackendError> {
        let deadline = deadline.min(self.deadline());
        let mut replies: Vec<Option<Reply>> = vec![None; commands.len()];
        let mut to_do: ToDo = (0..commands.len()).map(|number| (number, None)).collect();
        let mut map = self.map(deadline)?;
        let call = Call { repeat, deadline, version: map.version };
        for attempt in 0..ATTEMPTS {
            to_do = self.attempt(commands, to_do, &map, call, &mut replies)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if to_do.is_empty() || left.is_zero() {
                break;
            }
            // Pause only for a command without a target; a redirected one can be sent at once.
            if to_do.iter().any(|(_, target)| target.is_none()) {
                thread::sleep((FIRST_PAUSE * 2_u32.pow(attempt)).min(left));
            }
            if to_do.iter().any(|(_, target)| !matches!(target, Some(Target::Asked(_)))) {
                map = self.slots_since(map.version, deadline)?;
            }
        }
        // A command that is still unfinished keeps its last error reply, or has none if no node was reached.
        replies.into_iter().collect::<Option<Vec<_>>>().ok_or_else(unreachable_keys)
    }

    fn next_deadline(&self) -> Instant {
        self.deadline()
    }

    fn is_spread(&self) -> bool {
        true
    }

    fn is_sharded(&self) -> bool {
        true
    }

    fn scope(&self) -> String {
        let mut nodes: Vec<_> = self.startup.iter().map(Node::to_string).collect();
        nodes.sort();
        format!("redis-cluster://{}", nodes.join(","))
    }

    fn server(&self, key: &str) -> String {
        let map = Arc::clone(&locked(&self.slots));
        map.slots.node(slot(key)).map(Node::to_string).unwrap_or_default()
    }

    /// Connects to the key's master. Any node would do, but the master publishes without a detour over the cluster bus.
    fn listen(&self, key: &str, request: &Request) -> Result<Connection, BackendError> {
        let deadline = self.deadline();
        let map = self.map(deadline)?;
        self.pool(master(&map, key)?)?.listen(request, deadline)
    }

    fn is_stuck(&self, key: &str) -> bool {
        let map = Arc::clone(&locked(&self.slots));
        master(&map, key).and_then(|node| self.pool(node)).is_ok_and(|pool| pool.is_stuck())
    }

    fn abandon(&self) {
        if let Ok(pools) = self.pools.try_lock() {
            pools.values().for_each(|pool| pool.abandon());
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("startup", &self.startup).finish_non_exhaustive()
    }
}
