//! Converts the arguments of a backend to its own names.

use std::collections::BTreeMap;

use dogpile::sdk::{Arguments, BackendEntry, OSLO_CACHE};
use toml::{Table, Value};

use super::converted::Converted;
use super::ini::Entry;
use super::written::{key, typed};

/// Arguments that are numbers or booleans. Others are strings, because a password may consist of digits.
const TYPED: [&str; 14] = [
    "port",
    "db",
    "distributed_lock",
    "lock_timeout",
    "lock_sleep",
    "lock_blocking",
    "lock_blocking_timeout",
    "redis_expiration_time",
    "memcached_expire_time",
    "socket_timeout",
    "min_compress_len",
    "pool_size",
    "dead_retry",
    "max_entries",
];

/// An argument of an ini file, with its line.
type Given = BTreeMap<String, (String, usize)>;

/// Returns whether the entry `name` is an argument of the backend, or several.
pub(super) fn is_argument(name: &str) -> bool {
    name.starts_with("arguments.")
        || name == "backend_argument"
        || OSLO_CACHE.contains(&name)
        || ["username", "password"].contains(&name)
}

/// Adds the table of the arguments of `backend`, which is named in `line`.
pub(super) fn convert(
    converted: &mut Converted,
    region: &str,
    backend: &str,
    line: usize,
    entries: &[Entry],
) {
    let given = given(entries);
    if given.is_empty() {
        return;
    }
    let entry = BackendEntry::linked().find(|entry| entry.name == backend);
    let strings: BTreeMap<_, _> = given.iter().map(|(name, (value, _))| (name, value)).collect();
    let arguments = Arguments::from_serialize(strings).unwrap_or_default();
    let line_of = |name: &str| line_of(entry, &given, name).unwrap_or(line);
    let (own, ignored) =
        match entry.map_or(Ok((arguments.clone(), Vec::new())), |entry| (entry.translate)(arguments)) {
            Ok(translated) => translated,
            Err(error) => {
                converted.report(error.argument().map_or(line, line_of), Some(region), error.to_string());
                return;
            }
        };
    for name in ignored {
        let row = entry.and_then(|entry| entry.foreign.find(&name));
        let why = row.map_or("", |row| row.note);
        let why = if why.is_empty() { "another option turns it off" } else { why };
        converted.warn(line_of(&name), region, format!("{name:?} has no effect: {why}"));
    }
    let table: Table = serde_json::from_str(&own.to_json()).unwrap_or_default();
    if !table.is_empty() {
        converted.write(line, "");
        converted.write(line, &format!("[regions.{}.arguments]", key(region)));
    }
    for (name, value) in table {
        // Python passes the defaults to each backend, which ignores those of others.
        let is_unknown = entry.is_some_and(|entry| !(entry.arguments)().contains(&&*name));
        if is_unknown
            && entries.iter().any(|entry| entry.is_default && entry.name == format!("arguments.{name}"))
        {
            converted.warn(
                line_of(&name),
                region,
                format!("{name:?} has no meaning for {backend:?}; it is left out"),
            );
            continue;
        }
        let value = match value {
            Value::String(text) if TYPED.contains(&&*name) => typed(&text),
            value => value,
        };
        converted.write(line_of(&name), &format!("{} = {value}", key(&name)));
    }
}

/// Returns the arguments that are set, by their names in the ini file.
fn given(entries: &[Entry]) -> Given {
    let mut given = Given::new();
    for Entry { name, value, line, .. } in entries.iter().filter(|entry| entry.value != "None") {
        match name.strip_prefix("arguments.") {
            Some(name) => drop(given.insert(name.to_owned(), (value.clone(), *line))),
            None if name == "backend_argument" => {
                let pairs = value.lines().filter_map(|pair| pair.split_once(':'));
                let pairs = pairs.filter(|(_, value)| value.trim() != "None");
                given.extend(
                    pairs.map(|(name, value)| (name.trim().to_owned(), (value.trim().to_owned(), *line))),
                );
            }
            None if is_argument(name) => drop(given.insert(name.clone(), (value.clone(), *line))),
            None => {}
        }
    }
    given
}

/// Returns the line of the argument `name`, or of a foreign one that sets it.
fn line_of(entry: Option<&BackendEntry>, given: &Given, name: &str) -> Option<usize> {
    let sets = |theirs: &str| {
        let row = entry.and_then(|entry| entry.foreign.find(theirs));
        row.is_some_and(|row| row.paths.iter().any(|path| path.split('.').next() == Some(name)))
    };
    let own = given.get(name).map(|(_, line)| *line);
    own.or_else(|| given.iter().find(|(theirs, _)| sets(theirs)).map(|(_, (_, line))| *line))
}
