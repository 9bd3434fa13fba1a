//! Opens the regions, all at once, and reads a key of each.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dogpile::serializer::name_of;
use dogpile::{CacheRegion, Configuration, RegionConfig};
use serde::Serialize;

use super::super::peek;
use crate::error::{CommandError, causes};
use crate::page::{Colour, Page, shortened};
use crate::times;

/// The key that is read. No value is stored under it.
const KEY: &str = "dogpile-check";

/// A region that was opened, or the reason why it was not.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Opened {
    pub(super) region: String,
    pub(super) backend: String,
    /// How long opening took, in milliseconds.
    pub(super) open_ms: Option<f64>,
    /// How long a read took, in milliseconds.
    pub(super) ping_ms: Option<f64>,
    /// The reason why it does not work, and its causes.
    pub(super) problem: Vec<String>,
}

impl Opened {
    /// Returns its row of a table.
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

/// What is done with each region.
#[derive(Clone, Copy)]
pub(super) struct Visit<'a> {
    /// The keys whose values are looked at.
    pub(super) peek: &'a [String],
    /// The time after which a region is given up.
    pub(super) limit: Duration,
}

/// Opens each region on a thread of its own. A region that takes too long is reported, and left behind.
pub(super) fn open_all(regions: Vec<(String, String, Configuration)>, visit: Visit<'_>) -> Vec<Opened> {
    let deadline = Instant::now() + visit.limit;
    let started: Vec<_> = regions
        .into_iter()
        .map(|(region, backend, configuration)| {
            let opened = Opened { region, backend, open_ms: None, ping_ms: None, problem: Vec::new() };
            let (sender, receiver) = mpsc::channel();
            let (started, peek) = (opened.clone(), visit.peek.to_vec());
            thread::spawn(move || {
                // The receiver is gone if it took too long.
                let _ = sender.send(open(started, &configuration, &peek));
            });
            (opened, receiver)
        })
        .collect();
    let finish = |(mut opened, receiver): (Opened, mpsc::Receiver<Opened>)| {
        receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).unwrap_or_else(|_| {
            opened.problem.push(format!("it did not answer within {} seconds", visit.limit.as_secs()));
            opened
        })
    };
    started.into_iter().map(finish).collect()
}

fn open(mut opened: Opened, configuration: &Configuration, peek: &[String]) -> Opened {
    if let Err(error) = try_open(&mut opened, configuration, peek) {
        opened.problem = causes(&error);
    }
    opened
}

fn try_open(opened: &mut Opened, configuration: &Configuration, peek: &[String]) -> Result<(), CommandError> {
    let region = CacheRegion::with_defaults(&opened.region, RegionConfig::default());
    let began = Instant::now();
    configuration.configure(&region)?;
    opened.open_ms = Some(began.elapsed().as_secs_f64() * 1e3);
    let began = Instant::now();
    region.backend()?.get(&region.mangled_key(KEY)?)?;
    opened.ping_ms = Some(began.elapsed().as_secs_f64() * 1e3);
    for key in peek {
        opened.problem.extend(foreign_value(&region, key)?);
    }
    Ok(())
}

/// Returns the problem with the value of `key`, if another serializer wrote it.
fn foreign_value(region: &CacheRegion, key: &str) -> Result<Option<String>, CommandError> {
    let found = region.backend()?.get(&region.mangled_key(key)?)?;
    let (Some(found), Some(serializer)) = (found, region.serializer()?) else { return Ok(None) };
    let own = name_of(&serializer).unwrap_or_else(|| format!("{serializer:?}"));
    let format = peek::foreign_format(&found, &*serializer);
    Ok(format.map(|format| format!("key {key:?}: {}", peek::advice(format, &own))))
}
