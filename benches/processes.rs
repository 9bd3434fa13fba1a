//! How late the last of many processes gets a value that one of them created, for a cold key.

use std::env;
use std::process::Command;

use dogpile_benches::rivals::verdict;
use dogpile_benches::{Failure, Summary};
use dogpile_tests::peer::Peer;
use serde_json::{Value, json};

/// The argument that makes the program one of the processes.
const WORKER: &str = "--worker";

const PROCESSES: usize = 4;
const THREADS: usize = 8;
/// How long a creator takes, in seconds.
const CREATION: f64 = 0.05;
/// The most that the last waiter may come after the creator's end, in milliseconds.
const LATEST: f64 = 10.0;

/// Returns whether the program is one of the processes. It has then done its work.
pub(crate) fn served() -> bool {
    let is_worker = env::args().nth(1).as_deref() == Some(WORKER);
    if is_worker {
        dogpile_tests::worker::serve();
    }
    is_worker
}

/// Measures `rounds` stampedes, in which all threads of all processes request a cold key. `configuration` configures
/// the region, and `name` describes it. Each call needs a store of its own, or keys that were not requested before.
pub(crate) fn stampedes(name: &str, configuration: &Value, rounds: usize) -> Result<(), Failure> {
    let program = env::current_exe()?;
    let process = |_| Peer::run(Command::new(&program).arg(WORKER), configuration);
    let processes: Vec<Peer> = (0..PROCESSES).map(process).collect();
    let mut late: Vec<f64> =
        (0..rounds).map(|round| stampede(&processes, &format!("{name}: {round}"))).collect();
    let Summary { median, high, max, .. } = Summary::of(late.iter().copied());
    late.sort_by(f64::total_cmp);
    let p99 = late[(late.len() * 99).div_ceil(100) - 1];
    println!(
        "\n{PROCESSES} processes of {THREADS} threads, a cold key, a creator of 50 ms, {rounds} rounds:"
    );
    println!("{name}: one creator each; last waiter after the creator's end, ms");
    println!("median {median:.2}, 9th decile {high:.2}, p99 {p99:.2}{}, most {max:.2}", verdict(p99, LATEST));
    Ok(())
}

/// Returns the milliseconds from the creator's end until the last thread had the value.
fn stampede(processes: &[Peer], key: &str) -> f64 {
    let crowd = json!({ "do": "crowd", "key": key, "threads": THREADS, "takes": CREATION, "value": 1 });
    processes.iter().for_each(|process| process.tell(&crowd));
    let answers: Vec<Value> = processes.iter().map(Peer::hear).collect();
    let all = |what: &str| answers.iter().filter_map(|answer| answer[what].as_u64()).collect::<Vec<_>>();
    assert_eq!(all("created").iter().sum::<u64>(), 1, "one creator runs");
    let latest = |what| all(what).into_iter().max().unwrap_or_default();
    (latest("got") - latest("made")) as f64 / 1e3
}
