//! [`Schema`]: the names of the tables, and the SQL that creates them.

use std::fmt;

use tokio_postgres::{Client, Error};

use crate::config::PostgresConfig;

/// The key of the advisory lock under which tables are created: "dogpile" in ASCII.
const CREATING: i64 = 0x64_6f67_7069_6c65;

/// The tables. Their names are quoted, so that they can be inserted into SQL.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) values: String,
    pub(crate) locks: String,
    index: String,
    /// How the tables are created, or `None` if they must exist.
    storage: Option<Storage>,
}

#[derive(Clone, Copy, Debug)]
enum Storage {
    Logged,
    Unlogged,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Storage::Logged => "",
            Storage::Unlogged => "UNLOGGED",
        })
    }
}

impl Schema {
    pub(crate) fn new(arguments: &PostgresConfig) -> Self {
        let PostgresConfig { schema, table, create_tables, unlogged, .. } = arguments;
        let qualified = |table: &str| match schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(table)),
            None => quoted(table),
        };
        let storage = if *unlogged { Storage::Unlogged } else { Storage::Logged };
        Schema {
            values: qualified(table),
            locks: qualified(&format!("{table}_locks")),
            index: quoted(&format!("{table}_expires_at")),
            storage: create_tables.then_some(storage),
        }
    }

    /// Returns whether missing tables are to be created.
    pub(crate) fn is_created(&self) -> bool {
        self.storage.is_some()
    }

    /// Creates the tables that are missing.
    ///
    /// `IF NOT EXISTS` alone fails if two sessions create a table at the same time. The advisory lock lets one of them
    /// go first. The server runs the text in one transaction, at whose end it releases the lock.
    ///
    /// Keys are bytes, because a text of PostgreSQL cannot contain a zero byte, and because bytes are compared without
    /// the rules of a language.
    pub(crate) async fn create(&self, client: &Client) -> Result<(), Error> {
        let Schema { values, locks, index, storage } = self;
        let Some(storage) = storage else { return Ok(()) };
        client
            .batch_execute(&format!(
                "SELECT pg_advisory_xact_lock({CREATING});
                 CREATE {storage} TABLE IF NOT EXISTS {values}
                     (key bytea PRIMARY KEY, value bytea NOT NULL, expires_at timestamptz);
                 CREATE INDEX IF NOT EXISTS {index} ON {values} (expires_at) WHERE expires_at IS NOT NULL;
                 CREATE {storage} TABLE IF NOT EXISTS {locks}
                     (key bytea PRIMARY KEY, token text NOT NULL, expires_at timestamptz NOT NULL);"
            ))
            .await
    }
}

/// Quotes a name, so that it may contain any character.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let config = PostgresConfig {
            schema: Some("my schema".to_owned()),
            table: "a\"; DROP TABLE b; --".to_owned(),
            ..PostgresConfig::default()
        };
        let schema = Schema::new(&config);
        assert_eq!(schema.values, "\"my schema\".\"a\"\"; DROP TABLE b; --\"");
        assert_eq!(schema.locks, "\"my schema\".\"a\"\"; DROP TABLE b; --_locks\"");
        assert!(Schema::new(&PostgresConfig::default()).is_created());
    }
}
