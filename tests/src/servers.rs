//! [`Process`]: a real server in its own process. It ends when the test does, however that ends.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::threads::until;

/// A shell script that runs a program in the background, and kills it when the standard input closes.
///
/// A test process that is killed cannot clean up, but the system closes its end of the pipe.
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
    /// Starts `program` with `arguments`, and writes its output to the file `log`.
    ///
    /// # Panics
    /// Panics if the program cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        log: PathBuf,
    ) -> Self {
        let mut leash = Command::new("sh");
        leash.args(["-c", LEASH, "leash"]).arg(&log).arg(program).args(arguments);
        let mut leash = leash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("there is a shell");
        let mut line = String::new();
        let output = leash.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("the shell prints the process ID");
        let pid = line.trim().parse().ok().and_then(Pid::from_raw).expect("it is a number");
        Process { leash, pid, log }
    }

    /// Kills the process with SIGKILL, and waits until it has ended.
    pub fn kill(&self) {
        // The process may have ended already.
        let _ = kill_process(self.pid, Signal::KILL);
        until("the killed process is gone", || !self.is_running());
    }

    /// Stops the process with SIGSTOP, and waits until all its threads have stopped. Its connections stay open, and it does
    /// not reply.
    ///
    /// # Panics
    /// Panics if the process is not running.
    pub fn stop(&self) {
        kill_process(self.pid, Signal::STOP).expect("it is running");
        let is_stopped = |thread: fs::DirEntry| {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            status.is_empty() || status.lines().any(|line| line.starts_with("State:\tT"))
        };
        let threads = || fs::read_dir(format!("/proc/{}/task", self.pid.as_raw_nonzero()));
        // A system without such a folder stops the threads a little later.
        until("the process has stopped", || {
            threads().map_or(true, |threads| threads.flatten().all(is_stopped))
        });
    }

    /// Continues the stopped process.
    ///
    /// # Panics
    /// Panics if the process is not running.
    pub fn go_on(&self) {
        kill_process(self.pid, Signal::CONT).expect("it is running");
    }

    /// Returns whether the process is running.
    pub fn is_running(&self) -> bool {
        test_kill_process(self.pid).is_ok()
    }

    /// Returns the output of the process so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Blocks until the server listens on `port`.
    ///
    /// # Panics
    /// Panics with the output of the process if the server does not listen in time.
    pub fn wait_for_port(&self, port: u16) {
        until(&format!("port {port} accepts connections; the server printed: {}", self.log()), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        // The shell kills the process and ends. A failure cannot be reported here.
        let _ = self.leash.wait();
    }
}

/// Returns a free port that no other call in this process returned.
///
/// It is below the ports that the system assigns to connections, so that no connection takes it before the server does.
///
/// # Panics
/// Panics if there is no free port.
pub fn free_port() -> u16 {
    const FIRST: u64 = 12_000;
    const COUNT: u64 = 20_000;
    /// The step visits all ports, and keeps processes that start at adjacent ports apart.
    const STEP: u64 = 7;
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(()) % COUNT));
    (0..COUNT)
        .map(|_| (FIRST + NEXT.fetch_add(STEP, Ordering::Relaxed) % COUNT) as u16)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok_and(|it| end_listening(&it)))
        .expect("a port is free")
}

/// Ends a listener, and returns whether that succeeded. A server can have its port then, and clients are refused.
///
/// Dropping it is not enough: a program that another test starts has it open as well until it begins.
pub fn end_listening(listener: impl AsFd) -> bool {
    rustix::net::shutdown(listener, rustix::net::Shutdown::Both).is_ok()
}

/// A port that refuses connections. No other program gets it until the value is dropped.
#[derive(Debug)]
pub struct ClosedPort {
    port: u16,
    /// A socket that has the port and does not listen.
    _socket: OwnedFd,
}

impl ClosedPort {
    /// Reserves a port of this machine.
    ///
    /// # Panics
    /// Panics if there is no free port.
    pub fn new() -> Self {
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .expect("a socket can be created");
        rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = rustix::net::getsockname(&socket).expect("it is bound");
        let address = SocketAddrV4::try_from(address).expect("it has the family of the socket");
        ClosedPort { port: address.port(), _socket: socket }
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Default for ClosedPort {
    fn default() -> Self {
        Self::new()
    }
}

/// Creates a folder for a server's files, which is removed when the value is dropped.
///
/// # Panics
/// Panics if the folder cannot be created.
pub fn folder() -> TempDir {
    TempDir::with_prefix("dogpile-test-").expect("a folder can be made")
}

/// Returns the path of `program`.
///
/// # Errors
/// If `program` is not installed. The text says what to do, and is shown with the tests that are ignored for it.
///
/// # Panics
/// Panics if `program` is not installed and `DOGPILE_TESTS_NEED_SERVERS` is set, as in CI.
pub fn installed(program: &str) -> Result<PathBuf, String> {
    let paths = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&paths).map(|folder| folder.join(program));
    let sbin = Path::new("/usr/sbin").join(program);
    places.chain([sbin]).find(|place| place.is_file()).ok_or_else(|| missing(program))
}

/// Returns the path of a Python with dogpile.cache and its clients.
///
/// # Errors
/// See [`installed`].
///
/// # Panics
/// See [`installed`].
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

    /// A forked child shares the sockets of its parent, as a copy does.
    #[test]
    fn port_of_an_ended_listener_is_free_while_a_child_has_it_open() {
        let place = (Ipv4Addr::LOCALHOST, free_port());
        let listener = TcpListener::bind(place).unwrap();
        let _of_child = listener.try_clone().unwrap();
        TcpListener::bind(place).unwrap_err();
        assert!(end_listening(&listener));
        drop(listener);
        TcpStream::connect(place).unwrap_err();
        TcpListener::bind(place).unwrap();
    }

    #[test]
    fn closed_port_refuses_connections_and_stays_reserved() {
        let closed = ClosedPort::new();
        let error = TcpStream::connect((Ipv4Addr::LOCALHOST, closed.port())).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        TcpListener::bind((Ipv4Addr::LOCALHOST, closed.port())).unwrap_err();
    }

    #[test]
    fn process_ends_when_dropped() {
        let folder = folder();
        let process = Process::start(Path::new("sleep"), ["600"], folder.path().join("log"));
        let pid = process.pid;
        assert!(process.is_running());
        drop(process);
        until("the process is gone", || test_kill_process(pid).is_err());
    }

    #[test]
    fn killed_process_has_ended() {
        let folder = folder();
        let process = Process::start(Path::new("sleep"), ["600"], folder.path().join("log"));
        process.stop();
        assert!(process.is_running());
        process.kill();
        assert!(!process.is_running());
    }
}
