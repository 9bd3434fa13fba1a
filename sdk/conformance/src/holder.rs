//! A child process that holds a mutex until it is killed.

use std::env;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::CacheBackend;

use crate::expect::{Outcome, Stop, ensure};

/// The line that the child prints once it holds the mutex.
const HELD: &str = "dogpile-conformance: held";

/// The variables that name the setup and the key to this program, run as a child.
const SETUP: &str = "DOGPILE_CONFORMANCE_SETUP";
const KEY: &str = "DOGPILE_CONFORMANCE_KEY";

/// The time for which a mutex outlives its holder, and the program that holds one.
#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) length: Duration,
    holder: Arc<dyn Fn(&str) -> Command + Send + Sync>,
}

impl Lease {
    pub(crate) fn new(length: Duration, holder: impl Fn(&str) -> Command + Send + Sync + 'static) -> Self {
        Lease { length, holder: Arc::new(holder) }
    }

    /// Starts a process and waits until it holds the mutex of `key`.
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

/// The holding process. Dropping it kills the process.
pub(crate) struct Holder {
    child: Child,
}

impl Holder {
    fn wait_until_held(&mut self) -> Outcome {
        let Some(output) = self.child.stdout.take() else { return Ok(()) };
        let mut printed = String::new();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(HELD) {
                return Ok(());
            }
            printed = format!("{printed}\n{line}");
        }
        Err(Stop::failed(format!(
            "expected the child process to hold the mutex, it ended after printing:{printed}"
        )))
    }

    /// Kills the process, which has no chance to release the mutex.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Both calls fail only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.end();
    }
}

/// Acquires the mutex of `key` and holds it until the process ends.
///
/// The program given to [`Setup::leased_by`](crate::Setup::leased_by) calls this function. It prints a line once it
/// holds the mutex, and returns when the standard input ends.
///
/// # Errors
/// If the backend has no mutex, or if the mutex is held.
pub fn hold(backend: &dyn CacheBackend, key: &str) -> Outcome {
    let mutex = backend.get_mutex(key).ok_or_else(|| Stop::skipped("the backend has no mutex of its own"))?;
    ensure(mutex.try_acquire()?, || format!("expected the mutex of key {key:?} to be free, it is held"))?;
    println!("\n{HELD}");
    // The mutex stays held, however the input ends.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

/// Returns this program, to be run as a child that finds `setup` among its own setups.
pub(crate) fn this_program(setup: &str, key: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap_or_default());
    command.env(SETUP, setup).env(KEY, key);
    command
}

/// Returns the names of the setup and the key, if this process is such a child.
pub(crate) fn asked_as_child() -> Option<(String, String)> {
    Some((env::var(SETUP).ok()?, env::var(KEY).ok()?))
}
