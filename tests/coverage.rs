//! Every behavior of dogpile.cache is shown by a test, or listed in `DIFFERENCES.md` or `LATER.md`.
//!
//! The documentation of a test names the behaviors that it shows, after [`MARK`]. So does a case of the conformance
//! suite, and the head of a file that runs the suite.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const MARK: &str = "Behavior:";

/// The places in the sources where behaviors are named.
#[derive(Debug, Default, PartialEq)]
struct Named {
    /// The behaviors that tests name, each with its place.
    shown: BTreeMap<String, String>,
    /// The behaviors that are named by something other than a test.
    astray: Vec<String>,
}

/// Returns the names in backquotes on a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Returns the behaviors that a block of documentation names, on marked lines and on lines that continue with names.
fn behaviors<'a>(docs: &[&'a str]) -> Vec<&'a str> {
    let mut within = false;
    let mut named = Vec::new();
    for line in docs.iter().map(|line| line.trim()) {
        within = line.starts_with(MARK) || (within && line.starts_with('`'));
        if within {
            named.extend(quoted(line));
        }
    }
    named
}

/// Returns whether a test or a case of the conformance suite follows a block of documentation.
fn is_test<'a>(mut code: impl Iterator<Item = &'a str>) -> bool {
    let attributed = |line: &str| line.starts_with("#[") || line.starts_with("//");
    let mut test = false;
    let item = code.find(|line| {
        test |= *line == "#[test]";
        !attributed(line)
    });
    test || item
        .is_some_and(|item| item.starts_with("pub fn ") && item.contains("(setup: &Setup) -> Outcome"))
}

impl Named {
    fn read(&mut self, path: &str, source: &str) {
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        let mut at = 0;
        while at < lines.len() {
            let docs = |mark: &str| -> Vec<&str> {
                lines[at..].iter().map_while(|line| line.strip_prefix(mark)).collect()
            };
            let (head, docs) = (docs("//!"), docs("///"));
            let block = if head.is_empty() { &docs } else { &head };
            let after = at + block.len();
            let shows = match head.is_empty() {
                true => is_test(lines[after..].iter().copied()),
                false => source.contains("dogpile_conformance::run("),
            };
            self.add(&behaviors(block), &format!("{path}:{}", at + 1), shows);
            at = after.max(at + 1);
        }
    }

    fn add(&mut self, behaviors: &[&str], place: &str, shows: bool) {
        for behavior in behaviors {
            if shows {
                self.shown.insert((*behavior).to_owned(), place.to_owned());
            } else {
                self.astray.push(format!("{behavior} at {place}"));
            }
        }
    }
}

/// Adds all Rust sources under `folder`, except what cargo built.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn here(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Returns the behaviors that a list names, one at the head of each item.
fn listed(file: &str) -> BTreeSet<String> {
    let text = here(file);
    let items = text.lines().filter(|line| line.starts_with("- `"));
    items.filter_map(|item| quoted(item).next().map(str::to_owned)).collect()
}

/// Returns the behaviors of dogpile.cache.
fn all() -> BTreeSet<String> {
    let table = here("behaviors.tsv");
    let ids: Vec<&str> = table.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    let unique: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    assert_eq!(ids.len(), unique.len(), "the table contains a behavior twice");
    unique
}

fn in_the_sources() -> Named {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut paths, mut named) = (Vec::new(), Named::default());
    sources(root, &mut paths);
    for path in paths {
        let shown = path.strip_prefix(root).unwrap().display().to_string();
        named.read(&shown, &fs::read_to_string(&path).unwrap());
    }
    named
}

#[test]
fn every_behavior_is_tested_or_listed() {
    let (shown, differences, later) = (in_the_sources().shown, listed("DIFFERENCES.md"), listed("LATER.md"));
    let nowhere: Vec<String> = all()
        .into_iter()
        .filter(|id| !shown.contains_key(id) && !differences.contains(id) && !later.contains(id))
        .collect();
    assert!(nowhere.is_empty(), "neither a test nor a list names these: {nowhere:#?}");
}

#[test]
fn named_behaviors_exist_and_are_named_by_tests() {
    let (all, named) = (all(), in_the_sources());
    let unknown = |ids: BTreeSet<String>, place: &str| -> Vec<String> {
        ids.difference(&all).map(|id| format!("{id} in {place}")).collect()
    };
    let mut wrong = named.astray;
    wrong.extend(
        named.shown.iter().filter(|(id, _)| !all.contains(*id)).map(|(id, at)| format!("{id} at {at}")),
    );
    wrong.extend(unknown(listed("DIFFERENCES.md"), "DIFFERENCES.md"));
    wrong.extend(unknown(listed("LATER.md"), "LATER.md"));
    assert!(
        wrong.is_empty(),
        "unknown behaviors, or behaviors that something other than a test names: {wrong:#?}"
    );
}

#[test]
fn behaviors_left_for_later_are_not_tested() {
    let (shown, differences) = (in_the_sources().shown, listed("DIFFERENCES.md"));
    let done: Vec<String> = listed("LATER.md")
        .into_iter()
        .filter(|id| shown.contains_key(id) || differences.contains(id))
        .collect();
    assert!(done.is_empty(), "take these out of LATER.md: {done:#?}");
}

/// Returns the behaviors that a source names, each place without its file.
fn named_in(lines: &[&str]) -> Named {
    let mut named = Named::default();
    named.read("", &lines.join("\n"));
    named
}

#[test]
fn behavior_counts_only_if_a_test_names_it() {
    let tested =
        named_in(&["/// It works.", "///", "/// Behavior: `a`, `b`,", "/// `c`", "#[test]", "fn works() {"]);
    assert_eq!(tested.shown.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(tested.shown["a"], ":1");
    assert_eq!(named_in(&["/// Behavior: `a`", "fn works() {"]).astray, ["a at :1"]);
    assert_eq!(named_in(&["/// Behavior: `a`", "#[inline]", "pub fn works() {"]).astray, ["a at :1"]);
    assert_eq!(named_in(&["/// Behavior: `a`", "", "#[test]", "fn works() {"]).astray, ["a at :1"]);
    let case = "pub fn works(setup: &Setup) -> Outcome {";
    assert_eq!(named_in(&["/// Behavior: `a`", case]).shown.len(), 1);
    assert_eq!(named_in(&["//! Behavior: `a`"]).astray.len(), 1);
    let runner = named_in(&["//! Behavior: `a`", "", "dogpile_conformance::run(setups)"]);
    assert_eq!(runner.shown.len(), 1);
    assert_eq!(named_in(&["/// See `a`.", "#[test]", "fn works() {"]), Named::default());
}
