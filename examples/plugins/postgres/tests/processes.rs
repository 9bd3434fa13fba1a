//! Several processes: two that start at the same time, and one that forks.

use std::env;
use std::io::{BufRead, BufReader, Write, stdin};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use dogpile::sdk::{
    Bytes, CacheBackend, CachedValue, CreationTime, ErrorKind, Metadata, Payload, StoreOptions,
};
use dogpile::{CacheRegion, RegionConfig};
use fork::Fork;
use libtest_mimic::{Arguments, Trial};
use postgres_dogpile::{Postgres, PostgresConfig};

#[path = "support/installed.rs"]
mod installed;
#[path = "support/server.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it")]
mod server;

use server::PostgresServer;

/// The number of tables, in each of which one value is created.
const ROUNDS: usize = 10;

fn main() -> ExitCode {
    let given: Vec<String> = env::args().collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    match given[..] {
        [_, "create", url] => create(url),
        [_, "fork", url] => fork(url),
        _ => return libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
    ExitCode::SUCCESS
}

fn trials() -> Vec<Trial> {
    let tests: [(_, fn()); 2] = [
        ("two_processes_create_each_value_once", two_processes_create_each_value_once),
        ("forked_child_has_connections_of_its_own", forked_child_has_connections_of_its_own),
    ];
    let trial = |(name, test): (&str, fn())| {
        let trial = Trial::test(name, move || {
            test();
            Ok(())
        });
        trial.with_ignored_flag(cfg!(missing_postgres))
    };
    tests.map(trial).into()
}

/// Returns the command that runs this program for another part.
fn this_program(part: &str, url: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("a test knows its binary"));
    command.args([part, url]);
    command
}

fn two_processes_create_each_value_once() {
    let server = PostgresServer::start();
    let mut creators = [(); 2].map(|()| Creator::start(&server.socket_url()));
    for round in 0..ROUNDS {
        creators.iter_mut().for_each(Creator::go_on);
        let lines = creators.each_mut().map(Creator::line);
        let outcomes = lines.each_ref().map(|line| line.split_once(' ').expect("a flag and a value"));
        let [(first, value), (second, same)] = outcomes;
        assert_ne!(first == "created", second == "created", "round {round}: {lines:?}");
        assert_eq!(value, same, "round {round}");
    }
}

fn forked_child_has_connections_of_its_own() {
    let server = PostgresServer::start();
    let url = format!("{}?application_name=forked", server.socket_url());
    let output = this_program("fork", &url).output().expect("this program can be started");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {printed}", output.status);
}

/// A process that requests a value for each line of its input.
struct Creator(Child, BufReader<std::process::ChildStdout>);

impl Creator {
    fn start(url: &str) -> Self {
        let mut command = this_program("create", url);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Creator(child, output)
    }

    fn go_on(&mut self) {
        writeln!(self.0.stdin.as_mut().expect("it is piped")).expect("the process reads");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).expect("the process prints UTF-8");
        line.trim().to_owned()
    }
}

impl Drop for Creator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Requests a value per line of the input, each in a new table, and prints whether it created the value.
fn create(url: &str) {
    for (round, _) in stdin().lines().enumerate() {
        let region = CacheRegion::new("prices");
        let config = RegionConfig::new("postgres.table").argument("url", url);
        region
            .configure(config.argument("table", format!("round_{round}")))
            .expect("the region can be configured");
        let mut is_created = false;
        let value = region.get_or_create("tea", || {
            is_created = true;
            // The other process finds the lock held.
            thread::sleep(Duration::from_millis(100));
            std::process::id()
        });
        let value = value.expect("the value is created");
        println!("{} {value}", if is_created { "created" } else { "found" });
    }
}

/// Uses a backend, forks, and uses it in both processes.
fn fork(url: &str) {
    let mut config = PostgresConfig::default();
    config.url = url.to_owned();
    let backend = Postgres::start(&config).expect("the arguments are valid");
    let mutex = backend.get_mutex("tea").expect("the backend has mutexes");
    store(&backend, "of the parent");
    assert!(mutex.try_acquire().expect("the server works"));
    match fork::fork().expect("the process can be forked") {
        Fork::Child => {
            let error = mutex.release().expect_err("the parent holds it");
            assert_eq!(error.kind(), ErrorKind::NotHeld);
            assert!(
                !backend
                    .get_mutex("tea")
                    .expect("the backend has mutexes")
                    .try_acquire()
                    .expect("the server works")
            );
            assert!(backend.get("of the parent").expect("the server works").is_some());
            store(&backend, "of the child");
            drop((mutex, backend));
            std::process::exit(0);
        }
        Fork::Parent(child) => {
            let status = fork::waitpid(child).expect("the child ends");
            assert_eq!(status, 0, "the child failed");
            assert!(backend.get("of the child").expect("the server works").is_some());
            mutex.release().expect("the child has left it alone");
        }
    }
}

fn store(backend: &dyn CacheBackend, key: &str) {
    let payload = Payload::Bytes(Bytes::from(&b"x"[..]));
    let value = CachedValue { payload, metadata: Metadata::new(CreationTime::from_seconds(1_700_000_000.0)) };
    backend.set(key, value, &StoreOptions::new()).expect("the server works");
}
