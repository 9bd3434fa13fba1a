//! The tables of arguments in the READMEs of plugins agree with the documentation of the structs.

use std::collections::BTreeMap;

use crate::options::{is_in_files, split_default};
use crate::pages::Page;
use crate::source::members;

/// A README, and the structs whose fields are the arguments in its tables.
const READMES: [(&str, &[(&str, &str)]); 4] = [
    (
        "plugins/dbm/README.md",
        &[("plugins/dbm/src/config.rs", "DbmConfig"), ("plugins/dbm/src/config.rs", "LmdbConfig")],
    ),
    ("plugins/memcached/README.md", &[("plugins/memcached/src/config.rs", "MemcachedConfig")]),
    ("plugins/memory/README.md", &[("plugins/memory/src/config.rs", "MemoryConfig")]),
    ("plugins/redis/README.md", &[("plugins/redis/src/config.rs", "RedisConfig")]),
];

/// Defaults by the names of their arguments.
type Defaults = BTreeMap<String, String>;

/// Returns the cells of a line of a table.
fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{1}");
    inner.split('|').map(|cell| cell.trim().replace('\u{1}', "\\|")).collect()
}

/// Returns the arguments in the tables of `text` that have a column of defaults.
fn listed(text: &str) -> Defaults {
    let mut listed = Defaults::new();
    let mut is_table = false;
    for line in text.lines() {
        if !line.starts_with('|') {
            is_table = false;
        } else if cells(line).get(1).is_some_and(|head| head == "default") {
            is_table = true;
        } else if is_table && !line.starts_with("|-") {
            let cells = cells(line);
            let names: Vec<_> = cells[0].split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
            let defaults: Vec<_> = cells[1].split(", ").map(str::to_owned).collect();
            // One default of several arguments is that of each.
            let all =
                if names.len() == defaults.len() { defaults } else { vec![cells[1].clone(); names.len()] };
            listed.extend(names.into_iter().zip(all));
        }
    }
    listed
}

/// Returns the documented arguments of the structs.
fn documented(structs: &[(&str, &str)]) -> Defaults {
    let fields = structs.iter().flat_map(|(file, name)| members(file, &format!("pub struct {name} {{")));
    fields.filter(is_in_files).map(|field| (field.name.clone(), split_default(&field.docs).0)).collect()
}

/// Arguments whose default depends on the backend, which the READMEs state.
const DEPEND_ON_THE_BACKEND: [&str; 3] = ["sentinels", "startup_nodes", "thread_local_lock"];

/// Returns how the default in a README differs from the documented one.
///
/// A README may leave out what follows a comma, a semicolon, or a parenthesis.
fn difference(name: &str, listed: &str, documented: &str) -> Option<String> {
    let plain = |default: &str| default.replace('`', "").replace("dogpile.cache.", "");
    let rest = plain(documented).strip_prefix(&plain(listed)).map(str::to_owned);
    let same =
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([',', ';']) || rest.starts_with(" ("));
    let depends = documented.is_empty() && DEPEND_ON_THE_BACKEND.contains(&name);
    (!same && !depends)
        .then(|| format!("{name}: the README has the default {listed:?}, the struct {documented:?}"))
}

/// Returns how the tables of the README `text` differ from the structs.
fn differences(text: &str, documented: &Defaults) -> Vec<String> {
    let listed = listed(text);
    let unknown = listed.keys().filter(|name| !documented.contains_key(*name));
    let unknown = unknown.map(|name| format!("{name}: the structs have no such argument"));
    let wrong = documented.iter().filter_map(|(name, default)| match listed.get(name) {
        Some(listed) => difference(name, listed, default),
        // A row may describe arguments that belong to its own.
        None if text.contains(&format!("`{name}`")) => None,
        None => Some(format!("{name}: the README does not list it")),
    });
    wrong.chain(unknown).collect()
}

#[test]
fn arguments_of_the_readmes_are_those_of_the_structs() {
    for (readme, structs) in READMES {
        let differences = differences(&Page::read(readme).text, &documented(structs));
        assert!(differences.is_empty(), "{readme}:\n{}", differences.join("\n"));
    }
}

#[test]
fn each_difference_between_tables_and_structs_is_found() {
    let table =
        "| argument | default | meaning |\n|---|---|---|\n| `a`, `b` | 1, `x` | with `c` |\n| `e` | 5 | |\n";
    let defaults = [("a", "1, in seconds"), ("b", "y"), ("c", ""), ("d", "2"), ("e", "50")];
    let structs = defaults.map(|(name, default)| (name.to_owned(), default.to_owned())).into();
    let found = differences(
        &format!("{table}| `f` | 1 | |\n\n| event | behavior |\n|---|---|\n| `g` | 1 |\n"),
        &structs,
    );
    let expected = [
        "b: the README has the default \"`x`\", the struct \"y\"",
        "d: the README does not list it",
        "e: the README has the default \"5\", the struct \"50\"",
        "f: the structs have no such argument",
    ];
    assert_eq!(found, expected);
}
