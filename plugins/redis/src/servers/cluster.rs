//! [`Cluster`]: several masters, each with a share of the keys.

// Source: the Redis Cluster specification, "Redirection and resharding".

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use dogpile_sdk::{BackendError, ErrorKind, error_chain};
use redis::{Connection, ConnectionAddr, Value};

use super::run::Servers;
use super::slots::{Slots, slot};
use crate::command::{Access, Command, Repeat, Reply, pack};
use crate::config::{ConnectionOptions, Node, RedisConfig, invalid};
use crate::error;
use crate::pool::{Lent, Limits, Pool};

/// The maximum number of times that a command is sent, including redirections.
const ATTEMPTS: u32 = 8;

/// The pause before the second attempt, while the cluster changes. Each further attempt doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The masters of a Redis Cluster. Sends each command to the master of its key's slot.
///
/// All commands for one master share a round trip.
pub(crate) struct Cluster {
    startup: BTreeSet<Node>,
    options: ConnectionOptions,
    limits: Limits,
    pools: Mutex<HashMap<Node, Arc<Pool>>>,
    slots: Mutex<Arc<Map>>,
    /// The lock of the caller that refreshes the slot map.
    ///
    /// It contains the time of the last failure, and the error.
    asking: Mutex<Option<(Instant, Arc<BackendError>)>>,
}

/// A slot map and its version.
#[derive(Debug, Default)]
struct Map {
    slots: Slots,
    /// The number of refreshes so far; 0 before the first one.
    version: u64,
}

/// A node that receives some of the commands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// The master of the commands' slots.
    Master(Node),
    /// The node that an `ASK` redirection names.
    ///
    /// It already has the keys, but does not own their slots yet.
    Asked(Node),
}

impl Target {
    fn node(&self) -> &Node {
        match self {
            Target::Master(node) | Target::Asked(node) => node,
        }
    }
}

/// The indices of the commands that must still run, with the targets of redirected ones.
type ToDo = Vec<(usize, Option<Target>)>;

impl Cluster {
    pub(crate) fn new(
        config: &RedisConfig,
        options: ConnectionOptions,
        limits: Limits,
    ) -> Result<Self, BackendError> {
        let mut startup: BTreeSet<Node> = config.startup_nodes.iter().cloned().collect();
        let mut options = options;
        if let Some(url) = &config.url {
            let info = options.to_url(url)?;
            let (host, port, ssl) = match info.addr() {
                ConnectionAddr::Tcp(host, port) => (host, *port, false),
                ConnectionAddr::TcpTls { host, port, .. } => (host, *port, true),
                _ => return Err(invalid("url", "a cluster needs a host and a port; use redis://host:port")),
            };
            startup.insert(Node::new(host, port));
            let login = info.redis_settings();
            let from_url = ConnectionOptions {
                username: login.username().map(str::to_owned),
                password: login.password().map(str::to_owned),
                ssl: ssl.then_some(true),
                ..ConnectionOptions::default()
            };
            options = from_url.or(options);
        }
        // Report invalid options now instead of on the first command.
        startup.iter().try_for_each(|node| options.to(node).map(drop))?;
        let (pools, slots, asking) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Cluster { startup, options, limits, pools, slots, asking })
    }

    fn pool(&self, node: &Node) -> Result<Arc<Pool>, BackendError> {
        let mut pools = locked(&self.pools);
        if let Some(pool) = pools.get(node) {
            return Ok(Arc::clone(pool));
        }
        let pool = Arc::new(Pool::new(self.options.to(node)?, self.limits.clone())?);
        pools.insert(node.clone(), Arc::clone(&pool));
        Ok(pool)
    }

    /// Returns a slot map that is newer than `version`, refreshing it if needed.
    fn slots_since(&self, version: u64) -> Result<Arc<Map>, BackendError> {
        let begun = Instant::now();
        let mut failed = locked(&self.asking);
        let map = Arc::clone(&locked(&self.slots));
        if map.version > version {
            return Ok(map);
        }
        if let Some((when, error)) = &*failed
            && *when > begun
        {
            return Err(error::copy(error));
        }
        match self.ask_for_slots(&map.slots, begun) {
            Ok(slots) => {
                let nodes: BTreeSet<&Node> = slots.nodes().chain(&self.startup).collect();
                locked(&self.pools).retain(|node, _| nodes.contains(node));
                let map = Arc::new(Map { slots, version: map.version + 1 });
                *locked(&self.slots) = Arc::clone(&map);
                Ok(map)
            }
            Err(error) => {
                let error = Arc::new(error);
                *failed = Some((Instant::now(), Arc::clone(&error)));
                Err(error::copy(&error))
            }
        }
    }

    /// Requests the slot map from known and startup nodes until one returns it.
    fn ask_for_slots(&self, known: &Slots, begun: Instant) -> Result<Slots, BackendError> {
        let request = redis::cmd("CLUSTER").arg("SLOTS").get_packed_command();
        let nodes: BTreeSet<&Node> = known.nodes().chain(&self.startup).collect();
        let mut last = None;
        for node in nodes {
            let reply = self.pool(node).and_then(|pool| pool.ask(&request, 1, Repeat::Harmless));
            let value = reply.and_then(|mut replies| replies.pop().map_or(Ok(Value::Nil), Reply::read));
            match value.and_then(|value| Slots::parse(value, node).ok_or_else(|| outside_of_clusters(node))) {
                Ok(slots) => return Ok(slots),
                Err(error) if error.kind() == ErrorKind::Configuration => return Err(error),
                Err(error) => last = Some(error),
            }
            if begun.elapsed() > self.limits.timeout {
                break;
            }
        }
        let why = "cannot discover the Redis cluster: no node returned a slot map; check \"startup_nodes\"";
        let error = BackendError::new(ErrorKind::Unavailable, why);
        Err(match last {
            Some(last) => error.with_source(last),
            None => error,
        })
    }

    /// Sends each command once, fills `replies`, and returns the commands to send again.
    fn attempt(
        &self,
        commands: &[Command<'_>],
        to_do: ToDo,
        map: &Map,
        repeat: Repeat,
        replies: &mut [Option<Reply>],
    ) -> Result<ToDo, BackendError> {
        let mut by_target: BTreeMap<Target, Vec<usize>> = BTreeMap::new();
        for (number, target) in to_do {
            let target = match target {
                Some(target) => target,
                None => Target::Master(master(map, commands[number].key)?.clone()),
            };
            by_target.entry(target).or_default().push(number);
        }
        let mut again = Vec::new();
        let exchanged = self.exchange(commands, &by_target, repeat);
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

    /// Returns the replies of each target. All requests are sent before the first reply is read.
    fn exchange(
        &self,
        commands: &[Command<'_>],
        by_target: &BTreeMap<Target, Vec<usize>>,
        repeat: Repeat,
    ) -> Vec<Result<Vec<Reply>, BackendError>> {
        let requests = by_target.iter().map(|(target, numbers)| {
            let packed = packed_for(target, numbers.iter().map(|number| &commands[*number]));
            let pool = self.pool(target.node()).map_err(Arc::new);
            pool.map(|pool| (pool, packed, target, numbers.len()))
        });
        let requests: Vec<_> = requests.collect();
        if let [Ok((pool, packed, target, count))] = &requests[..] {
            let replies = pool.ask(packed, reply_count(target, *count), repeat);
            return vec![replies.map(|replies| without_asking(target, replies))];
        }
        let sent: Vec<Result<Lent<'_>, BackendError>> = requests
            .iter()
            .map(|request| {
                let (pool, packed, ..) = request.as_ref().map_err(error::copy)?;
                let mut lent = pool.lend()?;
                lent.send(packed).map_err(|error| pool.error(error)).inspect_err(|_| pool.close_idle())?;
                Ok(lent)
            })
            .collect();
        let received = sent.into_iter().zip(&requests).map(|(sent, request)| {
            let (mut lent, (pool, _, target, count)) = (sent?, request.as_ref().map_err(error::copy)?);
            let replies = lent.receive(reply_count(target, *count));
            let replies = replies.map_err(|error| pool.error(error)).inspect_err(|_| pool.close_idle())?;
            lent.give_back();
            Ok(without_asking(target, pool.replies(replies)))
        });
        received.collect()
    }
}

/// Returns the error for a node that does not return a valid slot map.
fn outside_of_clusters(node: &Node) -> BackendError {
    let message = format!("Redis server {node} returned no slot map: it is not part of a cluster");
    BackendError::new(ErrorKind::Unavailable, message).at_server(node.to_string())
}

fn master<'m>(map: &'m Map, key: &str) -> Result<&'m Node, BackendError> {
    let slot = slot(key);
    map.slots.node(slot).ok_or_else(|| {
        let why =
            format!("no node of the Redis cluster has the key: its slot {slot} is unassigned; retry later");
        BackendError::new(ErrorKind::Unavailable, why)
    })
}

/// Packs `commands`, each preceded by `ASKING` if an `ASK` redirection named the target.
fn packed_for<'c, 'k: 'c>(target: &Target, commands: impl Iterator<Item = &'c Command<'k>>) -> Vec<u8> {
    match target {
        Target::Master(_) => pack(commands),
        Target::Asked(_) => {
            let asking = redis::cmd("ASKING").get_packed_command();
            commands.flat_map(|command| [asking.clone(), pack([command])].concat()).collect()
        }
    }
}

fn reply_count(target: &Target, commands: usize) -> usize {
    match target {
        Target::Master(_) => commands,
        Target::Asked(_) => 2 * commands,
    }
}

/// Drops the replies to `ASKING`.
fn without_asking(target: &Target, replies: Vec<Reply>) -> Vec<Reply> {
    match target {
        Target::Master(_) => replies,
        Target::Asked(_) => replies.into_iter().skip(1).step_by(2).collect(),
    }
}

/// Returns `Some` if a command must be sent again, with the target that its reply names.
fn redirection(reply: &Reply) -> Option<Option<Target>> {
    let Value::ServerError(error) = &reply.value else { return None };
    // "MOVED 3999 127.0.0.1:6381"
    let node = || error.details().and_then(|details| Node::parse(details.split(' ').nth(1)?));
    match error.code() {
        "MOVED" => Some(node().map(Target::Master)),
        "ASK" => Some(node().map(Target::Asked)),
        "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "READONLY" | "MASTERDOWN" => Some(None),
        _ => None,
    }
}

/// Locks `mutex`, ignoring poison: no code panics while it holds one of these.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Servers for Cluster {
    fn run(
        &self,
        commands: &[Command<'_>],
        _access: Access,
        repeat: Repeat,
    ) -> Result<Vec<Reply>, BackendError> {
        let begun = Instant::now();
        let mut replies: Vec<Option<Reply>> = vec![None; commands.len()];
        let mut to_do: ToDo = (0..commands.len()).map(|number| (number, None)).collect();
        let mut map = Arc::clone(&locked(&self.slots));
        for attempt in 0..ATTEMPTS {
            if map.version == 0 {
                map = self.slots_since(0)?;
            }
            to_do = self.attempt(commands, to_do, &map, repeat, &mut replies)?;
            if to_do.is_empty() || begun.elapsed() > self.limits.timeout {
                break;
            }
            // Pause only for a command without a target; a redirected one can be sent at once.
            if to_do.iter().any(|(_, target)| target.is_none()) {
                thread::sleep(FIRST_PAUSE * 2_u32.pow(attempt));
            }
            if to_do.iter().any(|(_, target)| !matches!(target, Some(Target::Asked(_)))) {
                map = self.slots_since(map.version)?;
            }
        }
        // A command that is still unfinished keeps its last error reply, or has none if no node was reached.
        replies.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| {
            let why = "cannot reach a node of the Redis cluster: no other node has its keys yet; retry later";
            BackendError::new(ErrorKind::Unavailable, why)
        })
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

    /// Connects to the key's master. Any node would do, but the master publishes without a detour over the cluster bus.
    fn listen(&self, key: &str) -> Result<Connection, BackendError> {
        let mut map = Arc::clone(&locked(&self.slots));
        if map.version == 0 {
            map = self.slots_since(0)?;
        }
        self.pool(master(&map, key)?)?.listen(key)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("startup", &self.startup).finish_non_exhaustive()
    }
}
