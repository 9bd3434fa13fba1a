//! The only schema that a SQLite file may have, and the settings against hostile files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;

use crate::deadline::{Deadline, coarse_now};

/// The table of Python 3.13's `dbm.sqlite3`.
pub(crate) const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)";

/// The statement that SQLite keeps for the table, without whitespace and in lower case.
const TABLE: &str = "createtabledict(keyblobuniquenotnull,valueblobnotnull)";

/// Everything in the file except the statistics of ANALYZE. The table and its index are two rows.
const ALL: &str = "SELECT type, coalesce(sql, '') FROM sqlite_master \
                   WHERE name NOT IN ('sqlite_stat1', 'sqlite_stat4') ORDER BY type DESC LIMIT 3";

/// The number of SQLite's instructions after which the deadline is checked.
const STEPS: i32 = 1000;

/// Settings under which a schema cannot run code, and limits above everything that the backend does.
///
/// Set them before the first statement, which reads the schema.
pub(crate) fn harden(sqlite: &Connection) -> rusqlite::Result<()> {
    use DbConfig::{
        SQLITE_DBCONFIG_DEFENSIVE as DEFENSIVE, SQLITE_DBCONFIG_ENABLE_TRIGGER as TRIGGERS,
        SQLITE_DBCONFIG_ENABLE_VIEW as VIEWS, SQLITE_DBCONFIG_TRUSTED_SCHEMA as TRUSTED,
    };
    for (setting, on) in [(DEFENSIVE, true), (TRIGGERS, false), (VIEWS, false), (TRUSTED, false)] {
        sqlite.set_db_config(setting, on)?;
    }
    // VACUUM attaches one database.
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 10_000),
        (Limit::SQLITE_LIMIT_COLUMN, 32),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 32),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 8),
        (Limit::SQLITE_LIMIT_ATTACHED, 1),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        sqlite.set_limit(limit, most)?;
    }
    // A damaged page is an error instead of a wrong value. Deleted values are overwritten where that costs no I/O.
    sqlite.execute_batch("PRAGMA cell_size_check = ON; PRAGMA secure_delete = FAST")
}

/// Returns whether the file is empty or has exactly our table.
///
/// Triggers, views, generated columns, constraints, and further indexes would run or slow down every call.
pub(crate) fn is_ours(sqlite: &Connection) -> rusqlite::Result<bool> {
    let mut statement = sqlite.prepare(ALL)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let rows: Vec<_> = rows.iter().map(|(kind, sql)| (kind.as_str(), normalized(sql))).collect();
    Ok(rows.is_empty() || rows == [("table", TABLE.to_owned()), ("index", String::new())])
}

fn normalized(sql: &str) -> String {
    sql.chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

/// Returns the number of changes to the schema.
pub(crate) fn version(sqlite: &Connection) -> rusqlite::Result<i64> {
    sqlite.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))
}

/// Interrupts the statements of a connection that run beyond the end of a call.
#[derive(Debug)]
pub(crate) struct Interrupt(Arc<AtomicU64>);

impl Interrupt {
    /// Installs the check. It is off until the first call of [`set`](Self::set).
    pub(crate) fn install(sqlite: &mut Connection) -> rusqlite::Result<Self> {
        let end = Arc::new(AtomicU64::new(u64::MAX));
        let ours = Arc::clone(&end);
        sqlite.progress_handler(STEPS, Some(move || coarse_now() > ours.load(Ordering::Relaxed)))?;
        Ok(Interrupt(end))
    }

    /// Sets the deadline of the next call, or none.
    pub(crate) fn set(&self, deadline: Option<Deadline>) {
        self.0.store(deadline.map_or(u64::MAX, Deadline::end), Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn table_of_python_is_ours_and_an_altered_one_is_not() {
        for (schema, ours) in [
            (
                "CREATE TABLE IF NOT EXISTS Dict (\n    key BLOB UNIQUE NOT NULL,\n    value BLOB NOT NULL\n  )",
                true,
            ),
            ("CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL); ANALYZE", true),
            (
                "CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL, extra AS (hex(value)))",
                false,
            ),
            (
                "CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value BLOB NOT NULL, CHECK (hex(value) <> ''))",
                false,
            ),
            ("CREATE TABLE Dict (key BLOB UNIQUE NOT NULL, value TEXT NOT NULL)", false),
        ] {
            let sqlite = Connection::open_in_memory().unwrap();
            sqlite.execute_batch(schema).unwrap();
            assert_eq!(is_ours(&sqlite).unwrap(), ours, "{schema}");
        }
    }

    #[test]
    fn endless_statement_is_interrupted_at_its_deadline() {
        let mut sqlite = Connection::open_in_memory().unwrap();
        let interrupt = Interrupt::install(&mut sqlite).unwrap();
        interrupt.set(Some(Deadline::after(Duration::ZERO)));
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let error = sqlite.query_row(endless, [], |row| row.get::<_, i64>(0)).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::OperationInterrupted));
    }
}
