//! The conformance suite on all our backends, linked and loaded.
//!
//! Behavior: `redis-generic-suite`, `redis-distributed-mutex`, `redis-distributed-mutex-prefix`, `valkey-generic-suite`,
//! `valkey-distributed-mutex`, `valkey-distributed-mutex-prefix`, `sentinel-generic-suite`, `sentinel-distributed-mutex`,
//! `dbm-behind-proxy`,
//! `python-memcached-generic-suite`, `python-memcached-distributed-generic-suite`, `python-memcached-distributed-mutex`,
//! `pymemcache-generic-suite`, `pymemcache-distributed-generic-suite`, `pymemcache-distributed-mutex`,
//! `pymemcache-distributed-timeout-suite`, `pymemcache-distributed-mutex-timeout`, `pymemcache-tls-suite`,
//! `pymemcache-retry-client-suite`, `pylibmc-generic-suite`, `pylibmc-distributed-generic-suite`,
//! `pylibmc-distributed-mutex`, `bmemcached-generic-suite`, `bmemcached-distributed-generic-suite`,
//! `bmemcached-distributed-mutex`, `bmemcached-distributed-timeout-suite`, `bmemcached-distributed-mutex-timeout`,
//! `bmemcached-tls-suite`

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// The option of the harness, and how many cases run at a time by default.
///
/// Most cases wait: for leases and values to expire, for deadlines, and for replies of servers. With one case for each of
/// two cores, the suite takes more than four minutes, of which the cores are idle for three.
const THREADS: (&str, &str) = ("--test-threads", "6");

fn main() -> ExitCode {
    let (option, threads) = THREADS;
    if env::args().any(|argument| argument.starts_with(option)) {
        return dogpile_conformance::run(dogpile_tests::setup::setups());
    }
    // The harness reads the options of its process, so that this process begins again with one more.
    let error = env::current_exe()
        .map(|program| Command::new(program).args(env::args_os().skip(1)).args([option, threads]).exec());
    eprintln!("error: cannot start this program again: {error:?}");
    ExitCode::FAILURE
}
