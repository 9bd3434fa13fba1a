//! Real servers, each a process of its own, which ends with the test however that ends.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::threads::until;

/// Runs its second argument and the rest in the background, and kills it once nobody holds the other end of the
/// standard input any more: a test process that is killed cannot clean up, but it does let go of that.
const LEASH: &str = r#"
log=$1; shift; exec 3<&0
"$@" >>"$log" 2>&1 </dev/null 3<&- &
pid=$!; echo $pid
(read -r _ <&3; kill -9 $pid) 2>/dev/null &
guard=$!; exec 2>/dev/null; wait $pid; kill $guard
"#;

/// A running program.
#[derive(Debug)]
pub struct Process {
    leash: Child,
    pid: Pid,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with `arguments`; what it prints goes to the file `log`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Self {
        let mut leash = Command::new("sh");
        leash.args(["-c", LEASH, "leash"]).arg(&log).arg(program).args(arguments);
        let mut leash = leash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("there is a shell");
        let mut told = String::new();
        let said = leash.stdout.take().expect("it is piped");
        BufReader::new(said).read_line(&mut told).expect("the shell tells the process's number");
        let pid = told.trim().parse().ok().and_then(Pid::from_raw).expect("it is a number");
        Process { leash, pid, log }
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&self) {
        // It may be gone already.
        let _ = kill_process(self.pid, Signal::KILL);
        until("the killed process is gone", || !self.is_running());
    }

    /// Stops it as `kill -STOP` does: its connections stay, and nothing answers.
    ///
    /// # Panics
    /// If it is not running.
    pub fn stop(&self) {
        kill_process(self.pid, Signal::STOP).expect("it is running");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If it is not running.
    pub fn go_on(&self) {
        kill_process(self.pid, Signal::CONT).expect("it is running");
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        test_kill_process(self.pid).is_ok()
    }

    /// What it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Blocks until something listens on `port`.
    ///
    /// # Panics
    /// If nothing does in time; the text has what the process printed.
    pub fn wait_for_port(&self, port: u16) {
        until(&format!("port {port} answers; the server said: {}", self.log()), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        // The shell kills the process and ends; there is nobody to tell if it does not.
        let _ = self.leash.wait();
    }
}

/// A port of this machine that nothing listens on, and that no other call in this process was answered. It lies below
/// those that the system gives to connections, of which one might take it before the server does.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    const FIRST: u64 = 12_000;
    const COUNT: u64 = 20_000;
    /// Goes through all of them, and not side by side with another process.
    const STEP: u64 = 7;
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(()) % COUNT));
    (0..COUNT)
        .map(|_| (FIRST + NEXT.fetch_add(STEP, Ordering::Relaxed) % COUNT) as u16)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a port is free")
}

/// A folder for a server's files, removed with the value.
///
/// # Panics
/// If it cannot be made.
pub fn folder() -> TempDir {
    TempDir::with_prefix("dogpile-test-").expect("a folder can be made")
}

/// Where `program` is installed.
///
/// # Errors
/// If it is not; the text says what to do, and is shown beside the tests that are ignored since.
///
/// # Panics
/// If it is not installed, and `DOGPILE_TESTS_NEED_SERVERS` is set, as it is in CI.
pub fn installed(program: &str) -> Result<PathBuf, String> {
    let paths = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&paths).map(|folder| folder.join(program));
    let sbin = Path::new("/usr/sbin").join(program);
    places.chain([sbin]).find(|place| place.is_file()).ok_or_else(|| missing(program))
}

/// The Python that has dogpile.cache and its clients.
///
/// # Errors
/// As for [`installed`].
///
/// # Panics
/// As for [`installed`].
pub fn python() -> Result<PathBuf, String> {
    let target = env::current_exe().expect("the test is a file");
    let pythons = target.ancestors().map(|folder| folder.join("python/bin/python"));
    pythons.into_iter().find(|python| python.is_file()).ok_or_else(|| missing("python with dogpile.cache"))
}

fn missing(program: &str) -> String {
    let why = format!("{program} is not installed; `tests/run` installs it");
    assert!(env::var_os("DOGPILE_TESTS_NEED_SERVERS").is_none(), "{why}");
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ends_with_its_value() {
        let folder = folder();
        let process = Process::start(Path::new("sleep"), ["600"], folder.path().join("log"));
        let pid = process.pid;
        assert!(process.is_running());
        drop(process);
        until("the process is gone", || test_kill_process(pid).is_err());
    }

    #[test]
    fn a_killed_process_is_gone_at_once() {
        let folder = folder();
        let process = Process::start(Path::new("sleep"), ["600"], folder.path().join("log"));
        process.stop();
        assert!(process.is_running());
        process.kill();
        assert!(!process.is_running());
    }
}
