//! No thread is left after a shutdown. Once the regions and the runtime are dropped, all threads of the project end.
//!
//! Each trial runs in a process of its own, which is this program again. Otherwise, the threads of another trial
//! would be counted. The file has its own harness, because backends whose server is missing are shown as ignored.

#[path = "shutdown/scenario.rs"]
mod scenario;
#[path = "shutdown/threads_left.rs"]
mod threads_left;

use std::process::{Command, ExitCode, Stdio};
use std::{env, thread};

use dogpile_tests::memcached::MemcachedServer;
use dogpile_tests::redis::{REDIS, RedisServer};
use dogpile_tests::servers::installed;
use libtest_mimic::{Arguments, Completion, Failed, Trial, run};

use self::scenario::{RUNTIMES, Scenario};

/// The variable that makes this program run one scenario: a backend, a runtime, and what the backend needs.
const SCENARIO: &str = "DOGPILE_TESTS_SCENARIO";

/// The backends, each with the program that its server needs.
const BACKENDS: [(&str, Option<&str>); 5] = [
    ("memory", None),
    ("dbm", None),
    ("loaded_courier", None),
    ("redis", Some(REDIS)),
    ("memcached", Some("memcached")),
];

fn main() -> ExitCode {
    if let Ok(scenario) = env::var(SCENARIO) {
        return Scenario::parse(&scenario).run();
    }
    let trials = BACKENDS.iter().flat_map(|backend| RUNTIMES.iter().map(|runtime| trial(backend, runtime)));
    // A trial mostly waits for idle threads.
    let arguments = Arguments::from_args();
    let test_threads = arguments.test_threads.or(Some(32));
    run(&Arguments { test_threads, ..arguments }, trials.collect()).exit_code()
}

fn trial(&(backend, program): &(&'static str, Option<&str>), runtime: &&'static str) -> Trial {
    let missing = program.and_then(|program| installed(program).err());
    let runtime = *runtime;
    Trial::ignorable_test(format!("no_thread_is_left::{backend}::{runtime}"), move || match &missing {
        Some(why) => Ok(Completion::ignored_with(why)),
        None => no_thread_is_left(backend, runtime).map(|()| Completion::Completed),
    })
}

fn no_thread_is_left(backend: &str, runtime: &str) -> Result<(), Failed> {
    match backend {
        "redis" => {
            let server = RedisServer::start(&[])?;
            ends_alone(backend, runtime, &server.port().to_string())
        }
        "memcached" => {
            let server = MemcachedServer::start(&[])?;
            ends_alone(backend, runtime, &server.url())
        }
        _ => ends_alone(backend, runtime, ""),
    }
}

/// Runs the scenario in a process, which fails if a thread is left.
fn ends_alone(backend: &str, runtime: &str, server: &str) -> Result<(), Failed> {
    let program = env::current_exe()?;
    let mut command = Command::new(program);
    command
        .env(SCENARIO, format!("{backend} {runtime} {server}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = thread::spawn(move || command.output()).join().expect("nothing panics here")?;
    if output.status.success() {
        return Ok(());
    }
    let told =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Err(format!("{}: {told}", output.status).into())
}
