//! [`ForeignArguments`]: arguments that other programs write, and what they mean to an entry point.

use serde_json::{Map, Value};

use super::error::refused;
use crate::error::BackendError;

/// The arguments that an entry point accepts by another program's names, such as oslo.cache's.
///
/// They are data: `register_backend!` takes them as `foreign`. An argument that means nothing to the entry point is
/// accepted, and the region logs one warning that lists all of them. The entry point's own arguments need no row.
///
/// ```
/// use dogpile_sdk::{ForeignArgument, ForeignArguments};
///
/// const OSLO: ForeignArguments = ForeignArguments::new(&[&[
///     ForeignArgument::same("memcache_servers", &["url"]),
///     ForeignArgument::when("tls_enabled", "tls_cafile", &["tls.cafile"]),
///     ForeignArgument::without_effect("pool_unused_timeout", "connections are kept"),
/// ]]);
/// assert_eq!(OSLO.find("memcache_servers").unwrap().paths, ["url"]);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ForeignArguments {
    /// The names, with their meaning. The first row of a name counts, also for a name of one of the entry point's own
    /// arguments. Tables of several entry points can share rows.
    pub rows: &'static [&'static [ForeignArgument]],
    /// Further names without a meaning, unless they are the entry point's own arguments.
    pub others: &'static [&'static str],
    /// Why the further names have no meaning.
    pub why_others: &'static str,
}

/// A name, and what it means to an entry point.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ForeignArgument {
    /// The name.
    pub name: &'static str,
    /// The arguments that get the value, such as `url` or `tls.cafile`. The latter is an entry of a table. Without
    /// any, the name has no effect.
    pub paths: &'static [&'static str],
    /// The name of a foreign switch. Unless it is true, this argument has no effect.
    pub switch: Option<&'static str>,
    /// How the value is converted.
    pub conversion: Conversion,
    /// Why the argument has no effect, or another remark about it.
    pub note: &'static str,
}

/// How the value of a foreign argument becomes that of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conversion {
    /// It stays as it is.
    None,
    /// A string is put before it.
    Prefix(&'static str),
    /// True becomes an empty table, and false nothing.
    Table,
}

/// Arguments whose foreign names were replaced.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) arguments: Map<String, Value>,
    /// The foreign names that have no effect.
    pub(super) ignored: Vec<String>,
    pub(super) renamed: Renamed,
}

/// The arguments that were given by foreign names, with these names.
#[derive(Debug, Default)]
pub(crate) struct Renamed(Vec<(&'static str, &'static str)>);

impl ForeignArgument {
    /// Creates a row: `name` means the arguments `paths`.
    pub const fn same(name: &'static str, paths: &'static [&'static str]) -> Self {
        ForeignArgument { name, paths, switch: None, conversion: Conversion::None, note: "" }
    }

    /// Creates a row: `name` means the arguments `paths` if the foreign argument `switch` is true.
    pub const fn when(switch: &'static str, name: &'static str, paths: &'static [&'static str]) -> Self {
        ForeignArgument { switch: Some(switch), ..ForeignArgument::same(name, paths) }
    }

    /// Creates a row: `name` has no effect, and `why`.
    pub const fn without_effect(name: &'static str, why: &'static str) -> Self {
        ForeignArgument { note: why, ..ForeignArgument::same(name, &[]) }
    }

    /// Sets how the value is converted.
    #[must_use]
    pub const fn converted(self, conversion: Conversion) -> Self {
        ForeignArgument { conversion, ..self }
    }

    /// Sets the remark about the argument.
    #[must_use]
    pub const fn noted(self, note: &'static str) -> Self {
        ForeignArgument { note, ..self }
    }
}

impl ForeignArguments {
    /// No foreign names.
    pub const NONE: ForeignArguments = ForeignArguments::new(&[]);

    /// Creates the table with these `rows`.
    pub const fn new(rows: &'static [&'static [ForeignArgument]]) -> Self {
        ForeignArguments { rows, others: &[], why_others: "" }
    }

    /// Accepts `others` too, which have no meaning for the reason `why`. A name that has a row keeps its meaning.
    #[must_use]
    pub const fn with_others(self, others: &'static [&'static str], why: &'static str) -> Self {
        ForeignArguments { others, why_others: why, ..self }
    }

    /// Returns the row of `name`. The row of one of the `others` states that it has no effect.
    pub fn find(&self, name: &str) -> Option<ForeignArgument> {
        let row = self.rows().find(|row| row.name == name);
        let other = || self.others.iter().find(|other| **other == name);
        row.or_else(|| other().map(|other| ForeignArgument::without_effect(other, self.why_others)))
    }

    /// Returns all names, each of them once.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let names: Vec<_> = self.rows().map(|row| row.name).chain(self.others.iter().copied()).collect();
        let is_first = |place: &usize| !names[..*place].contains(&names[*place]);
        let places: Vec<_> = (0..names.len()).filter(is_first).collect();
        places.into_iter().map(move |place| names[place])
    }

    fn rows(&self) -> impl Iterator<Item = ForeignArgument> {
        self.rows.iter().copied().flatten().copied()
    }

    /// Replaces the foreign names in `given`. `own` are the arguments of the entry point.
    ///
    /// # Errors
    /// If two names mean the same argument, or a switch is neither true nor false.
    pub(super) fn translate(
        &self,
        given: Map<String, Value>,
        own: &[&str],
    ) -> Result<Translated, BackendError> {
        let mut translated =
            Translated { arguments: given, ignored: Vec::new(), renamed: Renamed::default() };
        if self.rows.is_empty() && self.others.is_empty() {
            return Ok(translated);
        }
        let given = translated.arguments.clone();
        let has_row = |name: &str| self.rows().any(|row| row.name == name);
        let names: Vec<_> = self.names().filter(|name| has_row(name) || !own.contains(name)).collect();
        translated.arguments.retain(|name, _| !names.contains(&name.as_str()));
        // In the order of the table: a switch that makes a table comes before the entries of the table.
        for row in names.into_iter().filter_map(|name| self.find(name)) {
            // As in Python, a null means that the argument is not given.
            let Some(value) = given.get(row.name).filter(|value| !value.is_null()) else { continue };
            if is_effective(&row, &given)? {
                translated.put(&row, value)?;
            } else {
                translated.ignored.push(row.name.to_owned());
            }
        }
        Ok(translated)
    }
}

/// Returns whether `row` means something, and its switch is on.
fn is_effective(row: &ForeignArgument, given: &Map<String, Value>) -> Result<bool, BackendError> {
    let is_on = |name| given.get(name).map_or(Ok(false), |value| boolean(name, value));
    Ok(!row.paths.is_empty() && row.switch.map_or(Ok(true), is_on)?)
}

fn boolean(name: &str, value: &Value) -> Result<bool, BackendError> {
    match value {
        Value::Bool(given) => Ok(*given),
        Value::Null => Ok(false),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        _ => {
            let message = format!("invalid argument {name:?}: {value} is neither true nor false");
            Err(refused(message).for_argument(name))
        }
    }
}

impl Translated {
    fn put(&mut self, row: &ForeignArgument, value: &Value) -> Result<(), BackendError> {
        let value = match row.conversion {
            Conversion::None => value.clone(),
            Conversion::Prefix(prefix) => match value {
                Value::String(text) => Value::String(format!("{prefix}{}", text.trim())),
                other => other.clone(),
            },
            Conversion::Table if boolean(row.name, value)? => Value::Object(Map::new()),
            Conversion::Table => return Ok(()),
        };
        row.paths.iter().try_for_each(|path| self.put_at(path, row.name, value.clone()))
    }

    /// Sets the argument at `path`, which is an argument or an entry of one that is a table.
    fn put_at(&mut self, path: &'static str, name: &'static str, value: Value) -> Result<(), BackendError> {
        let (root, entry) = path.split_once('.').map_or((path, None), |(root, entry)| (root, Some(entry)));
        let (table, last) = match entry {
            None => (&mut self.arguments, root),
            Some(entry) => {
                let table = self.arguments.entry(root).or_insert_with(|| Value::Object(Map::new()));
                let Value::Object(table) = table else { return Err(twice(name, root)) };
                (table, entry)
            }
        };
        if table.get(last).is_some_and(|present| !present.is_null()) {
            return Err(twice(name, path));
        }
        table.insert(last.to_owned(), value);
        if root != name {
            self.renamed.0.push((root, name));
        }
        Ok(())
    }
}

impl Renamed {
    /// Returns `error` with the names that were given, if it concerns an argument that was given by foreign names.
    pub(crate) fn explain(&self, error: BackendError) -> BackendError {
        let given: Vec<&str> =
            self.0.iter().filter(|(root, _)| error.argument() == Some(root)).map(|(_, name)| *name).collect();
        match given.first() {
            Some(first) => error.given_as(first, &format!("; it was given as \"{}\"", given.join("\", \""))),
            None => error,
        }
    }
}

fn twice(name: &str, argument: &str) -> BackendError {
    let message = format!(
        "invalid argument {name:?}: {argument:?} is set, too, and means the same; remove one of them"
    );
    refused(message).for_argument(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAMES: ForeignArguments = ForeignArguments::new(&[&[
        ForeignArgument::same("servers", &["url"]),
        ForeignArgument::same("server", &["address"]).converted(Conversion::Prefix("shelf://")),
        ForeignArgument::same("tls_enabled", &["tls"]).converted(Conversion::Table),
        ForeignArgument::when("tls_enabled", "tls_cafile", &["tls.cafile", "other.cafile"]),
        ForeignArgument::when("retry", "attempts", &["attempts"]),
        ForeignArgument::without_effect("idle", "connections are kept"),
    ]])
    .with_others(&["fips", "servers", "own"], "there is no such mode");

    fn translate(given: &Value) -> Result<Translated, BackendError> {
        NAMES.translate(given.as_object().unwrap().clone(), &["own"])
    }

    fn translated(given: &Value) -> (Value, Vec<String>) {
        let translated = translate(given).unwrap();
        (Value::Object(translated.arguments), translated.ignored)
    }

    #[test]
    fn foreign_names_become_arguments() {
        assert_eq!(
            translated(&json!({ "servers": "a,b", "own": 1 })),
            (json!({ "url": "a,b", "own": 1 }), vec![])
        );
        assert_eq!(translated(&json!({ "server": " a:1" })).0, json!({ "address": "shelf://a:1" }));
        let tls = json!({ "tls_enabled": "True", "tls_cafile": "/ca" });
        let expected = json!({ "tls": { "cafile": "/ca" }, "other": { "cafile": "/ca" } });
        assert_eq!(translated(&tls), (expected, vec![]));
        assert_eq!(translated(&json!({ "tls_enabled": true })).0, json!({ "tls": {} }));
        assert_eq!(translated(&json!({ "servers": null, "idle": null })), (json!({}), vec![]));
    }

    #[test]
    fn names_without_effect_are_listed() {
        let given = json!({ "tls_enabled": false, "tls_cafile": "/ca", "fips": 1, "idle": 5, "attempts": 2 });
        let ignored = ["tls_cafile", "attempts", "idle", "fips"].map(str::to_owned).to_vec();
        assert_eq!(translated(&given), (json!({}), ignored));
        assert_eq!(NAMES.names().filter(|name| *name == "servers").count(), 1);
        assert_eq!(NAMES.find("fips").unwrap().note, "there is no such mode");
        assert!(NAMES.find("owns").is_none());
    }

    #[test]
    fn two_names_of_one_argument_are_refused() {
        for given in [
            json!({ "servers": "a", "url": "b" }),
            json!({ "tls_enabled": true, "tls": {} }),
            json!({ "tls_enabled": true, "tls_cafile": "a", "other": { "cafile": "b" } }),
            json!({ "tls_enabled": true, "tls_cafile": "a", "other": 5 }),
        ] {
            let error = translate(&given).unwrap_err();
            assert!(error.to_string().contains("means the same; remove one"), "{error}");
            assert!(error.argument().is_some());
        }
        assert_eq!(translated(&json!({ "servers": "a", "url": null })).0, json!({ "url": "a" }));
    }

    #[test]
    fn switch_that_is_not_a_boolean_is_refused() {
        for given in [json!({ "tls_enabled": "yes" }), json!({ "tls_enabled": 1, "tls_cafile": "a" })] {
            let error = translate(&given).unwrap_err();
            assert!(
                error.to_string().contains("\"tls_enabled\"") && error.to_string().contains("neither true"),
                "{error}"
            );
        }
    }

    #[test]
    fn error_names_what_was_given() {
        let renamed = translate(&json!({ "servers": "a", "attempts": 1, "retry": true })).unwrap().renamed;
        let error = |argument: &str| renamed.explain(refused("no good".to_owned()).for_argument(argument));
        assert_eq!(error("url").to_string(), "no good; it was given as \"servers\"");
        assert_eq!(error("url").argument(), Some("servers"));
        assert_eq!(error("own").to_string(), "no good");
        assert_eq!(error("attempts").to_string(), "no good");
    }
}
