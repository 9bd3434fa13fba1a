//! A child process that holds a mutex until it is killed.

use std::env;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::CacheBackend;

use crate::expect::{Outcome, Stop, ensure};
use crate::setup::Setup;

/// What the child prints on a line of its own, once it holds the mutex.
const HELD: &str = "dogpile-conformance: held";

/// What tells this program, run as a child, which setup and which key are meant.
const SETUP: &str = "DOGPILE_CONFORMANCE_SETUP";
const KEY: &str = "DOGPILE_CONFORMANCE_KEY";

/// How long the mutexes of a backend outlive their holder, and which program holds one.
#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) length: Duration,
    holder: Arc<dyn Fn(&str) -> Command + Send + Sync>,
}

impl Lease {
    pub(crate) fn new(length: Duration, holder: impl Fn(&str) -> Command + Send + Sync + 'static) -> Self {
        Lease { length, holder: Arc::new(holder) }
    }

    /// Starts a process that holds the mutex of `key`, and waits until it does.
    pub(crate) fn start(&self, key: &str) -> Result<Holder, Stop> {
        let mut command = (self.holder)(key);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let child =
            started.map_err(|error| Stop::failed(format!("expected {command:?} to start: {error}")))?;
        let mut holder = Holder { child };
        holder.wait_until_held()?;
        Ok(holder)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.length).finish()
    }
}

/// The process; killed when dropped.
pub(crate) struct Holder {
    child: Child,
}

impl Holder {
    fn wait_until_held(&mut self) -> Outcome {
        let Some(output) = self.child.stdout.take() else { return Ok(()) };
        let mut said = String::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(HELD) {
                return Ok(());
            }
            said = format!("{said}\n{line}");
        }
        Err(Stop::failed(format!("expected the child process to hold the mutex, it ended and said:{said}")))
    }

    /// Ends the process without its being told.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes the mutex of `key`, says so on the standard output, and keeps it until the standard input ends or the process
/// is killed: what the program given to [`Setup::leased_by`] does.
///
/// # Errors
/// If the backend has no mutex, or somebody else holds it.
pub fn hold(backend: &dyn CacheBackend, key: &str) -> Outcome {
    let mutex = backend.get_mutex(key).ok_or_else(|| Stop::skipped("the backend has no mutex of its own"))?;
    ensure(mutex.acquire(true)?, || format!("expected the mutex of key {key:?} to be free, it is held"))?;
    println!("\n{HELD}");
    // However it ends, the mutex is left as it is.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

/// This very program, to be run as a child that finds `setup` among its own.
pub(crate) fn this_program(setup: &str, key: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap_or_default());
    command.env(SETUP, setup).env(KEY, key);
    command
}

/// If this process is such a child, what became of it.
pub(crate) fn held_as_child(setups: &[Setup]) -> Option<Outcome> {
    let (setup, key) = (env::var(SETUP).ok()?, env::var(KEY).ok()?);
    let found = setups.iter().find(|known| known.name() == setup);
    let missing = || Stop::failed(format!("expected a setup named {setup:?} in the child process too"));
    Some(found.ok_or_else(missing).and_then(|setup| hold(&*setup.backend()?, &key)))
}
