//! `dogpile stampede REGION`, and `dogpile stampede --outage`.

mod crowd;
mod outage;
pub(crate) mod process;
mod timeline;

use dogpile::CacheRegion;
use dogpile::sdk::{CreationTime, Metadata, StoreOptions};
use serde::Serialize;

use self::process::{Made, Noted};
use self::timeline::{Role, Row};
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::{Region, Stampede};
use crate::error::CommandError;
use crate::page::{Color, Page};
use crate::workplace;

/// What happened.
#[derive(Serialize)]
struct Happened {
    region: String,
    processes: u64,
    threads: u64,
    /// Of all threads, by what became of them.
    created: usize,
    waited: usize,
    got_old_value: usize,
    hit: usize,
    failed: usize,
    /// The time from the start of the first call to the end of the last one.
    length_us: u64,
    /// The time from the end of the last creator to the end of the last call.
    after_creation_us: Option<u64>,
    rows: Vec<Row>,
}

/// Lets many processes request a new key at once, and removes it afterwards. Or simulates a service.
pub(super) fn run(asked: &Stampede, json: bool) -> Answered {
    match asked.region() {
        Some(region) => processes(asked, &region),
        None => outage::run(&asked.simulation, !json),
    }
}

fn processes(asked: &Stampede, named: &Region) -> Answered {
    workplace::check_writable(asked.svg.as_deref())?;
    let region = workplace::open(named)?;
    let key = format!("dogpile-stampede-{}", std::process::id());
    if asked.stale {
        store_stale(&region, &key)?;
    }
    let heard = crowd::run(asked, named, &key);
    region.delete(&key)?;
    let happened = Happened::of(asked, &named.region, &heard?);
    if let Some(path) = &asked.svg {
        let drawing =
            timeline::drawing(&happened.region, &happened.summary(), &happened.rows, happened.length_us);
        workplace::write(path, drawing)?;
    }
    Ok(Box::new(happened))
}

/// Stores a value that was made when the Unix epoch began.
fn store_stale(region: &CacheRegion, key: &str) -> Result<(), CommandError> {
    region.set(key, Made { by: None })?;
    let (backend, mangled) = (region.backend()?, region.mangled_key(key)?);
    let stored = backend.get(&mangled)?;
    let mut stored = stored.ok_or_else(|| CommandError::other("the backend did not keep the stale value"))?;
    stored.metadata = Metadata::new(CreationTime::from_seconds(1.0));
    Ok(backend.set(&mangled, stored, &StoreOptions::new())?)
}

impl Happened {
    fn of(asked: &Stampede, region: &str, noted: &[Vec<Noted>]) -> Self {
        let all = || noted.iter().flatten();
        let first = all().map(|noted| noted.asked).min().unwrap_or(0);
        let rows: Vec<Row> = (0..)
            .zip(noted)
            .flat_map(|(process, threads)| threads.iter().map(move |noted| (process, noted)))
            .map(|(process, one)| row(process, one, noted, first))
            .collect();
        let count = |role| rows.iter().filter(|row| row.role == role).count();
        let last = rows.iter().map(|row| row.returned_us).max().unwrap_or(0);
        let made = rows.iter().filter_map(|row| row.created_us).map(|(_, to)| to).max();
        Happened {
            region: region.to_owned(),
            processes: asked.processes,
            threads: asked.threads,
            created: count(Role::Created),
            waited: count(Role::Waited),
            got_old_value: count(Role::GotOldValue),
            hit: count(Role::Hit),
            failed: count(Role::Failed),
            length_us: last,
            after_creation_us: made.map(|made| last.saturating_sub(made)),
            rows,
        }
    }

    fn summary(&self) -> String {
        let counts = [
            (self.created, "created"),
            (self.waited, "waited"),
            (self.got_old_value, "got the old value"),
            (self.hit, "found the new one"),
            (self.failed, "failed"),
        ];
        let told =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let threads = self.processes * self.threads;
        format!("{threads} threads of {} processes: {}", self.processes, told.collect::<Vec<_>>().join(", "))
    }
}

fn row(process: u64, one: &Noted, all: &[Vec<Noted>], first: u64) -> Row {
    let since = |at: u64| at.saturating_sub(first);
    Row {
        process,
        thread: one.thread,
        role: role(one, all),
        asked_us: since(one.asked),
        returned_us: since(one.returned),
        created_us: one.created.map(|(from, to)| (since(from), since(to))),
        error: one.error.clone(),
    }
}

/// What became of the thread that noted `one`.
fn role(one: &Noted, all: &[Vec<Noted>]) -> Role {
    match &one.value {
        None => Role::Failed,
        Some(_) if one.created.is_some() => Role::Created,
        Some(Made { by: None }) => Role::GotOldValue,
        Some(Made { by: Some((process, thread)) }) => {
            let maker = all.get(*process as usize).and_then(|noted| noted.get(*thread as usize));
            let made = maker.and_then(|maker| maker.created);
            if made.is_some_and(|(_, to)| one.asked > to) { Role::Hit } else { Role::Waited }
        }
    }
}

impl Answer for Happened {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        let region = page.paint(Color::Bold, &format!("{:?}", self.region));
        page.line(format!("stampede on one key of region {region}"));
        page.line("");
        timeline::show(page, &self.rows, self.length_us);
        page.line("");
        page.wrapped("", "  ", &self.summary());
        if let Some(after) = self.after_creation_us {
            page.line(format!(
                "the last thread got its value {:.1} ms after the creation",
                after as f64 / 1e3
            ));
        }
        if self.created > 1 && self.got_old_value == 0 {
            let told = "more than one created: the region has no lock across processes, or the store keeps nothing \
                        between them";
            let mark = page.paint(Color::Yellow, "note");
            page.wrapped(&format!("{mark}: "), "  ", told);
        }
        if let Some(error) = self.rows.iter().find_map(|row| row.error.as_ref()) {
            let mark = page.paint(Color::Red, "the first failure");
            page.wrapped(&format!("{mark}: "), "  ", error);
        }
    }

    fn is_good(&self) -> bool {
        self.failed == 0
    }
}
