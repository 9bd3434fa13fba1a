//! The protocol as a table of scenarios, each of which runs through both drivers.
//!
//! A scripted port stands for the backend and the creators, and time is manual. A script begins calls, waits until
//! each is at a point (at a gate, in its creator, …), and orders how it continues. So each scenario has one order of
//! events, whether its callers are threads or tasks. The orders that a script cannot force are tried by the loom
//! models.

mod background;
mod coverage;
mod creations;
mod failures;
mod mixed;
mod mixture;
mod play;
mod port;
mod several;
mod stages;
mod waits;
mod world;
mod writers;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::Arc;

use self::coverage::{Tag, assert_complete, declared};
use self::play::Play;
use self::world::{Key, Name, State};
use super::deadlock::is_waited_at;

/// A scenario.
struct Row {
    name: &'static str,
    /// The values that the scenario covers; see [`coverage`].
    covers: &'static [Tag],
    script: fn(&mut Play),
    ends: End,
}

/// How a scenario ends.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// What each caller got, and how often it read. Writers are not listed.
    callers: &'static [(Name, &'static str, usize)],
    /// For which keys creators were called, in order of the keys.
    created: &'static [Key],
    /// How many created values were stored.
    stores: usize,
    /// What is stored.
    stored: &'static [(Key, u32)],
    reports: &'static [&'static str],
}

fn rows() -> Vec<&'static Row> {
    let groups: [&'static [Row]; 8] = [
        creations::ROWS,
        writers::ROWS,
        waits::ROWS,
        failures::ROWS,
        background::ROWS,
        several::ROWS,
        mixed::ROWS,
        stages::ROWS,
    ];
    groups.into_iter().flatten().collect()
}

fn run(row: &Row, is_tasks: bool) {
    let mut play = Play::new(row.name, is_tasks);
    (row.script)(&mut play);
    let names: Vec<Name> = play.world.look(|state| state.callers.keys().copied().collect());
    names.into_iter().for_each(|name| play.at(name, world::Point::Done));
    play.world.look(|state| assert_end(row, state));
    let world = &play.world;
    assert_eq!(world.gates.len(), 0, "{}: a gate is left", world.region);
    assert!(!is_waited_at(&world.region), "{}: a wait is left", world.region);
    assert_eq!(Arc::strong_count(&world.gates), 1, "{}: a waiter or leader is left", world.region);
}

fn assert_end(row: &Row, state: &State) {
    let is_caller = |outcome: &str| outcome != "written";
    let callers: Vec<(Name, &str, usize)> = state
        .callers
        .iter()
        .map(|(name, caller)| (*name, caller.outcome.as_deref().unwrap_or("runs"), caller.reads))
        .filter(|(_, outcome, _)| is_caller(outcome))
        .collect();
    assert_eq!(callers, row.ends.callers, "{}: the callers", row.name);
    let mut created = state.created.clone();
    created.sort_unstable();
    assert_eq!(created, row.ends.created, "{}: the creations", row.name);
    assert_eq!(state.stores, row.ends.stores, "{}: the stores", row.name);
    let stored: Vec<(Key, u32)> = state.stored.iter().map(|(key, (value, _))| (*key, *value)).collect();
    assert_eq!(stored, row.ends.stored, "{}: what is stored", row.name);
    assert_eq!(state.reports, row.ends.reports, "{}: the reports", row.name);
    assert!(!state.held.values().any(|elsewhere| !elsewhere), "{}: a mutex is left", row.name);
    let unseen: Vec<Tag> = declared(row).filter(|tag| !state.seen.contains(tag)).collect();
    assert!(unseen.is_empty(), "{}: covers {unseen:?} only by its own account", row.name);
}

/// Runs all rows, so that a failure does not hide the next one.
fn run_all(is_tasks: bool) {
    let fails = |row: &&Row| catch_unwind(|| run(row, is_tasks)).is_err();
    let failed: Vec<&str> = rows().into_iter().filter(fails).map(|row| row.name).collect();
    assert!(failed.is_empty(), "failed: {failed:?}");
}

#[test]
fn each_scenario_with_threads_ends_as_listed() {
    run_all(false);
}

#[test]
fn each_scenario_with_tasks_ends_as_listed() {
    run_all(true);
}

#[test]
fn rows_together_cover_each_pair_of_values() {
    assert_complete(&rows());
}

#[test]
fn row_names_are_short_and_unique() {
    let rows = rows();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len());
    assert!(rows.len() >= 40, "{} rows", rows.len());
    assert!(names.iter().all(|name| name.len() <= 60), "{names:?}");
}
