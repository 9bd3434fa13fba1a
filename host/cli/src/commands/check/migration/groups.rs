//! Assigns the entries of an ini file to regions.

use std::collections::BTreeMap;

use super::ini::Entry;

/// The beginnings of names with a dot that are settings, and not regions.
const SETTINGS: [&str; 5] = ["arguments", "stale", "fail_safe", "creator_timeout", "breaker"];

/// The name of the list of regions of `pyramid_dogpile_cache`.
const REGIONS: &str = "regions";

/// Returns the entries of each region, without its name.
///
/// As `pyramid_dogpile_cache` does, `users.backend` belongs to the region `users`, and `backend` to all regions that do not
/// have their own. If no region is named, all entries belong to one region, which is called `name`.
pub(super) fn by_region(entries: Vec<Entry>, name: &str) -> BTreeMap<String, Vec<Entry>> {
    let mut regions: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    let mut defaults = Vec::new();
    for entry in entries {
        match entry.name.split_once('.') {
            Some((region, setting)) if !SETTINGS.contains(&region) && !setting.is_empty() => {
                let (region, name) = (region.to_owned(), setting.to_owned());
                regions.entry(region).or_default().push(Entry { name, ..entry });
            }
            _ if entry.name == REGIONS => {
                let names = entry.value.split([',', ' ', '\t', '\n']).filter(|name| !name.is_empty());
                for name in names {
                    regions.entry(name.to_owned()).or_default();
                }
            }
            _ => defaults.push(entry),
        }
    }
    if regions.is_empty() {
        return BTreeMap::from([(name.to_owned(), defaults)]);
    }
    for own in regions.values_mut() {
        let names: Vec<_> = own.iter().map(|entry| entry.name.clone()).collect();
        let missing = defaults.iter().filter(|entry| !names.contains(&entry.name));
        own.splice(0..0, missing.map(|entry| Entry { is_default: true, ..entry.clone() }));
    }
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(entries: &[(&str, &str)]) -> Vec<(String, Vec<(String, String)>)> {
        let entries = entries.iter().map(|(name, value)| Entry {
            name: (*name).into(),
            value: (*value).into(),
            line: 1,
            is_default: false,
        });
        let regions = by_region(entries.collect(), "cache").into_iter();
        let plain = |entry: Entry| (entry.name, entry.value);
        regions.map(|(region, entries)| (region, entries.into_iter().map(plain).collect())).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_without_a_region_belong_to_one() {
        let entries = [("backend", "b"), ("arguments.port", "1"), ("fail_safe.max_age", "2")];
        assert_eq!(grouped(&entries), [("cache".to_owned(), pairs(&entries))]);
    }

    #[test]
    fn regions_have_the_defaults_that_they_do_not_override() {
        let found = grouped(&[
            ("regions", "foo, bar"),
            ("backend", "b"),
            ("arguments.host", "h"),
            ("foo.backend", "c"),
            ("foo.arguments.port", "1"),
        ]);
        let foo = pairs(&[("arguments.host", "h"), ("backend", "c"), ("arguments.port", "1")]);
        let bar = pairs(&[("backend", "b"), ("arguments.host", "h")]);
        assert_eq!(found, [("bar".to_owned(), bar), ("foo".to_owned(), foo)]);
    }
}
