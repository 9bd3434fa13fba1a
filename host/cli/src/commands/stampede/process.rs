//! One process of a stampede: its threads request a key and record the results.

use std::io::{BufRead, Write, stdin, stdout};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dogpile::CacheRegion;
use serde::{Deserialize, Serialize};

use crate::answer::{Answered, to_json};
use crate::arguments::StampedeProcess;
use crate::commands::man::Written;
use crate::error::{CommandError, causes};
use crate::workplace;

/// The age up to which a value is fresh. The stale value of a stampede is older.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// The stored value: its maker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    /// The process and the thread, or none for the value from before.
    pub(super) by: Option<(u64, u64)>,
}

/// The record of a thread. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Noted {
    pub(super) thread: u64,
    pub(super) asked: u64,
    pub(super) returned: u64,
    /// The times at which its creator began and ended, if it created.
    pub(super) created: Option<(u64, u64)>,
    /// The value that it got.
    pub(super) value: Option<Made>,
    pub(super) error: Option<String>,
}

/// Prints that it is ready, waits for a line, lets the threads request the key, and prints their records.
pub(crate) fn run(asked: &StampedeProcess) -> Answered {
    let region = workplace::open(&asked.key.region)?;
    say("ready")?;
    let mut line = String::new();
    let heard = stdin().lock().read_line(&mut line);
    if !heard.is_ok_and(|count| count > 0) {
        return Err(CommandError::other("a process of a stampede is started by `dogpile stampede`"));
    }
    let start = Barrier::new(asked.threads as usize);
    let (start, region) = (&start, &region);
    let noted: Vec<Noted> = thread::scope(|scope| {
        let begin = |thread| scope.spawn(move || ask(region, start, asked, thread));
        let threads: Vec<_> = (0..asked.threads).map(begin).collect();
        // A panic of a linked backend is a panic of this process.
        let join = |thread: thread::ScopedJoinHandle<'_, Noted>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    Ok(Box::new(Written(format!("{}\n", to_json(&noted)))))
}

fn ask(region: &CacheRegion, start: &Barrier, asked: &StampedeProcess, thread: u64) -> Noted {
    let mut created = None;
    start.wait();
    let began = now();
    let answer = region.options().expiration_time(FRESH).get_or_create(&asked.key.key, || {
        let began = now();
        thread::sleep(Duration::from_millis(asked.takes));
        created = Some((began, now()));
        Made { by: Some((asked.number, thread)) }
    });
    let returned = now();
    let (value, error) = match answer {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(causes(&error).join(": "))),
    };
    Noted { thread, asked: began, returned, created, value, error }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

fn say(line: &str) -> Result<(), CommandError> {
    let mut out = stdout().lock();
    let said = writeln!(out, "{line}").and_then(|()| out.flush());
    said.map_err(|error| CommandError::other(format!("the output of this process is closed: {error}")))
}
