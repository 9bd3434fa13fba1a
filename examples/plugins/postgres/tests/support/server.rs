//! [`PostgresServer`]: a real server in a folder of its own. It ends with the test, however that ends.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::installed;

/// The password of the only user, `dogpile`. It is needed over TCP.
pub(crate) const PASSWORD: &str = "s3cret";

/// What the server keeps of the password. One round of hashing makes a login fast in a debug build.
const VERIFIER: &str = "SCRAM-SHA-256$1:ZG9ncGlsZS1zYWx0$\
                        kwR/tbTuYOkYImxivyvAUCp2/8obxXZZ5oGJep/nVBs=:PRGGZLdaieGcowwOujvgIAEWGLXeHiH88CABu/hC89U=";

/// A shell script that runs a program, and starts it again for each line that it reads.
///
/// When its input ends, it stops the program and removes the folder. A test process that is killed cannot clean up, but
/// the system closes its end of the pipe.
const LEASH: &str = r#"
folder=$1; shift
start() { "$@" >>"$folder/log" 2>&1 </dev/null & pid=$!; echo $pid; }
end() {
    processes="$pid $(cat /proc/$pid/task/$pid/children)"
    kill -CONT $processes; kill -$1 $pid
    (sleep 10; kill -KILL $processes) & guard=$!
    wait $pid; kill $guard
} 2>/dev/null
start "$@"
while read -r _; do end INT; start "$@"; done
end QUIT
rm -rf "$folder"
"#;

/// The longest wait for the server.
const LIMIT: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    leash: Child,
    output: BufReader<ChildStdout>,
    pid: Pid,
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
}

impl PostgresServer {
    /// Creates a database in a new folder, and starts its server.
    pub(crate) fn start() -> Self {
        let programs =
            installed::programs().expect("PostgreSQL is installed; `tests/setup/postgres` installs it");
        let folder = tempfile::Builder::new().prefix("dogpile-postgres-").tempdir().unwrap().keep();
        let (port, data) = (free_port(), folder.join("data"));
        let secret = folder.join("password");
        fs::write(&secret, VERIFIER).unwrap();
        own(&folder);
        own(&secret);
        let mut initdb = command(&programs.join("initdb"));
        initdb.args(["--username=dogpile", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"]);
        initdb.args(["--no-locale", "--encoding=UTF8", "--wal-segsize=1", "-D"]).arg(&data);
        let made = initdb.arg("--pwfile").arg(&secret).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

        let mut server = command(&programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(&folder).args(["-p", &port.to_string(), "-F"]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300"]);
        let mut leash = Command::new("sh");
        leash.args(["-c", LEASH, "leash"]).arg(&folder).arg(server.get_program()).args(server.get_args());
        let mut leash = leash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(leash.stdout.take().unwrap());
        let server = PostgresServer { pid: started(&mut output), leash, output, folder, programs, port };
        server.wait_until_ready();
        server
    }

    /// Returns a URL for the Unix socket of the server, which needs no password.
    pub(crate) fn socket_url(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgresql://dogpile@{folder}:{}/postgres", self.port)
    }

    /// Returns a URL for the port of the server, with `password`.
    pub(crate) fn tcp_url(&self, password: &str) -> String {
        tcp_url(password, self.port)
    }

    /// Returns the port of the server.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Runs `sql`, and returns its rows as lines.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XAtq", "-d", &self.socket_url(), "-c", sql]);
        let done = psql.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Opens a session in which SQL is run piece by piece.
    pub(crate) fn session(&self) -> SqlSession {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-XAtq", "-d", &self.socket_url()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = psql.spawn().unwrap();
        let output = BufReader::new(psql.stdout.take().unwrap());
        SqlSession { psql, output }
    }

    /// Shuts the server down, and starts it again.
    pub(crate) fn restart(&mut self) {
        writeln!(self.leash.stdin.as_mut().unwrap()).unwrap();
        self.pid = started(&mut self.output);
        self.wait_until_ready();
    }

    /// Stops all processes of the server. Their connections stay open, and they do not reply.
    pub(crate) fn freeze(&self) {
        // The first process makes the others, so it stops before they are listed.
        stop(self.pid);
        self.children().into_iter().for_each(stop);
    }

    /// Continues all processes of the server, which [`freeze`](Self::freeze) stopped.
    pub(crate) fn thaw(&self) {
        for pid in self.children().into_iter().chain([self.pid]) {
            let _ = kill_process(pid, Signal::CONT);
        }
    }

    fn children(&self) -> Vec<Pid> {
        let pid = self.pid.as_raw_nonzero();
        let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        listed.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
    }

    fn wait_until_ready(&self) {
        until("the server is ready", || {
            let mut asked = Command::new(self.programs.join("pg_isready"));
            asked.args(["-q", "-d", &self.socket_url()]);
            asked.status().unwrap().success()
        });
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        // The shell stops the server and ends. A failure cannot be reported here.
        let _ = self.leash.wait();
    }
}

/// Returns a URL for a port of this machine, with `password`.
pub(crate) fn tcp_url(password: &str, port: u16) -> String {
    format!("postgresql://dogpile:{password}@127.0.0.1:{port}/postgres")
}

/// A session of `psql`. It ends when the value is dropped.
pub(crate) struct SqlSession {
    psql: Child,
    output: BufReader<ChildStdout>,
}

impl SqlSession {
    /// Runs `sql`, and waits for its end.
    pub(crate) fn run(&mut self, sql: &str) {
        writeln!(self.psql.stdin.as_mut().unwrap(), "{sql};\n\\echo done").unwrap();
        let mut line = String::new();
        while line.trim() != "done" {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "psql ended");
        }
    }
}

impl Drop for SqlSession {
    fn drop(&mut self) {
        drop(self.psql.stdin.take());
        // A failure cannot be reported here.
        let _ = self.psql.wait();
    }
}

/// Blocks until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "{LIMIT:?} passed before {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Stopped processes, which go on when the value is dropped.
pub(crate) struct Frozen(Vec<Pid>);

/// Stops the processes whose IDs are the lines of `listed`.
pub(crate) fn freeze_sessions(listed: &str) -> Frozen {
    let frozen = Frozen(listed.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect());
    frozen.0.iter().copied().for_each(stop);
    frozen
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            // It may have ended.
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

fn stop(pid: Pid) {
    // It may have ended.
    let _ = kill_process(pid, Signal::STOP);
    until("the process has stopped", || is_stopped(pid));
}

/// Reads the process ID that the leash prints when it has started the server.
fn started(output: &mut BufReader<ChildStdout>) -> Pid {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim().parse().ok().and_then(Pid::from_raw).expect("the shell prints the process ID")
}

/// A process that has ended stays in the list until its parent goes on.
fn is_stopped(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let states = ["State:\tT", "State:\tZ"];
    status.is_empty() || status.lines().any(|line| states.iter().any(|state| line.starts_with(state)))
}

/// Returns the user and the group that run the server: PostgreSQL refuses to run as root.
fn user() -> Option<(u32, u32)> {
    let id = |option| {
        let asked =
            ["postgres", "daemon"].map(|user| Command::new("id").args([option, user]).output().unwrap());
        let known = asked.iter().find(|asked| asked.status.success()).expect("there is such a user");
        String::from_utf8_lossy(&known.stdout).trim().parse().unwrap()
    };
    geteuid().is_root().then(|| (id("-u"), id("-g")))
}

fn own(path: &Path) {
    if let Some((user, group)) = user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
    let mode = if path.is_dir() { 0o755 } else { 0o600 };
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn command(program: &Path) -> Command {
    let Some((user, group)) = user() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    command.arg(program);
    command
}

/// Returns a free port. It is below those that the system assigns to connections, so that none takes it meanwhile.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = process::id() % 10_000;
    (0..10_000)
        .map(|_| 12_000 + ((first * 7 + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % 20_000) as u16)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok_and(|it| ends(&it)))
        .expect("a port is free")
}

/// Lets the server have the port of `listener`, and returns whether that succeeded.
///
/// Dropping the listener is not enough: a program that another test starts has it open as well until it begins.
fn ends(listener: &TcpListener) -> bool {
    rustix::net::shutdown(listener, rustix::net::Shutdown::Both).is_ok()
}
