//! [`Cluster`]: many masters, each with a part of the keys.
//!
//! Source: the Redis Cluster specification, "Redirection and resharding".

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use dogpile_sdk::{BackendError, ErrorKind};
use redis::{Connection, ConnectionAddr, Value};

use super::slots::{Slots, slot};
use super::{Access, Command, Repeat, Servers, pack, refusal};
use crate::config::{ConnectionOptions, Node, RedisConfig};
use crate::error;
use crate::pool::{Lent, Limits, Pool};

/// How often a command is sent at most, redirections included.
const ATTEMPTS: u32 = 8;

/// How long to leave a cluster alone that is about to change, before the second attempt; twice as long before the next.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// Each command goes to the master of its key's slot, several to each in one round trip.
pub(crate) struct Cluster {
    startup: BTreeSet<Node>,
    options: ConnectionOptions,
    limits: Limits,
    pools: Mutex<HashMap<Node, Arc<Pool>>>,
    slots: Mutex<Arc<Map>>,
    /// Held by the one who asks for the slots; when that failed last, and how.
    asking: Mutex<Option<(Instant, String)>>,
}

/// The slots as they were told.
#[derive(Debug, Default)]
struct Map {
    slots: Slots,
    /// Counts how often they were told.
    version: u64,
}

/// A node that some commands are for, and the numbers of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// The master of their slots.
    Master(Node),
    /// Has them already, though they are not its yet.
    Asked(Node),
}

impl Target {
    fn node(&self) -> &Node {
        match self {
            Target::Master(node) | Target::Asked(node) => node,
        }
    }
}

/// What is still to be run: the number of each command, and where a node sent it.
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
                _ => {
                    let why = "argument \"url\" of a cluster names a host and a port, since its nodes do";
                    return Err(BackendError::new(ErrorKind::Configuration, why));
                }
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
        // That they can be used at all is for now, not for the first command.
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

    /// The slots, which were told later than `version`.
    fn slots_since(&self, version: u64) -> Result<Arc<Map>, BackendError> {
        let begun = Instant::now();
        let mut failed = locked(&self.asking);
        let map = Arc::clone(&locked(&self.slots));
        if map.version > version {
            return Ok(map);
        }
        if let Some((when, message)) = &*failed
            && *when > begun
        {
            return Err(BackendError::new(ErrorKind::Unavailable, message.clone()));
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
                *failed = Some((Instant::now(), error.to_string()));
                Err(error)
            }
        }
    }

    /// What the first node says that answers, of those that are known and those that were named.
    fn ask_for_slots(&self, known: &Slots, begun: Instant) -> Result<Slots, BackendError> {
        let question = redis::cmd("CLUSTER").arg("SLOTS").get_packed_command();
        let nodes: BTreeSet<&Node> = known.nodes().chain(&self.startup).collect();
        let mut last = String::new();
        for node in nodes {
            let answer = self.pool(node).and_then(|pool| pool.ask(&question, 1, Repeat::Harmless));
            match answer.map(|mut answers| answers.pop().unwrap_or(Value::Nil)) {
                Ok(answer) => match (refusal(&answer).map(str::to_owned), Slots::parse(answer, node)) {
                    (_, Some(slots)) => return Ok(slots),
                    (Some(code), None) => last = format!("{node} refuses ({code})"),
                    (None, None) => last = format!("{node} is in no cluster"),
                },
                Err(error) if error.kind() == ErrorKind::Configuration => return Err(error),
                Err(error) => last = format!("{node}: {error}"),
            }
            if begun.elapsed() > self.limits.timeout {
                break;
            }
        }
        let message =
            format!("no node tells who has which keys of the cluster ({last}); see \"startup_nodes\"");
        Err(BackendError::new(ErrorKind::Unavailable, message))
    }

    /// Runs what is to be done once. Answers are put in `answers`; what is to be done again comes back.
    fn attempt(
        &self,
        commands: &[Command<'_>],
        to_do: ToDo,
        map: &Map,
        repeat: Repeat,
        answers: &mut [Option<Value>],
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
                    for (number, answer) in numbers.into_iter().zip(received) {
                        if let Some(target) = redirection(&answer) {
                            again.push((number, target));
                        }
                        answers[number] = Some(answer);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Unavailable && repeat == Repeat::Harmless => {
                    log::debug!("a node of the cluster is asked again: {error}");
                    again.extend(numbers.into_iter().map(|number| (number, None)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(again)
    }

    /// The answers of each target. All are asked before the first is heard.
    fn exchange(
        &self,
        commands: &[Command<'_>],
        by_target: &BTreeMap<Target, Vec<usize>>,
        repeat: Repeat,
    ) -> Vec<Result<Vec<Value>, BackendError>> {
        let questions = by_target.iter().map(|(target, numbers)| {
            let packed = packed_for(target, numbers.iter().map(|number| &commands[*number]));
            self.pool(target.node()).map(|pool| (pool, packed, target, numbers.len()))
        });
        let questions: Vec<_> = questions.collect();
        if let [Ok((pool, packed, target, count))] = &questions[..] {
            let answers = pool.ask(packed, answer_count(target, *count), repeat);
            return vec![answers.map(|answers| without_asking(target, answers))];
        }
        let sent: Vec<Result<Lent<'_>, BackendError>> = questions
            .iter()
            .map(|question| {
                let (pool, packed, ..) = question.as_ref().map_err(again)?;
                let mut lent = pool.lend()?;
                lent.send(packed).map_err(error::of).inspect_err(|_| pool.close_idle())?;
                Ok(lent)
            })
            .collect();
        let received = sent.into_iter().zip(&questions).map(|(sent, question)| {
            let (mut lent, (pool, _, target, count)) = (sent?, question.as_ref().map_err(again)?);
            let answers = lent.receive(answer_count(target, *count));
            let answers = answers.map_err(error::of).inspect_err(|_| pool.close_idle())?;
            lent.give_back();
            Ok(without_asking(target, answers))
        });
        received.collect()
    }
}

/// The same error for the second who asks for it.
fn again(error: &BackendError) -> BackendError {
    BackendError::new(error.kind(), error.to_string())
}

fn master<'m>(map: &'m Map, key: &str) -> Result<&'m Node, BackendError> {
    let slot = slot(key);
    map.slots.node(slot).ok_or_else(|| {
        let why = format!("no node of the cluster has slot {slot}, which the key is in");
        BackendError::new(ErrorKind::Unavailable, why)
    })
}

/// Each command, for a node that was asked out of turn after the word that says so.
fn packed_for<'c, 'k: 'c>(target: &Target, commands: impl Iterator<Item = &'c Command<'k>>) -> Vec<u8> {
    match target {
        Target::Master(_) => pack(commands),
        Target::Asked(_) => {
            let asking = redis::cmd("ASKING").get_packed_command();
            commands.flat_map(|command| [asking.clone(), pack([command])].concat()).collect()
        }
    }
}

fn answer_count(target: &Target, commands: usize) -> usize {
    match target {
        Target::Master(_) => commands,
        Target::Asked(_) => 2 * commands,
    }
}

fn without_asking(target: &Target, answers: Vec<Value>) -> Vec<Value> {
    match target {
        Target::Master(_) => answers,
        Target::Asked(_) => answers.into_iter().skip(1).step_by(2).collect(),
    }
}

/// Whether to run the command of `answer` again, and where, if the answer says that.
fn redirection(answer: &Value) -> Option<Option<Target>> {
    let Value::ServerError(error) = answer else { return None };
    // "MOVED 3999 127.0.0.1:6381"
    let told = || error.details().and_then(|details| Node::parse(details.split(' ').nth(1)?));
    match error.code() {
        "MOVED" => Some(told().map(Target::Master)),
        "ASK" => Some(told().map(Target::Asked)),
        "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "READONLY" | "MASTERDOWN" => Some(None),
        _ => None,
    }
}

/// Nothing panics while one of these is locked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Servers for Cluster {
    fn run(
        &self,
        commands: &[Command<'_>],
        _access: Access,
        repeat: Repeat,
    ) -> Result<Vec<Value>, BackendError> {
        let begun = Instant::now();
        let mut answers: Vec<Option<Value>> = vec![None; commands.len()];
        let mut to_do: ToDo = (0..commands.len()).map(|number| (number, None)).collect();
        let mut map = Arc::clone(&locked(&self.slots));
        for attempt in 0..ATTEMPTS {
            if map.version == 0 {
                map = self.slots_since(0)?;
            }
            to_do = self.attempt(commands, to_do, &map, repeat, &mut answers)?;
            if to_do.is_empty() || begun.elapsed() > self.limits.timeout {
                break;
            }
            // Whoever was told where to go, goes there at once.
            if to_do.iter().any(|(_, target)| target.is_none()) {
                thread::sleep(FIRST_PAUSE * 2_u32.pow(attempt));
            }
            if to_do.iter().any(|(_, target)| !matches!(target, Some(Target::Asked(_)))) {
                map = self.slots_since(map.version)?;
            }
        }
        // What is still to be done has the answer that said so, or none.
        answers.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| {
            let why = "a node of the Redis cluster cannot be reached, and no other has its keys yet";
            BackendError::new(ErrorKind::Unavailable, why)
        })
    }

    fn is_spread(&self) -> bool {
        true
    }

    fn scope(&self) -> String {
        let mut nodes: Vec<_> = self.startup.iter().map(Node::to_string).collect();
        nodes.sort();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// Any node would do; from that of the key what is told comes without a detour.
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
