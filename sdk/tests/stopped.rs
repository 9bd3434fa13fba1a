//! A holder stopped by SIGSTOP for longer than its lease knows its mutex is lost.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dogpile_sdk::BackendError;
use dogpile_sdk::lease::{LeaseOptions, LeaseStore, Leases};

const LEASE: Duration = Duration::from_secs(2);
const STOPPED_FOR: Duration = Duration::from_secs(3);

/// The variable that states whether the child renews its lease. Its presence makes a process the child.
const RENEWED: &str = "DOGPILE_SDK_TEST_RENEWED";

/// Grants every request and counts them.
#[derive(Debug, Default)]
struct Granting(AtomicUsize);

impl Granting {
    fn grant(&self) -> Result<bool, BackendError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(true)
    }
}

impl LeaseStore for Granting {
    fn acquire(
        &self,
        _key: &str,
        _token: &str,
        _lease: Duration,
        _deadline: Instant,
    ) -> Result<bool, BackendError> {
        self.grant()
    }

    fn renew(&self, _key: &str, _token: &str, _lease: Duration) -> Result<bool, BackendError> {
        // No reply arrives while the test runs, so only the time that passed can reveal the loss.
        thread::sleep(STOPPED_FOR * 10);
        self.grant()
    }

    fn release(&self, _key: &str, _token: &str) -> Result<bool, BackendError> {
        self.grant()
    }

    fn locked(&self, _key: &str) -> Result<bool, BackendError> {
        self.grant()
    }
}

/// Not a test of its own: the other tests run it in a child process, which they stop.
///
/// It prints `is_lost` and the number of requests after it acquired the mutex, and again for each line that it reads.
#[test]
#[ignore = "the other tests run it in a child process"]
fn child() {
    let Ok(renewed) = env::var(RENEWED) else { return };
    let (store, mut options) = (Arc::new(Granting::default()), LeaseOptions::default());
    options.lease = LEASE;
    options.renewed = renewed == "true";
    let mutex = Leases::new(store.clone(), options).mutex("key");
    assert!(mutex.try_acquire().unwrap());
    let report = || {
        println!("\nlost={} requests={}", mutex.is_lost(), store.0.load(Ordering::SeqCst));
        io::stdout().flush().unwrap();
    };
    report();
    for line in io::stdin().lines() {
        line.unwrap();
        report();
    }
    // The renewal in progress must not delay the end of the process.
    std::process::exit(0);
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", child.id())).status();
    assert!(sent.unwrap().success(), "kill -{name} succeeds");
}

fn next_report(output: &mut BufReader<ChildStdout>) -> String {
    output.lines().map(Result::unwrap).find(|line| line.starts_with("lost=")).expect("the child reports")
}

/// Returns what the child reports before it is stopped and right after it continues.
fn stopped_and_continued(renewed: bool) -> [String; 2] {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "child"])
        .env(RENEWED, renewed.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let before = next_report(&mut output);
    signal(&child, "STOP");
    thread::sleep(STOPPED_FOR);
    signal(&child, "CONT");
    let mut input = child.stdin.take().unwrap();
    writeln!(input).unwrap();
    let after = next_report(&mut output);
    drop(input);
    child.wait().unwrap();
    [before, after]
}

#[test]
fn fixed_lease_of_a_stopped_holder_is_lost_at_once() {
    assert_eq!(stopped_and_continued(false), ["lost=false requests=1", "lost=true requests=1"]);
}

#[test]
fn renewed_lease_of_a_stopped_holder_is_lost_at_once() {
    assert_eq!(stopped_and_continued(true), ["lost=false requests=1", "lost=true requests=1"]);
}
