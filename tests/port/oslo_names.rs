//! The tables of `docs/oslo-cache.md`, which are generated from the data in the code.

use std::fmt::Write;
use std::path::Path;

use dogpile::sdk::{Conversion, ForeignArgument, ForeignArguments, OSLO_CACHE};
use dogpile::{CacheRegion, OSLO_CACHE_BACKENDS, OSLO_CACHE_REGION, RegionConfig};
use dogpile_dbm::FOREIGN as FILES;
use dogpile_memcached::{MEMCACHED_FOREIGN, OTHER_FOREIGN, PYMEMCACHE_FOREIGN};
use dogpile_memory::FOREIGN as MEMORY;
use dogpile_redis::{SENTINEL_FOREIGN, SINGLE_FOREIGN};
use dogpile_tests::errors::told;

/// What precedes the tables.
const MARK: &str = "<!-- tables -->\n";

/// A column of a table: some entry points, which have the same arguments.
struct Column {
    title: &'static str,
    foreign: ForeignArguments,
    /// The text of an error that lists the own arguments.
    own: String,
}

impl Column {
    fn new(title: &'static str, entry_point: &str, foreign: ForeignArguments) -> Self {
        let config = RegionConfig::new(entry_point).argument("this is unknown", 1);
        Column { title, foreign, own: told(&CacheRegion::new("names").configure(config).unwrap_err()) }
    }

    fn is_own(&self, name: &str) -> bool {
        self.own.contains(&format!("\"{name}\""))
    }

    fn has_row(&self, name: &str) -> bool {
        self.foreign.rows.concat().iter().any(|row| row.name == name)
    }

    fn cell(&self, name: &str) -> String {
        match self.foreign.find(name) {
            _ if !self.has_row(name) && self.is_own(name) => "its own argument".to_owned(),
            Some(row) => meaning(&row),
            None => "unknown".to_owned(),
        }
    }
}

fn meaning(row: &ForeignArgument) -> String {
    if row.paths.is_empty() {
        return format!("no effect: {}", row.note);
    }
    let paths = row.paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
    let conversion = match row.conversion {
        Conversion::Prefix(prefix) => format!(", after `{prefix}`"),
        Conversion::Table => ", if true".to_owned(),
        _ => String::new(),
    };
    let switch = row.switch.map(|switch| format!(", if `{switch}`")).unwrap_or_default();
    format!("{paths}{conversion}{switch}")
}

#[test]
fn every_name_is_documented_with_its_meaning() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/oslo-cache.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (text, tables) = document.split_once(MARK).unwrap();
    let expected = tables_of_names();
    if std::env::var_os("DOGPILE_TESTS_REWRITE").is_some() {
        std::fs::write(&path, format!("{text}{MARK}{expected}")).unwrap();
    } else {
        assert!(tables == expected, "the tables are outdated; run this test with DOGPILE_TESTS_REWRITE=1");
    }
    let documented = |name: &str| expected.contains(&format!("`{name}`"));
    assert!(OSLO_CACHE.iter().all(|name| documented(name)));
}

fn tables_of_names() -> String {
    let mut text = "\n## The region\n\n| option | meaning here |\n|---|---|\n".to_owned();
    for (name, meaning) in OSLO_CACHE_REGION {
        writeln!(text, "| `{name}` | {meaning} |").unwrap();
    }
    text.push_str("\n| backend | entry point here |\n|---|---|\n");
    for (theirs, ours) in OSLO_CACHE_BACKENDS {
        writeln!(text, "| `{theirs}` | `{ours}` |").unwrap();
    }
    text.push_str("\nAll other options are arguments of the backend. Its own arguments are accepted in the section, if oslo.cache has them there.\n");
    let columns = [
        Column::new("`memcached`", "dogpile.cache.memcached", MEMCACHED_FOREIGN),
        Column::new("`pymemcache`", "dogpile.cache.pymemcache", PYMEMCACHE_FOREIGN),
        Column::new("`pylibmc`, `bmemcached`", "dogpile.cache.pylibmc", OTHER_FOREIGN),
    ];
    table(&mut text, "Memcached", &columns);
    let columns = [
        Column::new("`redis`, `valkey`, and clusters", "dogpile.cache.redis", SINGLE_FOREIGN),
        Column::new("with Sentinel", "dogpile.cache.redis_sentinel", SENTINEL_FOREIGN),
    ];
    table(&mut text, "Redis and Valkey", &columns);
    assert!(MEMORY.rows.is_empty() && FILES.rows.is_empty() && MEMORY.others == FILES.others);
    text.push_str("\n## Memory and files\n\n`dogpile.cache.memory`, `memory_pickle`, `null`, `dbm`, and `lmdb` accept all of these names without effect:\n");
    writeln!(text, "{}.", quoted(MEMORY.names())).unwrap();
    text
}

/// Adds the table of some entry points. Names without a row in any column are listed below it.
fn table(text: &mut String, title: &str, columns: &[Column]) {
    let heads: Vec<_> = columns.iter().map(|column| column.title).collect();
    let line = "|---".repeat(columns.len() + 1);
    write!(text, "\n## {title}\n\n| option | {} |\n{line}|\n", heads.join(" | ")).unwrap();
    let mut names: Vec<&str> = columns.iter().flat_map(|column| column.foreign.names()).collect();
    names.sort_unstable();
    names.dedup();
    let (rows, others): (Vec<&str>, Vec<_>) =
        names.into_iter().partition(|name| columns.iter().any(|column| column.has_row(name)));
    for name in rows {
        let cells: Vec<_> = columns.iter().map(|column| column.cell(name)).collect();
        writeln!(text, "| `{name}` | {} |", cells.join(" | ")).unwrap();
    }
    let (own, others): (Vec<&str>, Vec<_>) =
        others.into_iter().partition(|name| columns.iter().any(|column| column.is_own(name)));
    let why = columns[0].foreign.why_others;
    writeln!(text, "\nOwn arguments: {}. No effect, because {why}: {}.", quoted(own), quoted(others))
        .unwrap();
}

fn quoted<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
