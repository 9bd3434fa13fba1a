//! The targets of logs are constants, and the documentation lists them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dogpile::log_targets;

const GUIDE: &str = include_str!("../../../docs/observability.md");

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn guide_lists_all_targets_and_no_others() {
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `dogpile::")?.split('`').next());
    let listed: BTreeSet<String> = rows.map(|target| format!("dogpile::{target}")).collect();
    let constants: BTreeSet<String> = log_targets::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(listed, constants);
}

/// Without a target, a record has the path of its file, which changes.
#[test]
fn every_record_of_the_host_has_a_constant_target() {
    let mut files = Vec::new();
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut records = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for level in ["error", "warn", "info", "debug", "trace", "event", "enabled"] {
            for (at, found) in text.match_indices(&format!("tracing::{level}!(")) {
                let rest = text[at + found.len()..].trim_start();
                assert!(rest.starts_with("target: "), "{}: {}", file.display(), rest.lines().next().unwrap());
                records += 1;
            }
        }
    }
    assert!(records > 20, "only {records} records were found");
}
