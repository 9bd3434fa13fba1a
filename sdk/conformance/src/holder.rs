//! A child process that holds a mutex and follows orders until it is killed.

use std::env;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dogpile_sdk::{BackendError, CacheBackend, CacheMutex, ErrorKind, StoreOptions};

use crate::expect::{Outcome, Stop, ensure};
use crate::value::value_for;

/// The line that the child prints once it holds the mutex.
const HELD: &str = "dogpile-conformance: held";

/// The line that orders the child to release the mutex, and the lines with which it replies.
const RELEASE: &str = "release";
const RELEASED: &str = "dogpile-conformance: released";
const NOT_HELD: &str = "dogpile-conformance: not held";

/// The line that asks the child whether it lost the mutex, and the lines with which it replies.
const IS_LOST: &str = "is lost";
const LOST: &str = "dogpile-conformance: lost";
const NOT_LOST: &str = "dogpile-conformance: still held";

/// The line that orders the child to store a value with its fence, and the lines with which it replies.
const STORE: &str = "store";
const STORED: &str = "dogpile-conformance: stored";
const FENCED: &str = "dogpile-conformance: fenced";

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
        let mut child =
            started.map_err(|error| Stop::failed(format!("expected {command:?} to start: {error}")))?;
        let output = child.stdout.take().map(BufReader::new);
        let mut holder = Holder { child, output };
        holder.wait_for(&[HELD], "to hold the mutex")?;
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
    output: Option<BufReader<ChildStdout>>,
}

impl Holder {
    /// Waits until the process prints one of `lines`, and returns it.
    fn wait_for(&mut self, lines: &[&'static str], what: &str) -> Result<&'static str, Stop> {
        let mut printed = String::new();
        for line in self.output.iter_mut().flat_map(BufRead::lines).map_while(Result::ok) {
            if let Some(found) = lines.iter().find(|expected| line.contains(**expected)) {
                return Ok(found);
            }
            printed = format!("{printed}\n{line}");
        }
        Err(Stop::failed(format!("expected the child process {what}, it ended after printing:{printed}")))
    }

    /// Stops the process with SIGSTOP.
    pub(crate) fn stop(&self) -> Outcome {
        self.signal("STOP")
    }

    /// Continues the stopped process.
    pub(crate) fn go_on(&self) -> Outcome {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Outcome {
        if !cfg!(unix) {
            return Err(Stop::skipped("processes cannot be stopped on this system"));
        }
        let script = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &script]).status();
        ensure(sent.is_ok_and(|sent| sent.success()), || format!("expected {script:?} to succeed"))
    }

    /// Has the process release the mutex, and returns whether it held the mutex.
    pub(crate) fn release(&mut self) -> Result<bool, Stop> {
        Ok(self.order(RELEASE, &[RELEASED, NOT_HELD])? == RELEASED)
    }

    /// Returns whether the process knows that it lost the mutex.
    pub(crate) fn is_lost(&mut self) -> Result<bool, Stop> {
        Ok(self.order(IS_LOST, &[LOST, NOT_LOST])? == LOST)
    }

    /// Has the process store a value with the fence of its mutex, and returns whether the store accepted it.
    pub(crate) fn store(&mut self) -> Result<bool, Stop> {
        Ok(self.order(STORE, &[STORED, FENCED])? == STORED)
    }

    fn order(&mut self, order: &str, replies: &[&'static str]) -> Result<&'static str, Stop> {
        if let Some(input) = &mut self.child.stdin {
            // If the process has ended, waiting for its reply reports that.
            let _ = writeln!(input, "{order}");
        }
        self.wait_for(replies, &format!("to reply to the order {order:?}"))
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

/// Acquires the mutex of `key` and holds it until the process ends or releases it.
///
/// The program given to [`Setup::leased_by`](crate::Setup::leased_by) calls this function. It prints a line once it
/// holds the mutex, and returns when the standard input ends.
///
/// # Errors
/// If the backend has no mutex, if the mutex is held, or if the store fails.
pub fn hold(backend: &dyn CacheBackend, key: &str) -> Outcome {
    let mutex = backend.get_mutex(key).ok_or_else(|| Stop::skipped("the backend has no mutex of its own"))?;
    ensure(mutex.try_acquire()?, || format!("expected the mutex of key {key:?} to be free, it is held"))?;
    println!("\n{HELD}");
    // The mutex stays held, however the input ends.
    for line in io::stdin().lines().map_while(Result::ok) {
        let reply = match line.as_str() {
            RELEASE => replied(mutex.release(), RELEASED, (ErrorKind::NotHeld, NOT_HELD))?,
            IS_LOST if mutex.is_lost() => LOST,
            IS_LOST => NOT_LOST,
            STORE => replied(store(backend, &*mutex, key), STORED, (ErrorKind::Fenced, FENCED))?,
            _ => continue,
        };
        println!("\n{reply}");
    }
    Ok(())
}

/// Stores a value with the fence of `mutex`, if it has one.
fn store(backend: &dyn CacheBackend, mutex: &dyn CacheMutex, key: &str) -> Result<(), BackendError> {
    let mut options = StoreOptions::new();
    options.fence = mutex.fence();
    backend.set(key, value_for(backend, b"late"), &options)
}

/// Returns the line that reports `outcome`: a success, or the error of the expected kind.
fn replied(
    outcome: Result<(), BackendError>,
    success: &'static str,
    (expected, failure): (ErrorKind, &'static str),
) -> Result<&'static str, BackendError> {
    match outcome {
        Ok(()) => Ok(success),
        Err(error) if error.kind() == expected => Ok(failure),
        Err(error) => Err(error),
    }
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
