//! What a region does when many threads need one value: `cargo run -p quickstart`.
//!
//! Four scenes show two pictures each. Everything is printed to standard output: with colors and bars on a terminal, and
//! as plain text elsewhere.

mod crowd;
mod database;
mod plain_cache;
mod timeline;

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice, println};
use dogpile::{CacheRegion, Configuration, ManualClock, Registry};

use crate::crowd::{THREADS, Visit, crowd};
use crate::database::{CONNECTIONS, QUERY};
use crate::plain_cache::PlainCache;
use crate::timeline::{Marks, Panel, side_by_side};

static LINKED: CacheRegion = CacheRegion::new("linked");
static LOADED: CacheRegion = CacheRegion::new("loaded");

const OLD_PRICE: u32 = 300;
const NEW_PRICE: u32 = 350;
/// More than the expiration time in `regions.toml`.
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let library = plugin_library()?;
    Registry::global().add_library(&library)?;

    // A clock of our own, so that the program does not have to wait two hours to see a value expire.
    let clock = Arc::new(ManualClock::at(1_700_000_000.0));
    let configuration = Configuration::from_toml(include_str!("../regions.toml"))?;
    for region in [&LINKED, &LOADED] {
        region.configure(configuration.region_config(region.name())?.clock(Arc::clone(&clock) as _))?;
    }

    let marks = Marks::new(AutoStream::choice(&std::io::stdout()) != ColorChoice::Never);
    introduce(marks);
    stampedes(&clock, marks)?;
    failures(&clock, marks)?;
    plugin(&clock, marks, &library)
}

fn introduce(marks: Marks) {
    println!(
        "{THREADS} threads request the price of tea at the same time. Prices come from a slow\n\
         database: a query takes {} ms, and {CONNECTIONS} queries run at a time.\n",
        QUERY.as_millis()
    );
    println!("   {}", marks.legend());
}

/// The same requests to a plain cache and to a region.
fn stampedes(clock: &ManualClock, marks: Marks) -> Result<()> {
    let plain = PlainCache::default();
    let without = |old| Panel {
        title: "without dogpile: a map under a lock",
        rows: crowd(|visit| Ok::<_, Infallible>(plain.get_or_create("tea", || visit.query(NEW_PRICE)))),
        old,
    };
    let with = |old| Panel {
        title: "with dogpile",
        rows: crowd(|visit| LINKED.get_or_create("tea", || visit.query(NEW_PRICE))),
        old,
    };

    scene("1. No price is cached.", "With dogpile, one thread creates it and the others wait for it.");
    show(&without(None), &with(None), marks);

    scene(
        "2. The cached price has expired.",
        "With dogpile, one thread creates a new one. The others get the old one at once.",
    );
    plain.expire("tea");
    LINKED.set("tea", OLD_PRICE)?;
    clock.advance(TWO_HOURS);
    show(&without(None), &with(Some(OLD_PRICE)), marks);
    Ok(())
}

/// A creator that panics, and a database that is down.
fn failures(clock: &ManualClock, marks: Marks) -> Result<()> {
    let panicked = AtomicBool::new(false);
    let create = |visit: &mut Visit<'_>| match panicked.swap(true, Relaxed) {
        false => visit.panicking_query(),
        true => visit.query(NEW_PRICE),
    };
    let panics = Panel {
        title: "no price is cached, a creator panics",
        rows: crowd(|visit| LINKED.get_or_create("coffee", || create(visit))),
        old: None,
    };

    LINKED.set("milk", OLD_PRICE)?;
    clock.advance(TWO_HOURS);
    let down = Panel {
        title: "expired, and the database is down",
        rows: crowd(|visit| LINKED.try_get_or_create("milk", || visit.failing_query())),
        old: Some(OLD_PRICE),
    };

    scene(
        "3. Creators fail.",
        "The key of a creator that dies is free at once: the next thread creates.\n\
         With \"fail_safe\" in regions.toml, old prices outlast an outage of the database.",
    );
    show(&panics, &down, marks);
    Ok(())
}

/// The same requests to a backend that was loaded.
fn plugin(clock: &ManualClock, marks: Marks, library: &Path) -> Result<()> {
    let request = || crowd(|visit| LOADED.get_or_create("tea", || visit.query(NEW_PRICE)));
    let missing = Panel { title: "no price is cached", rows: request(), old: None };
    LOADED.set("tea", OLD_PRICE)?;
    clock.advance(TWO_HOURS);
    let expired = Panel { title: "the cached price has expired", rows: request(), old: Some(OLD_PRICE) };

    let file = library.file_name().unwrap_or_default().to_string_lossy();
    scene(
        "4. The same calls, with a plugin.",
        &format!(
            "The backend \"acme.shelf\" is not part of this program. It was loaded from\nthe library {file}, which cargo has built."
        ),
    );
    show(&missing, &expired, marks);
    println!(
        "\nThe program is in examples/quickstart/src, and its configuration in\n\
         examples/quickstart/regions.toml. README.md describes what to do next."
    );
    Ok(())
}

fn scene(title: &str, text: &str) {
    let bold = anstyle::Style::new().bold();
    println!("\n{bold}{title}{bold:#}\n{text}\n");
}

fn show(left: &Panel, right: &Panel, marks: Marks) {
    side_by_side(left, right, marks).iter().for_each(|line| println!("{line}"));
}

/// Returns the path of the plugin library that cargo has built into `deps`, beside this program.
fn plugin_library() -> Result<PathBuf> {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let program = std::env::current_exe()?;
    let folder = program.parent().ok_or("this program is in no folder")?;
    Ok(folder.join("deps").join(format!("{DLL_PREFIX}acme_dogpile_dylib{DLL_SUFFIX}")))
}
