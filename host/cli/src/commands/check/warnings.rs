//! What is valid in a configuration, but is often a mistake.

use toml::Value;

use super::explain::{ServerExpiry, Settings};
use super::problem::Problem;
use crate::document::Document;
use crate::document::Step::Name;

/// Returns the warnings about the regions of `document`.
pub(super) fn of(document: &Document<'_>) -> Vec<Problem> {
    let regions = document.table.get("regions").and_then(Value::as_table).into_iter().flatten();
    let tables = regions.filter_map(|(name, value)| Some((name, value.as_table()?)));
    tables.filter_map(|(name, table)| never_dropped(document, &Settings::of(name, table), name)).collect()
}

/// Returns a warning if the region's server never drops a value.
fn never_dropped(document: &Document<'_>, settings: &Settings, region: &str) -> Option<Problem> {
    let ServerExpiry::Never { argument } = settings.server_expiry() else { return None };
    let warning = format!(
        "its keys never expire on the server: they stay until they are deleted or memory runs out, also those that \
         nobody reads any more; set the argument {argument:?} to more than the region's \"expiration_time\""
    );
    Some(Problem {
        place: document.place(&[Name("regions"), Name(region), Name("backend")]),
        region: Some(region.to_owned()),
        problem: vec![warning],
    })
}
