//! How many instructions a hit takes, compared with rivals and a target.
//!
//! `cargo bench -p dogpile-benches --bench instructions` runs itself under valgrind's callgrind, once for each cache
//! and each of two numbers of hits, and divides the difference. Instructions do not depend on what else the machine
//! does. Callgrind does not count the kernel's instructions. It does not count the reading of a clock either: under
//! valgrind, that reading is a system call.

use std::process::{Command, Stdio};

use dogpile_benches::rivals::verdict;
use dogpile_benches::versus::{BARE_MAP, MOKA, MOKA_BOUNDED, MOKA_FUTURE, QUICK_CACHE, STD_MAP};
use dogpile_benches::{
    Failure, LINKED, LINKED_BOUNDED, LINKED_EXPIRING, LINKED_STAGED, OURS_ASYNC, Subject, Workload, is_quick,
    linked, ours_async, versus,
};

/// The first argument of a run under callgrind.
const COUNTED: &str = "--counted";

const KEYS: usize = 1000;

/// Hits of the shorter and of the longer run.
const FULL: [usize; 2] = [10 * KEYS, 60 * KEYS];
const QUICK: [usize; 2] = [KEYS, 2 * KEYS];

/// The caches, and the most instructions that a hit may take.
const SUBJECTS: [(&str, Option<f64>); 11] = [
    (LINKED, Some(380.0)),
    (OURS_ASYNC, None),
    (LINKED_EXPIRING, None),
    (LINKED_STAGED, None),
    (LINKED_BOUNDED, None),
    (MOKA, None),
    (MOKA_BOUNDED, None),
    (MOKA_FUTURE, None),
    (QUICK_CACHE, None),
    (STD_MAP, None),
    (BARE_MAP, None),
];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name, hits] = arguments.as_slice()
        && first == COUNTED
    {
        return hit(name, hits.parse()?);
    }
    let [few, many] = if is_quick()? { QUICK } else { FULL };
    if !has_valgrind() {
        println!(
            "cannot count instructions: valgrind is missing; install it with \"tests/setup/valgrind\" from the \
             project's folder, or with \"apt-get install valgrind\""
        );
        return Ok(());
    }
    println!("instructions a hit, {KEYS} keys, 1 thread");
    for (name, most) in SUBJECTS {
        let counted = (count(name, many)? - count(name, few)?) / (many - few) as f64;
        println!("{name:32}{counted:>8.0}{}", most.map_or(String::new(), |most| verdict(counted, most)));
    }
    Ok(())
}

/// Fills the cache called `name` and requests `hits` hits from it.
fn hit(name: &str, hits: usize) -> Result<(), Failure> {
    let mut all: Vec<Subject> = linked()?;
    all.extend(versus::rivals());
    all.push(versus::std_map());
    all.push(Subject::of_tasks(OURS_ASYNC, ours_async()?));
    all.extend(versus::async_rivals());
    let subject = all.into_iter().find(|subject| subject.name == name);
    let subject = subject.ok_or_else(|| format!("unknown cache {name:?}"))?;
    let workload = Workload::in_turn(KEYS, hits);
    subject.fill(&workload.keys);
    subject.hit(&workload.keys, &workload.orders[0]);
    Ok(())
}

fn has_valgrind() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Returns how many instructions this program takes to fill the cache called `name` and to request `hits` hits from it.
fn count(name: &str, hits: usize) -> Result<f64, Failure> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([COUNTED, name, &hits.to_string()])
        .output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind failed: {}\n{report}", output.status).into());
    }
    let counted = report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    counted.ok_or_else(|| format!("valgrind reported no count:\n{report}").into())
}
