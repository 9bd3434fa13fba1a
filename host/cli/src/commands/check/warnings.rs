//! Settings of a configuration that are valid but often a mistake.

use dogpile::sdk::seconds;
use toml::{Table, Value};

use super::explain::{ServerExpiry, Settings};
use super::opened::Opened;
use super::problem::Problem;
use crate::document::Document;
use crate::document::Step::Name;

/// The settings that are durations. Arguments are, if their name contains one of [`TIMES`].
const DURATIONS: [&str; 4] = ["expiration_time", "creation_wait_timeout", "jitter", "max_stale"];
const TIMES: [&str; 4] = ["time", "sleep", "retry", "delay"];

/// Returns the warnings about the settings of the regions `names` of `document`.
pub(super) fn of<'n>(document: &Document<'_>, names: impl Iterator<Item = &'n str>) -> Vec<Problem> {
    let regions = document.table.get("regions").and_then(Value::as_table);
    let tables = names.filter_map(|name| Some((name, regions?.get(name)?.as_table()?)));
    let mut warnings: Vec<_> = tables.flat_map(|(name, table)| of_region(document, name, table)).collect();
    if regions.is_none_or(Table::is_empty) {
        let problem = vec!["no region is configured; add a table, such as [regions.users]".to_owned()];
        warnings.push(Problem { place: document.place(&[]), region: None, problem });
    }
    warnings
}

fn of_region(document: &Document<'_>, name: &str, table: &Table) -> Vec<Problem> {
    let at = |path: &[&str], text: String| {
        let path: Vec<_> = ["regions", name].iter().chain(path).map(|step| Name(step)).collect();
        Problem { place: document.place(&path), region: Some(name.to_owned()), problem: vec![text] }
    };
    let never = never_dropped(&Settings::of(name, table), table).map(|text| at(&["backend"], text));
    let zero = expires_at_once(table).map(|text| at(&["expiration_time"], text));
    let months = table.iter().filter(|(name, _)| DURATIONS.contains(&name.as_str()));
    let months = months.filter_map(|(name, value)| Some(at(&[name], month(value)?)));
    let arguments = table.get("arguments").and_then(Value::as_table).into_iter().flatten();
    let times = arguments.filter(|(name, _)| TIMES.iter().any(|part| name.contains(part)));
    let times = times.filter_map(|(name, value)| Some(at(&["arguments", name], month(value)?)));
    never.into_iter().chain(zero).chain(months).chain(times).collect()
}

/// Returns a warning if nothing ends the life of a value.
fn never_dropped(settings: &Settings, table: &Table) -> Option<String> {
    match settings.server_expiry() {
        ServerExpiry::Never { argument } => Some(format!(
            "its keys never expire on the server: they stay until they are deleted or memory runs out, even if they \
             are no longer read; set the argument {argument:?} to more than the region's \"expiration_time\""
        )),
        ServerExpiry::NoServer if !table.contains_key("expiration_time") && settings.keeps_values() => Some(
            "its values never expire: callers get them until they are deleted; set \"expiration_time\", to -1 if this is \
             meant"
                .to_owned(),
        ),
        _ => None,
    }
}

fn expires_at_once(table: &Table) -> Option<String> {
    let given = table.get("expiration_time")?;
    let is_zero = match given {
        Value::String(text) => seconds::parse(text).is_ok_and(|time| time.is_zero()),
        other => other.as_integer() == Some(0) || other.as_float() == Some(0.0),
    };
    is_zero.then(|| "expiration time 0: each value is stale at once; use -1 for never".to_owned())
}

/// Returns a warning if a duration is given in months.
fn month(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let number = text.strip_suffix('M')?.trim_end();
    seconds::parse(text).ok()?;
    Some(format!("{text:?} is a number of months; did you mean \"{number}m\", which is minutes?"))
}

/// Returns a warning for each region that has the keys of another one.
pub(super) fn shared_keys(document: &Document<'_>, regions: &[Opened]) -> Vec<Problem> {
    let with_others = regions.iter().enumerate().filter_map(|(number, region)| {
        let stored = region.stored.as_ref()?;
        let other = regions[..number].iter().find(|other| {
            other
                .stored
                .as_ref()
                .is_some_and(|other| (&other.scope, &other.key) == (&stored.scope, &stored.key))
        })?;
        Some((region, other, stored))
    });
    let warning = |(region, other, stored): (&Opened, &Opened, &super::opened::Stored)| {
        let name = &region.region;
        let mut text = format!(
            "its keys are also those of region {:?}: both are in {}, so that each may get the values of the other; give one \
             of them a prefix, such as wrap = [{{ name = \"dogpile.proxy.key_prefix\", arguments = {{ prefix = \"{name}:\" \
             }} }}], or another database",
            other.region, stored.scope
        );
        let theirs = other.stored.as_ref().map(|stored| &stored.serializer);
        if theirs != Some(&stored.serializer) {
            text.push_str("; their serializers differ, so that each replaces the values of the other");
        }
        let place = document.place(&[Name("regions"), Name(name), Name("backend")]);
        Problem { place, region: Some(name.clone()), problem: vec![text] }
    };
    with_others.map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(settings: &str) -> Vec<(usize, String)> {
        let text = format!("[regions.a]\nbackend = 'dogpile.cache.memory'\n{settings}");
        let document = Document::read(&text).ok().unwrap();
        let warnings = of(&document, ["a"].into_iter());
        warnings.into_iter().map(|warning| (warning.place.line, warning.problem.concat())).collect()
    }

    #[test]
    fn expiration_times_that_are_often_mistakes_are_reported() {
        let text = "expiration time 0: each value is stale at once; use -1 for never";
        for zero in ["0", "0.0", "'0s'"] {
            assert_eq!(warnings(&format!("expiration_time = {zero}")), [(3, text.to_owned())]);
        }
        let text = "\"1M\" is a number of months; did you mean \"1m\", which is minutes?";
        assert_eq!(warnings("expiration_time = '1M'"), [(3, text.to_owned())]);
        assert_eq!(
            warnings("expiration_time = 5\narguments = { lock_timeout = '1M' }"),
            [(4, text.to_owned())]
        );
        for usual in ["'5m'", "60", "-1", "'1 month'"] {
            assert_eq!(warnings(&format!("expiration_time = {usual}")), []);
        }
        assert_eq!(
            warnings("expiration_time = 5\narguments = { password = '1M' }"),
            [],
            "secrets are not repeated"
        );
        assert!(warnings("")[0].1.starts_with("its values never expire: "));
    }

    #[test]
    fn empty_configuration_is_reported() {
        for text in ["", "[regions]\n", "[plugins]\npath = []\n"] {
            let document = Document::read(text).ok().unwrap();
            let warnings = of(&document, std::iter::empty());
            assert_eq!(
                warnings[0].problem,
                ["no region is configured; add a table, such as [regions.users]"]
            );
        }
    }
}
