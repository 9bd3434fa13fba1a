//! Imports between files run in one direction, and the engine performs no I/O.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "structure/cycles.rs"]
mod cycles;
#[path = "structure/modules.rs"]
mod modules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use self::cycles::Imports;
use self::modules::Modules;

/// The folders without import cycles: a source folder of the workspace, and a folder in it with its parent file. The empty
/// folder is the whole crate.
const ACYCLIC: &[(&str, &str)] = &[
    ("host/src", ""),
    ("host/cli/src", ""),
    ("host/macros/src", ""),
    ("sdk/src", ""),
    ("sdk/abi/src", ""),
    ("sdk/conformance/src", ""),
    ("plugins/dbm/src", ""),
    ("plugins/memcached/src", ""),
    ("plugins/memory/src", ""),
    ("plugins/minijinja/src", ""),
    ("plugins/net/src", ""),
    ("plugins/redis/src", ""),
    ("tests/src", ""),
    ("benches/src", ""),
];

/// Cycles that are still there: a source folder, and the files. Remove an entry when its cycle is gone; add none.
const KNOWN_CYCLES: &[(&str, &[&str])] = &[];

/// The folder whose files decide and leave it to a driver to act, in `host/src`.
const PURE: &str = "engine/";

/// Parts of the names of files in [`PURE`] that act: they park threads, wake tasks, and read clocks.
const DRIVERS: &[&str] = &["asynchronous", "blocking", "driver"];

/// What no file of [`PURE`] imports except drivers, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::thread", "a decision neither starts nor parks threads; a driver does"),
    ("std::io", "a decision performs no I/O; a port does"),
    ("std::net", "a decision performs no I/O; a port does"),
    ("std::fs", "a decision performs no I/O; a port does"),
    ("std::process", "a decision starts no programs"),
    ("std::env", "a decision depends on its arguments only"),
    ("std::time::SystemTime", "a port supplies the time, so that tests can set it"),
    ("std::time::Instant::now", "a port supplies the time, so that tests can set it"),
    ("std::sync::Condvar", "a decision never blocks; a driver does"),
    ("std::sync::Barrier", "a decision never blocks; a driver does"),
    ("std::sync::mpsc", "a decision never blocks; a driver does"),
    ("parking_lot::Condvar", "a decision never blocks; a driver does"),
    ("tokio", "the engine works with any executor, and without one"),
    ("crate::clock", "a port supplies the time, so that tests can set it"),
    ("crate::region", "a region uses the engine, not the other way around"),
    ("crate::registry", "a region uses the engine, and knows how backends are found"),
    ("crate::runner", "a port hands creations over, so that the engine knows no threads"),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns what is wrong with the imports of the pure files of `modules`.
fn forbidden_imports(modules: &Modules) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for (path, module) in &modules.0 {
        if !module.file.starts_with(PURE) || DRIVERS.iter().any(|driver| module.file.contains(driver)) {
            continue;
        }
        for named in module.paths.iter().chain(module.exports.values()) {
            let written = modules.absolute(path, named).join("::");
            let meant = modules.resolve(path, named).path.join("::");
            let reason = reason_against(&meant).or_else(|| reason_against(&written));
            wrong.extend(reason.map(|reason| format!("{}: {}: {reason}", module.file, named.join("::"))));
        }
    }
    wrong.into_iter().collect()
}

/// Returns why a file of [`PURE`] does not import `path`, if it is forbidden.
fn reason_against(path: &str) -> Option<&'static str> {
    let within =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"));
    FORBIDDEN
        .iter()
        .find(|(forbidden, _)| path == *forbidden || within(path, forbidden))
        .map(|(_, reason)| *reason)
}

/// Imports between the files of a folder have no cycle: each file can be read before the ones that import it.
#[test]
fn imports_within_a_folder_have_no_cycle() {
    let mut wrong = Vec::new();
    let mut gone: BTreeSet<_> = KNOWN_CYCLES.iter().collect();
    for (source, folder) in ACYCLIC {
        for cycle in Imports::of(&Modules::of_folder(&workspace().join(source))).cycles(folder) {
            let known = KNOWN_CYCLES.iter().find(|(of, files)| of == source && cycle.files.iter().eq(*files));
            match known {
                Some(known) => gone.remove(known),
                None => {
                    wrong.push(format!("{source}: {cycle}"));
                    false
                }
            };
        }
    }
    assert!(wrong.is_empty(), "import cycles: {wrong:#?}");
    assert!(gone.is_empty(), "these cycles are gone; remove them from KNOWN_CYCLES: {gone:?}");
}

#[test]
fn engine_imports_nothing_that_acts() {
    let wrong = forbidden_imports(&Modules::of_folder(&workspace().join("host/src")));
    assert!(wrong.is_empty(), "imports that the engine leaves to its drivers: {wrong:#?}");
}

/// Prints the import cycles of every crate: the folders that may be added to [`ACYCLIC`] are those without any.
#[test]
#[ignore = "prints a report: run it with --ignored --nocapture"]
fn import_cycles_of_all_crates_are_printed() {
    let folders = ["host", "host/cli", "host/macros", "sdk", "sdk/abi", "sdk/conformance", "plugins/dbm"];
    let more =
        ["plugins/memcached", "plugins/memory", "plugins/minijinja", "plugins/net", "plugins/redis", "tests"];
    for folder in folders.iter().chain(&more) {
        let source = workspace().join(folder).join("src");
        for cycle in Imports::of(&Modules::of_folder(&source)).cycles("") {
            println!("{folder}: {cycle}");
        }
    }
}

fn modules(files: &[(&str, &str)]) -> Modules {
    let files: Vec<_> = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    Modules::of_files(&files)
}

/// Returns the cycles within folder `a` of `files`.
fn cycles(files: &[(&str, &str)]) -> Vec<String> {
    Imports::of(&modules(files)).cycles("a").iter().map(ToString::to_string).collect()
}

#[test]
fn planted_cycle_between_siblings_is_printed() {
    let one = ("a/one.rs", "use super::two::Two; pub struct One(Two);");
    let two = ("a/two.rs", "pub struct Two(Box<super::one::One>);");
    let expected = "a/one.rs -[super::two::Two]-> a/two.rs -[super::one::One]-> a/one.rs";
    assert_eq!(cycles(&[("lib.rs", "mod a;"), ("a.rs", "mod one; mod two;"), one, two]), [expected]);
}

#[test]
fn planted_cycle_through_a_third_file_is_printed() {
    let files = [
        ("a/one.rs", "use crate::a::{two::{self as second, Two}, Other};"),
        ("a/two.rs", "fn two() { println!(\"{}\", super::three::three()); }"),
        ("a/three.rs", "use super::*; use self::inner::One; mod inner { pub use super::super::one::One; }"),
    ];
    let printed = cycles(&[&[("a.rs", "pub use self::one::One;")][..], &files].concat());
    assert_eq!(printed.len(), 1, "{printed:?}");
    assert!(files.iter().all(|(file, _)| printed[0].contains(file)), "{printed:?}");
}

#[test]
fn cycle_of_modules_for_tests_is_not_printed() {
    let one = ("a/one.rs", "use super::Parent; pub struct One;");
    let of = |parent| cycles(&[("a.rs", parent), one]).len();
    assert_eq!(of("#[cfg(all(test, not(loom)))] mod one; struct Parent(self::one::One);"), 0);
    assert_eq!(of("mod one; struct Parent(self::one::One);"), 1);
}

/// An item that the parent defines makes a cycle with a child that the parent uses.
#[test]
fn planted_cycle_with_the_parent_is_printed() {
    let child = ("a/one.rs", "use super::Parent; pub struct One;");
    for parent in [
        "mod one; use self::one::One; struct Parent(One);",
        "mod one; pub use self::one::One; struct Parent(One);",
        "mod one; use one::One; struct Parent(One);",
        "mod one; struct Parent(self::one::One);",
    ] {
        assert_eq!(cycles(&[("a.rs", parent), child]).len(), 1, "{parent}");
    }
}

#[test]
fn parent_that_only_exports_its_children_is_not_a_cycle() {
    let child = ("a/one.rs", "use super::{Parent, Two}; use super::two::sub::Deep;");
    let parent = "mod one; mod two; pub use self::{one::One, two::Two}; pub struct Parent;";
    assert_eq!(cycles(&[("a.rs", parent), child, ("a/two.rs", "pub struct Two;")]), [""; 0]);
}

#[test]
fn import_by_the_parents_export_leads_to_the_defining_file() {
    let one = ("a/one.rs", "use super::Two;");
    let two = ("a/two.rs", "use crate::One; pub struct Two;");
    let lib = ("lib.rs", "pub use crate::a::*;");
    assert_eq!(cycles(&[lib, ("a.rs", "pub use one::*; pub use two::Two;"), one, two]), [""; 0]);
    let one = ("a/one.rs", "use super::Two; pub struct One;");
    assert_eq!(cycles(&[lib, ("a.rs", "pub use one::*; pub use two::Two;"), one, two]).len(), 1);
}

#[test]
fn imports_of_tests_are_not_counted() {
    let one = ("a/one.rs", "#[cfg(test)] mod tests { use super::super::two::Two; } pub struct One;");
    let two = ("a/two.rs", "use super::one::One; #[cfg(all(test, loom))] use super::one::One;");
    assert_eq!(cycles(&[("a.rs", "mod one; mod two;"), one, two]), [""; 0]);
    let words = ("a/one.rs", "fn f<'two>(one: T) -> impl I + use<'two> { one.two.f(\"super::two::Two\") }");
    assert_eq!(cycles(&[("a.rs", "mod one; mod two;"), words, two]), [""; 0]);
}

/// Returns what is wrong with an engine of one file.
fn wrong_in(file: &str, text: &str) -> Vec<String> {
    let crate_root = "mod engine; mod region; pub use region::CacheRegion;";
    let region = "pub use crate::expiration::Expiration; pub struct CacheRegion;";
    let rest = [("lib.rs", crate_root), ("region.rs", region), ("expiration.rs", "pub struct Expiration;")];
    forbidden_imports(&modules(&[&rest[..], &[("engine.rs", "mod flow;"), (file, text)]].concat()))
}

#[test]
fn planted_forbidden_import_is_reported_with_its_reason() {
    let expected =
        "engine/flow.rs: std::thread::sleep: a decision neither starts nor parks threads; a driver does";
    assert_eq!(wrong_in("engine/flow.rs", "use std::{sync::Arc, thread::sleep};"), [expected]);
    for text in [
        "use std::time; fn f() { time::Instant::now(); }",
        "use std::time::Instant as At; fn f() { dbg!(At::now()); }",
        "fn f() { ::std::fs::read(\"x\"); }",
        "use std as s; fn f() -> s::net::IpAddr { todo!() }",
        "pub(crate) use std::io;",
        "#[tokio::test] async fn f() {}",
        "use std::thread::*;",
        "use crate::CacheRegion;",
        "use crate::region::Expiration;",
        "use super::super::region as r;",
    ] {
        assert_eq!(wrong_in("engine/flow.rs", text).len(), 1, "{text}");
    }
}

#[test]
fn allowed_imports_and_drivers_are_not_reported() {
    let allowed = "use std::time::{Duration, Instant}; use parking_lot::Mutex; use crate::expiration::Expiration; \
                   use std::task::Waker; mod threads {} fn f(at: Instant) { region::f(); }";
    assert_eq!(wrong_in("engine/flow.rs", allowed), [""; 0]);
    assert_eq!(wrong_in("engine/flow.rs", "#[cfg(test)] mod tests { use std::thread; }"), [""; 0]);
    assert_eq!(wrong_in("engine/blocking.rs", "use std::thread;"), [""; 0]);
    assert_eq!(wrong_in("engine/driver/park.rs", "use std::thread;"), [""; 0]);
}
