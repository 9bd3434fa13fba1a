//! A child that was forked leaves the locks of its parent alone, waits for none of its threads, and has its own.
//!
//! Each test needs a process of its own, the program `forks`.

use std::env;
use std::path::Path;
use std::process::Command;

use dogpile_tests::threads::bounded;

use super::server;

/// Runs the program with `arguments`, and fails if it does.
fn succeeds(arguments: &[&str]) {
    let test = env::current_exe().unwrap();
    // Cargo keeps tests one folder below the programs of their package.
    let program = test.parent().and_then(Path::parent).unwrap().join("forks");
    let output = Command::new(program).args(arguments).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&printed));
}

fn succeeds_on_a_server(what: &'static str) {
    bounded(move || {
        let server = server(&[]);
        succeeds(&[what, &server.port().to_string()]);
    });
}

#[test]
fn child_neither_renews_nor_releases_the_leases_of_its_parent() {
    bounded(|| succeeds(&["lease"]));
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn creator_that_forks_stores_its_value_in_the_parent_only() {
    succeeds_on_a_server("creator");
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn child_does_not_wait_for_a_leader_of_its_parent() {
    succeeds_on_a_server("leader");
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn child_subscribes_to_releases_by_itself() {
    succeeds_on_a_server("waiter");
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn child_has_its_own_runner_and_releaser() {
    succeeds_on_a_server("background");
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn child_has_its_own_queue_of_deletions_and_its_own_breaker() {
    succeeds_on_a_server("outage");
}
