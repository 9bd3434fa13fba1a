//! Converts the entries of one region.

use dogpile::{OSLO_CACHE_BACKENDS, OSLO_CACHE_REGION, RegionConfig};
use toml::Value;

use super::arguments::{self, is_argument};
use super::converted::Converted;
use super::ini::Entry;
use super::names::{ours, why_meaningless};
use super::written::{key, typed};

/// The settings that are numbers or booleans in TOML.
const TYPED: [&str; 3] = ["expiration_time", "mangle_invalid_keys", "breaker.failures"];

/// The settings of a region that several entries determine.
#[derive(Default)]
struct Combined {
    is_disabled: bool,
    is_logging: bool,
    wrap: Vec<String>,
    proxies: Vec<String>,
    /// The line of the first entry that names a proxy.
    wrap_line: usize,
    has_cache_time: bool,
}

/// Adds the table of the region `name` to `converted`.
pub(super) fn convert(converted: &mut Converted, name: &str, entries: Vec<Entry>) {
    let first_line = entries.first().map_or(1, |entry| entry.line);
    let entries = with_our_names(converted, name, entries);
    let Some(entries) = valid(converted, name, entries) else { return };
    let combined = Combined::of(&entries);
    converted.write(first_line, &format!("[regions.{}]", key(name)));
    for entry in &entries {
        setting(converted, name, &combined, entry);
    }
    let wrap = combined.all_proxies();
    if !wrap.is_empty() {
        let list = Value::Array(wrap.into_iter().map(Value::String).collect());
        converted.write(combined.wrap_line, &format!("wrap = {list}"));
    }
    let backend = entries.iter().find(|entry| entry.name == "backend");
    if let Some(backend) = backend.filter(|_| !combined.is_disabled) {
        arguments::convert(converted, name, entry_point(&backend.value), backend.line, &entries);
    }
    converted.write(first_line, "");
}

/// Removes names that have no meaning here, and replaces functions of Python by our names.
fn with_our_names(converted: &mut Converted, region: &str, entries: Vec<Entry>) -> Vec<Entry> {
    let keep = |mut entry: Entry| {
        if let Some(why) = why_meaningless(&entry.name) {
            converted.warn(entry.line, region, format!("{:?} has no meaning here: {why}", entry.name));
            return None;
        }
        if let Some(ours) = ours(&entry.name, &entry.value) {
            let text = format!("{} = {:?} is read as {ours:?}, its name here", entry.name, entry.value);
            converted.warn(entry.line, region, text);
            ours.clone_into(&mut entry.value);
        }
        Some(entry)
    };
    entries.into_iter().filter_map(keep).collect()
}

/// Returns the entries that the library accepts, or `None` if it does not accept them without the others.
fn valid(converted: &mut Converted, region: &str, mut entries: Vec<Entry>) -> Option<Vec<Entry>> {
    let before = converted.problems.len();
    loop {
        let flat = entries.iter().map(|entry| (&entry.name, &entry.value));
        let Err(error) = RegionConfig::from_flat(flat, "") else { break };
        let Some(at) = entries.iter().rposition(|entry| entry.name == error.name()) else {
            let line = entries.first().map_or(1, |entry| entry.line);
            converted.report(line, Some(region), error.to_string());
            break;
        };
        let entry = entries.remove(at);
        if error.is_unknown_name() && error.similar_name().is_none() {
            converted.warn(
                entry.line,
                region,
                format!("{:?} has no meaning here; it is left out", entry.name),
            );
        } else {
            converted.report(entry.line, Some(region), error.to_string());
        }
    }
    (converted.problems.len() == before).then_some(entries)
}

impl Combined {
    fn of(entries: &[Entry]) -> Self {
        let mut combined = Combined::default();
        let is = |entry: &Entry, text: &str| entry.value.trim().eq_ignore_ascii_case(text);
        for entry in entries.iter().filter(|entry| entry.value != "None") {
            match &*entry.name {
                "enabled" | "caching" => combined.is_disabled |= is(entry, "false"),
                "debug_cache_backend" => combined.is_logging = is(entry, "true"),
                "wrap" => combined.wrap = names(&entry.value),
                "proxies" => combined.proxies = names(&entry.value),
                "cache_time" => combined.has_cache_time = true,
                _ => continue,
            }
            if combined.wrap_line == 0 && !matches!(&*entry.name, "enabled" | "caching" | "cache_time") {
                combined.wrap_line = entry.line;
            }
        }
        combined
    }

    /// Returns the proxies, the outermost first. oslo.cache has the innermost first, below those of `wrap`.
    fn all_proxies(&self) -> Vec<String> {
        let mut all = self.wrap.clone();
        all.extend(self.proxies.iter().rev().cloned());
        if self.is_logging {
            all.push("dogpile.proxy.logging".to_owned());
        }
        all
    }
}

/// Writes the setting of one entry, unless it is one of several that are written together.
fn setting(converted: &mut Converted, region: &str, combined: &Combined, entry: &Entry) {
    let Entry { name, value, line, .. } = entry;
    let meaning = OSLO_CACHE_REGION.iter().find(|(theirs, _)| theirs == name).map(|(_, meaning)| *meaning);
    match &**name {
        _ if value == "None" || is_argument(name) || name == "wrap" => {}
        "backend" => {
            let backend = if combined.is_disabled { "dogpile.cache.null" } else { entry_point(value) };
            converted.write(*line, &format!("backend = {}", Value::from(backend)));
        }
        "expiration_time" if combined.has_cache_time => {}
        "cache_time" => converted.write(*line, &format!("expiration_time = {}", typed(value))),
        _ => match meaning {
            Some(meaning) if meaning.starts_with("no effect") => {
                converted.warn(*line, region, format!("{name:?} has {meaning}"));
            }
            Some(_) => {}
            None if TYPED.contains(&&**name) => converted.write(*line, &format!("{name} = {}", typed(value))),
            None => converted.write(*line, &format!("{name} = {}", Value::from(value.trim()))),
        },
    }
}

/// Returns our entry point for a backend of oslo.cache, and `backend` for others.
fn entry_point(backend: &str) -> &str {
    let backend = backend.trim();
    OSLO_CACHE_BACKENDS.iter().find(|(theirs, _)| *theirs == backend).map_or(backend, |(_, ours)| ours)
}

fn names(list: &str) -> Vec<String> {
    let names = list.split([',', ' ', '\t', '\n']).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}
