//! Converts ini files to TOML: the flat names of dogpile.cache, Pyramid, and oslo.cache.

mod arguments;
mod converted;
mod groups;
mod ini;
mod names;
mod region;
mod written;

use std::collections::BTreeMap;
use std::path::Path;

pub(super) use self::converted::Converted;
use self::ini::{Entry, Interpolation, Section};
use crate::arguments::Check;

/// The prefixes of an ini file whose prefix is not given, in the order in which they are looked for.
const PREFIXES: [&str; 3] = ["dogpile_cache.", "dogpile.cache.", "cache."];

/// The entries of a section that belong to regions.
struct Source<'a> {
    section: &'a Section,
    prefix: String,
}

/// Returns whether the file is an ini file.
pub(super) fn is_ini(asked: &Check) -> bool {
    let ending = asked.path().extension();
    asked.prefix.is_some()
        || asked.section.is_some()
        || ending.is_some_and(|ending| ending == "ini" || ending == "conf")
}

/// Converts the regions of an ini file.
pub(super) fn convert(asked: &Check, text: &str) -> Converted {
    let mut converted = Converted::default();
    let sections = match ini::sections(text) {
        Ok(sections) => sections,
        Err((line, problem)) => {
            converted.report(line, None, problem);
            return converted;
        }
    };
    match source(asked, &sections) {
        Ok(source) => {
            let entries = entries(&mut converted, &source, &sections, asked.path());
            let name = source.region_name();
            for (region, entries) in groups::by_region(entries, &name) {
                region::convert(&mut converted, &region, entries);
            }
        }
        Err(problem) => converted.report(1, None, problem),
    }
    converted
}

/// Returns the section and the prefix of the regions.
///
/// # Errors
/// If there is none, or several.
fn source<'s>(asked: &Check, sections: &'s [Section]) -> Result<Source<'s>, String> {
    let named = |name: &str| sections.iter().find(|section| section.name == name);
    let wanted: Vec<&Section> = match &asked.section {
        Some(name) => vec![named(name).ok_or_else(|| format!("there is no section [{name}]"))?],
        None => sections.iter().collect(),
    };
    let has =
        |section: &Section, prefix: &str| section.entries.iter().any(|entry| entry.name.starts_with(prefix));
    let found = |prefix: &str| {
        let found: Vec<_> = wanted.iter().copied().filter(|section| has(section, prefix)).collect();
        match found[..] {
            [] => Ok(None),
            [section] => Ok(Some(Source { section, prefix: prefix.to_owned() })),
            _ => Err(format!(
                "several sections have names that begin with {prefix:?}; choose one with --section"
            )),
        }
    };
    // The section of oslo.cache has no prefix.
    let oslo = || {
        let section = if asked.section.is_some() { wanted.first().copied() } else { named("cache") };
        section.map(|section| Source { section, prefix: String::new() })
    };
    match asked.prefix.as_deref() {
        Some("") => match oslo() {
            Some(source) => Ok(source),
            None => found("")?.ok_or_else(|| "there is no section; choose one with --section".to_owned()),
        },
        Some(prefix) => {
            found(prefix)?.ok_or_else(|| format!("there are no names that begin with {prefix:?}"))
        }
        None => {
            for prefix in PREFIXES {
                if let Some(source) = found(prefix)? {
                    return Ok(source);
                }
            }
            oslo().ok_or_else(|| {
                format!("there are no names that begin with {PREFIXES:?}, and no section [cache]; see --prefix and --section")
            })
        }
    }
}

impl Source<'_> {
    /// Returns the name of the region, if the names contain none: the end of the prefix, or the section.
    fn region_name(&self) -> String {
        let of_prefix = self.prefix.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        let names = [of_prefix, &self.section.name, "cache"];
        names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
    }
}

/// Returns the entries with the prefix, which is removed. Values are interpolated.
fn entries(converted: &mut Converted, source: &Source<'_>, sections: &[Section], file: &Path) -> Vec<Entry> {
    let defaults = sections.iter().filter(|section| section.name == "DEFAULT");
    let all = defaults.chain([source.section]).flat_map(|section| &section.entries);
    let values: BTreeMap<&str, &str> = all.map(|entry| (&*entry.name, &*entry.value)).collect();
    let folder =
        std::path::absolute(file).ok().and_then(|file| file.parent().map(Path::to_owned)).unwrap_or_default();
    let find = |name: &str| match name {
        "here" => Some(folder.to_string_lossy().into_owned()),
        name => values.get(name).map(|value| (*value).to_owned()),
    };
    // oslo.config does not interpolate, and has no prefix.
    let is_interpolated = !source.prefix.is_empty();
    let mut interpolation = Interpolation::new(&find);
    let mut entries = Vec::new();
    for entry in &source.section.entries {
        let Some(name) = entry.name.strip_prefix(&source.prefix) else { continue };
        let value = if is_interpolated { interpolation.of(&entry.value) } else { Ok(entry.value.clone()) };
        match value {
            Ok(value) => entries.push(Entry { name: name.to_owned(), value, ..entry.clone() }),
            Err(problem) => converted.report(entry.line, None, problem.to_string()),
        }
    }
    entries
}
