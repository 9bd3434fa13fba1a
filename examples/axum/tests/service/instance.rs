//! [`Instance`]: a running process of the service.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_tests::redis::RedisServer;
use dogpile_tests::servers::folder;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::SOCKET_TIMEOUT;
use crate::http::get;

/// A shell script that runs a program, and kills it when the standard input closes. It ends as the program does.
///
/// A test that takes too long cannot clean up, but the system closes its end of the pipe.
const LEASH: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
pid=$!; echo "process $pid"
(read -r _ <&3; kill -9 $pid) >/dev/null 2>&1 &
guard=$!; wait $pid; code=$?; kill $guard 2>/dev/null; exit $code
"#;

/// A running process of the service. It is killed when the value is dropped.
pub(crate) struct Instance {
    leash: Child,
    pid: Pid,
    address: SocketAddr,
    folder: TempDir,
}

/// Returns the path of a file of the package.
pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Writes `regions.toml` with the port of `server`, and with the timeout of the tests.
pub(crate) fn regions_over(server: &RedisServer, folder: &TempDir) -> PathBuf {
    let changed = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "regions.toml has {from}");
        text.replace(from, to)
    };
    let text = fs::read_to_string(shipped("regions.toml")).unwrap();
    let text = changed(text, "127.0.0.1:6379", &format!("127.0.0.1:{}", server.port()));
    let text = changed(
        text,
        "socket_timeout = \"1s\"",
        &format!("socket_timeout = \"{}s\"", SOCKET_TIMEOUT.as_secs()),
    );
    let file = folder.path().join("regions.toml");
    fs::write(&file, text).unwrap();
    file
}

impl Instance {
    /// Starts the service with queries of 200 milliseconds, and waits until it listens.
    pub(crate) fn over(server: &RedisServer) -> Self {
        Instance::with_queries_of(Duration::from_millis(200), server)
    }

    /// Starts the service with queries of `query_time`, and waits until it listens.
    pub(crate) fn with_queries_of(query_time: Duration, server: &RedisServer) -> Self {
        let folder = folder();
        let regions = regions_over(server, &folder);
        Instance::start(&regions, query_time, folder)
    }

    /// Starts the service with the regions of a file of the package.
    pub(crate) fn with_file(name: &str) -> Self {
        Instance::start(&shipped(name), Duration::from_millis(200), folder())
    }

    fn start(regions: &Path, query_time: Duration, folder: TempDir) -> Self {
        let log = File::create(folder.path().join("log")).unwrap();
        let mut leash = Command::new("sh");
        leash.args(["-c", LEASH, "leash", env!("CARGO_BIN_EXE_axum-example")]).arg(regions);
        leash.env("LISTEN", "127.0.0.1:0").env("QUERY_MS", query_time.as_millis().to_string());
        leash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut leash = leash.spawn().unwrap();
        // Two lines, in any order, and none after a failure.
        let lines: Vec<String> =
            BufReader::new(leash.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
        let find = |start: &str| lines.iter().find_map(|line| line.strip_prefix(start));
        let log = || fs::read_to_string(folder.path().join("log")).unwrap();
        let pid = find("process ").and_then(|pid| Pid::from_raw(pid.parse().ok()?)).unwrap();
        let address = find("listening on http://").unwrap_or_else(|| panic!("it did not start: {}", log()));
        let address = address.parse().unwrap();
        Instance { leash, pid, address, folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of queries that its database got.
    pub(crate) async fn queries(&self) -> usize {
        get(self.address, "/queries").await.body.parse().unwrap()
    }

    /// Waits until its database got `count` queries. The test has a limit.
    pub(crate) async fn until_queries(&self, count: usize) {
        while self.queries().await != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Waits until the process ends, for at most `limit`, and returns how.
    pub(crate) fn end(mut self, limit: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.leash.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < limit, "the service still runs after {limit:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        // The shell kills the service and ends. A failure cannot be reported here.
        let _ = self.leash.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the last lines of the service, latest first:\n{}", last.join("\n"));
        }
    }
}
