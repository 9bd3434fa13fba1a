//! Opens the regions, all at once, and asks each for a key.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, Configuration, RegionConfig};
use serde::Serialize;

use crate::error::{CommandError, causes};
use crate::page::{Colour, Page, shortened};
use crate::times;

/// The key that is asked for; nothing is stored under it.
const KEY: &str = "dogpile-check";

/// A region that was opened, or why it was not.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Opened {
    pub(super) region: String,
    pub(super) backend: String,
    /// How long opening took, in milliseconds.
    pub(super) open_ms: Option<f64>,
    /// How long a read took, in milliseconds.
    pub(super) ping_ms: Option<f64>,
    /// Why it does not work, and the causes.
    pub(super) problem: Vec<String>,
}

impl Opened {
    /// Its line in a table.
    pub(super) fn cells(&self, page: &Page) -> Vec<String> {
        let time = |ms: Option<f64>| match ms {
            Some(ms) => times::short(Duration::from_secs_f64(ms / 1e3)),
            None => "-".to_owned(),
        };
        let state = match self.problem.is_empty() {
            true => page.paint(Colour::Green, "ok"),
            false => page.paint(Colour::Red, "fails"),
        };
        let (region, backend) = (shortened(&self.region, 20), shortened(&self.backend, 30));
        vec![region, backend, time(self.open_ms), time(self.ping_ms), state]
    }
}

/// Opens each region on a thread of its own. One that does not answer within `limit` is told, and left behind.
pub(super) fn open_all(regions: Vec<(String, String, Configuration)>, limit: Duration) -> Vec<Opened> {
    let deadline = Instant::now() + limit;
    let asked: Vec<_> = regions
        .into_iter()
        .map(|(region, backend, configuration)| {
            let opened = Opened { region, backend, open_ms: None, ping_ms: None, problem: Vec::new() };
            let (answer, answered) = mpsc::channel();
            let started = opened.clone();
            thread::spawn(move || {
                // Nobody listens any more if it took too long.
                let _ = answer.send(open(started, &configuration));
            });
            (opened, answered)
        })
        .collect();
    let answer = |(mut opened, answered): (Opened, mpsc::Receiver<Opened>)| {
        answered.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_or_else(|_| {
            opened.problem.push(format!("it did not answer within {} seconds", limit.as_secs()));
            opened
        })
    };
    asked.into_iter().map(answer).collect()
}

fn open(mut opened: Opened, configuration: &Configuration) -> Opened {
    if let Err(error) = try_open(&mut opened, configuration) {
        opened.problem = causes(&error);
    }
    opened
}

fn try_open(opened: &mut Opened, configuration: &Configuration) -> Result<(), CommandError> {
    let region = CacheRegion::with_defaults(&opened.region, RegionConfig::default());
    let began = Instant::now();
    configuration.configure(&region)?;
    opened.open_ms = Some(began.elapsed().as_secs_f64() * 1e3);
    let began = Instant::now();
    region.backend()?.get(&region.mangled_key(KEY)?)?;
    opened.ping_ms = Some(began.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
