//! [`Reader`]: asks all processes and servers at once. None of them holds up the others.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime};

use dogpile_net::Connector;

use super::rates::{Rates, rates};
use super::server::{Server, ServerCounts, ServerRates};
use super::snapshot::Snapshot;
use super::system::Process;
use super::targets::Targets;

/// The longest wait for a process or a server.
const PATIENCE: Duration = Duration::from_secs(2);

/// What happened in all processes and servers since the last reading.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) at: SystemTime,
    pub(super) processes: Vec<ProcessReading>,
    pub(super) servers: Vec<(String, Result<ServerRates, String>)>,
    /// What else is to be said.
    pub(super) problems: Vec<String>,
}

/// What happened in a process since the last reading.
#[derive(Debug)]
pub(super) struct ProcessReading {
    pub(super) socket: PathBuf,
    pub(super) outcome: Result<ProcessRates, String>,
}

#[derive(Debug)]
pub(super) struct ProcessRates {
    pub(super) pid: u64,
    pub(super) program: String,
    pub(super) uptime: f64,
    /// How many seconds the rates are about.
    pub(super) seconds: f64,
    /// Whether they are about all the time since the socket was opened.
    pub(super) is_since_start: bool,
    pub(super) regions: Vec<Rates>,
}

/// Asks all processes and servers.
pub(super) struct Reader {
    targets: Targets,
    processes: BTreeMap<PathBuf, (Process, Option<Snapshot>)>,
    servers: Vec<(Connector, Option<Counted>)>,
}

/// What a server had counted, and when.
type Counted = (ServerCounts, Instant);

impl Reader {
    pub(super) fn new(targets: Targets) -> Self {
        let servers = targets.servers.iter().map(|server| (server.connector(), None)).collect();
        Reader { targets, processes: BTreeMap::new(), servers }
    }

    /// Asks all processes and servers at once.
    pub(super) fn read(&mut self) -> Reading {
        let (paths, left_out) = self.targets.sockets.find();
        self.processes.retain(|path, _| paths.contains(path));
        for path in paths {
            self.processes.entry(path).or_default();
        }
        let deadline = Instant::now() + PATIENCE;
        let (processes, servers) = thread::scope(|scope| {
            let processes = self.processes.iter_mut().map(|(path, (process, before))| {
                let ask = move || process.ask(path, deadline).map(|now| since(now, before));
                (path.clone(), started(scope, ask))
            });
            let processes: Vec<_> = processes.collect();
            let servers = self.targets.servers.iter().zip(&mut self.servers);
            let servers = servers.map(|(server, (connector, before))| {
                (server.address.clone(), started(scope, move || ask(server, connector, before, deadline)))
            });
            let servers: Vec<_> = servers.collect();
            (joined(processes), joined(servers))
        });
        let outcome = |(socket, outcome)| ProcessReading { socket, outcome };
        let processes = processes.into_iter().map(outcome).collect();
        let mut problems = self.targets.problems.clone();
        if left_out > 0 {
            problems.push(format!("{left_out} more sockets are not shown"));
        }
        Reading { at: SystemTime::now(), processes, servers, problems }
    }
}

impl Reading {
    /// Returns whether a process or server replied.
    pub(super) fn has_replies(&self) -> bool {
        self.processes.iter().any(|process| process.outcome.is_ok())
            || self.servers.iter().any(|(_, outcome)| outcome.is_ok())
    }
}

/// A thread that asks a process or server, unless it could not be started.
type Asking<'scope, T> = io::Result<ScopedJoinHandle<'scope, Result<T, String>>>;

fn started<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    ask: impl FnOnce() -> Result<T, String> + Send + 'scope,
) -> Asking<'scope, T> {
    thread::Builder::new().spawn_scoped(scope, ask)
}

/// Returns the result of each thread, with its name.
fn joined<N, T>(threads: Vec<(N, Asking<'_, T>)>) -> Vec<(N, Result<T, String>)> {
    let join = |(name, thread): (N, Asking<'_, T>)| {
        let thread = thread.map_err(|error| format!("cannot start a thread that asks it: {error}"));
        let join = |thread: ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        (name, thread.and_then(join))
    };
    threads.into_iter().map(join).collect()
}

fn since(now: Snapshot, before: &mut Option<Snapshot>) -> ProcessRates {
    let (seconds, regions) = rates(&now, before.as_ref());
    let (pid, program, uptime) = (now.pid, now.program.clone(), now.uptime_seconds);
    let is_since_start = seconds >= uptime;
    *before = Some(now);
    ProcessRates { pid, program, uptime, seconds, is_since_start, regions }
}

fn ask(
    server: &Server,
    connector: &Connector,
    before: &mut Option<Counted>,
    deadline: Instant,
) -> Result<ServerRates, String> {
    let (now, at) = (server.ask(connector, deadline)?, Instant::now());
    let earlier = before.as_ref().map(|(counts, before)| (counts, at.duration_since(*before).as_secs_f64()));
    let rates = now.rates(earlier);
    *before = Some((now, at));
    Ok(rates)
}
