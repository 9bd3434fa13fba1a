//! Opens the regions, all at once, and reads a key of each.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::serializer::name_of;
use dogpile::{CacheRegion, Configuration, RegionConfig};
use serde::Serialize;
use toml::Table;

use super::super::peek;
use crate::error::{CommandError, causes};
use crate::page::{Color, Page, shortened};
use crate::servers::{Findings, Servers};
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
    /// Where it keeps values, if other regions can use the same store.
    #[serde(skip)]
    pub(super) stored: Option<Stored>,
}

/// Where a region keeps values. Regions in which all of it is equal share their keys.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// The store, such as `redis://localhost:6379/0`.
    pub(super) scope: String,
    /// The key in the store, for one key of the application.
    pub(super) key: String,
    pub(super) serializer: Option<String>,
}

impl Opened {
    /// Returns its row of a table.
    pub(super) fn cells(&self, page: &Page) -> Vec<String> {
        let time = |ms: Option<f64>| match ms {
            Some(ms) => times::short(Duration::from_secs_f64(ms / 1e3)),
            None => "-".to_owned(),
        };
        let state = match self.problem.is_empty() {
            true => page.paint(Color::Green, "ok"),
            false => page.paint(Color::Red, "fails"),
        };
        let (region, backend) = (shortened(&self.region, 20), shortened(&self.backend, 30));
        vec![region, backend, time(self.open_ms), time(self.ping_ms), state]
    }
}

/// A region whose settings are valid.
pub(super) struct Valid {
    pub(super) region: String,
    pub(super) backend: String,
    pub(super) arguments: Table,
    pub(super) configuration: Configuration,
}

/// What is done with each region.
#[derive(Clone, Copy)]
pub(super) struct Visit<'a> {
    /// The keys whose values are checked.
    pub(super) peek: &'a [String],
    /// The time after which a region is given up.
    pub(super) limit: Duration,
}

/// Opens each region on a thread of its own. A region that takes too long is reported, and left behind.
pub(super) fn open_all(regions: Vec<Valid>, visit: Visit<'_>) -> Vec<Opened> {
    let deadline = Instant::now() + visit.limit;
    let started: Vec<_> = regions
        .into_iter()
        .map(|valid| {
            let mut opened = valid.unopened();
            let (sender, receiver) = mpsc::channel();
            let (started, peek) = (opened.clone(), visit.peek.to_vec());
            let work = move || {
                // The receiver is gone if it took too long.
                let _ = sender.send(open(started, &valid, &peek, deadline));
            };
            if let Err(error) = thread::Builder::new().spawn(work) {
                opened.problem.push(format!("cannot start a thread that opens the region: {error}"));
            }
            (opened, receiver)
        })
        .collect();
    let finish = |(mut opened, receiver): (Opened, mpsc::Receiver<Opened>)| {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(opened) => return opened,
            Err(RecvTimeoutError::Timeout) => {
                let seconds = visit.limit.as_secs();
                opened.problem.push(format!("the region did not reply within {seconds} seconds"));
            }
            Err(RecvTimeoutError::Disconnected) if opened.problem.is_empty() => {
                opened.problem.push("opening the region panicked; see the message above".to_owned());
            }
            Err(RecvTimeoutError::Disconnected) => {}
        }
        opened
    };
    started.into_iter().map(finish).collect()
}

impl Valid {
    fn unopened(&self) -> Opened {
        let (region, backend) = (self.region.clone(), self.backend.clone());
        Opened { region, backend, open_ms: None, ping_ms: None, problem: Vec::new(), stored: None }
    }
}

fn open(mut opened: Opened, valid: &Valid, peek: &[String], deadline: Instant) -> Opened {
    let region = CacheRegion::with_defaults(&opened.region, RegionConfig::default());
    let worked = try_open(&mut opened, &region, &valid.configuration, peek);
    let found = query(&region, valid, deadline);
    // A server of the wrong kind explains the other errors.
    opened.problem.extend(found.wrong);
    match worked {
        Err(error) => opened.problem.extend(causes(&error)),
        Ok(()) => opened.problem.extend(found.unreachable),
    }
    opened
}

/// Queries the servers of `region` directly, if it could be configured and has servers.
fn query(region: &CacheRegion, valid: &Valid, deadline: Instant) -> Findings {
    let scope = region.actual_backend().ok().and_then(|backend| backend.capabilities().scope);
    let servers = scope.and_then(|scope| Servers::of(&scope, &valid.arguments));
    servers.map(|servers| servers.query(&valid.backend, deadline)).unwrap_or_default()
}

fn try_open(
    opened: &mut Opened,
    region: &CacheRegion,
    configuration: &Configuration,
    peek: &[String],
) -> Result<(), CommandError> {
    let began = Instant::now();
    configuration.configure(region)?;
    opened.open_ms = Some(began.elapsed().as_secs_f64() * 1e3);
    opened.stored = stored(region)?;
    let began = Instant::now();
    let backend = region.backend()?;
    backend.get(&region.mangled_key(KEY)?)?;
    opened.ping_ms = Some(began.elapsed().as_secs_f64() * 1e3);
    backend.health()?;
    for key in peek {
        opened.problem.extend(foreign_value(region, key)?);
    }
    Ok(())
}

/// Returns where `region` keeps values, if the store has a name.
fn stored(region: &CacheRegion) -> Result<Option<Stored>, CommandError> {
    let scope = region.actual_backend()?.capabilities().scope;
    let key = region.backend()?.store_key(&region.mangled_key(KEY)?).into_owned();
    let serializer = region.serializer()?.and_then(|serializer| name_of(&serializer));
    Ok(scope.map(|scope| Stored { scope, key, serializer }))
}

/// Returns the problem with the value of `key`, if another serializer wrote it.
fn foreign_value(region: &CacheRegion, key: &str) -> Result<Option<String>, CommandError> {
    let found = region.backend()?.get(&region.mangled_key(key)?)?;
    let (Some(found), Some(serializer)) = (found, region.serializer()?) else { return Ok(None) };
    let own = name_of(&serializer).unwrap_or_else(|| format!("{serializer:?}"));
    let format = peek::foreign_format(&found, &*serializer);
    Ok(format.map(|format| format!("key {key:?}: {}", peek::advice(format, &own))))
}
