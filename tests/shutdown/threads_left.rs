//! [`threads_left`]: the threads that have not ended.

use std::fs;
use std::time::{Duration, Instant};

/// The threads of smol that live as long as the process. They belong to no region.
const OF_SMOL: [&str; 3] = ["smol-", "async-io", "blocking-"];

/// Waits until all threads except the main one have ended, for at most `limit`. Returns the names of the others, which are
/// shortened to 15 bytes.
pub(crate) fn threads_left(limit: Duration) -> Vec<String> {
    let deadline = Instant::now() + limit;
    loop {
        let names = others();
        if names.is_empty() || Instant::now() >= deadline {
            return names;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn others() -> Vec<String> {
    let main = std::process::id().to_string();
    let tasks = fs::read_dir("/proc/self/task").expect("the kernel lists the threads of a process");
    let tasks = tasks.filter_map(Result::ok).filter(|task| task.file_name().to_str() != Some(&main));
    // A thread that has just ended has no name any more.
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    let names = names.map(|name| name.trim().to_owned());
    names.filter(|name| !OF_SMOL.iter().any(|own| name.starts_with(own))).collect()
}
