//! [`Command`]: the SQL statements, which each connection prepares once.
//!
//! Times are judged by the server's clock alone. Each statement is a transaction of its own.
//!
//! Parameters have explicit types. The server then refuses to prepare statements for a table whose keys and tokens have
//! other types. Otherwise it would expect parameters of these types.
//!
//! Two statements that lock many rows cannot wait for each other in a circle, because all of them lock rows in the order
//! of their keys. A purge skips rows that are locked.

use std::time::Duration;

use dogpile_sdk::bounds;

use crate::schema::Schema;

/// A statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Get,
    GetMulti,
    Set,
    SetMulti,
    SetFenced,
    Delete,
    DeleteMulti,
    PurgeValues,
    PurgeLocks,
    Acquire,
    Renew,
    Release,
    Locked,
}

impl Command {
    /// All statements, in the order of their numbers.
    pub(crate) const ALL: [Command; 13] = [
        Command::Get,
        Command::GetMulti,
        Command::Set,
        Command::SetMulti,
        Command::SetFenced,
        Command::Delete,
        Command::DeleteMulti,
        Command::PurgeValues,
        Command::PurgeLocks,
        Command::Acquire,
        Command::Renew,
        Command::Release,
        Command::Locked,
    ];

    /// Returns the text of the statement for the tables of `schema`.
    pub(crate) fn text(self, schema: &Schema) -> String {
        let Schema { values, locks, .. } = schema;
        match self {
            Command::Get => format!("SELECT value FROM {values} WHERE key = $1::bytea AND {UNEXPIRED}"),
            Command::GetMulti => {
                format!("SELECT key, value FROM {values} WHERE key = ANY ($1::bytea[]) AND {UNEXPIRED}")
            }
            Command::Set => format!(
                "INSERT INTO {values} (key, value, expires_at)
                 VALUES ($1::bytea, $2::bytea, now() + $3::float8 * interval '1 second') {REPLACE}"
            ),
            // The rows are inserted in the order of the arrays.
            Command::SetMulti => format!(
                "INSERT INTO {values} (key, value, expires_at)
                 SELECT key, value, now() + lifetime * interval '1 second'
                 FROM unnest($1::bytea[], $2::bytea[], $3::float8[]) AS new (key, value, lifetime) {REPLACE}"
            ),
            // The lock stays as it is until the value is stored, because its row is locked.
            Command::SetFenced => format!(
                "WITH held AS MATERIALIZED
                     (SELECT 1 FROM {locks} WHERE key = $4::bytea AND token = $5::text AND expires_at > now() FOR SHARE)
                 INSERT INTO {values} (key, value, expires_at)
                 SELECT $1::bytea, $2::bytea, now() + $3::float8 * interval '1 second' FROM held {REPLACE}"
            ),
            Command::Delete => format!("DELETE FROM {values} WHERE key = $1::bytea"),
            Command::DeleteMulti => format!(
                "WITH doomed AS MATERIALIZED
                     (SELECT key FROM {values} WHERE key = ANY ($1::bytea[]) ORDER BY key FOR UPDATE)
                 DELETE FROM {values} WHERE key IN (SELECT key FROM doomed)"
            ),
            Command::PurgeValues => purge(values),
            Command::PurgeLocks => purge(locks),
            // A lock that has the token already is acquired again: the reply to an earlier attempt was lost.
            Command::Acquire => format!(
                "INSERT INTO {locks} AS held (key, token, expires_at)
                 VALUES ($1::bytea, $2::text, now() + $3::float8 * interval '1 second')
                 ON CONFLICT (key) DO UPDATE SET token = excluded.token, expires_at = excluded.expires_at
                 WHERE held.token = excluded.token OR held.expires_at <= now()"
            ),
            Command::Renew => format!(
                "UPDATE {locks} SET expires_at = now() + $3::float8 * interval '1 second'
                 WHERE key = $1::bytea AND token = $2::text AND expires_at > now()"
            ),
            Command::Release => {
                format!("DELETE FROM {locks} WHERE key = $1::bytea AND token = $2::text RETURNING expires_at > now()")
            }
            Command::Locked => {
                format!("SELECT EXISTS (SELECT 1 FROM {locks} WHERE key = $1::bytea AND expires_at > now())")
            }
        }
    }
}

/// Returns `time` as the server counts it: in microseconds, rounded up, and a century at most.
pub(crate) fn seconds(time: Duration) -> f64 {
    let microseconds = time.min(bounds::LONGEST).as_nanos().div_ceil(1000);
    // A century has fewer microseconds than the numbers that a float represents exactly.
    microseconds as f64 / 1e6
}

/// The condition that a value has not expired.
const UNEXPIRED: &str = "(expires_at IS NULL OR expires_at > now())";

/// The clause that replaces a value which exists.
const REPLACE: &str =
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at";

/// The array is made once, so that no more rows are deleted than it has.
fn purge(table: &str) -> String {
    format!(
        "DELETE FROM {table} WHERE key = ANY (ARRAY
             (SELECT key FROM {table} WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED))"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_listed_by_their_numbers() {
        for (number, command) in Command::ALL.into_iter().enumerate() {
            assert_eq!(command as usize, number);
        }
    }

    #[test]
    fn times_are_rounded_up_to_microseconds() {
        assert_eq!(seconds(Duration::ZERO), 0.0);
        assert_eq!(seconds(Duration::from_nanos(1)), 1e-6);
        assert_eq!(seconds(Duration::from_nanos(1_000_001_000)), 1.000_001);
        assert_eq!(seconds(Duration::MAX), 3_153_600_000.0);
    }
}
