//! How expired rows are removed.

use std::time::Duration;

use dogpile::sdk::{CacheBackend, Entry, OnTokio};
use postgres_dogpile::Postgres;

use super::connections::sessions;
use super::server::until;
use super::{SERVER, kept_for, on_table, on_table_with, set, value};

/// Creates a table with this many expired rows.
fn expired(table: &str, rows: usize) -> OnTokio<Postgres> {
    let backend = on_table(table);
    let brief = |number| Entry::new(format!("key {number}"), value(b"x")).with_options(kept_for(1));
    backend.set_multi((0..rows).map(brief).collect()).unwrap();
    let count = format!("SELECT count(*) FROM {table} WHERE expires_at <= now()");
    until("the rows are expired", || SERVER.sql(&count) == rows.to_string());
    backend
}

/// Returns a backend that counts as another process, because it has not purged yet.
fn purging(table: &str) -> OnTokio<Postgres> {
    on_table_with(table, |config| {
        config.connections = 1;
        config.timeout = Duration::from_secs(30);
        config.purge_interval = Duration::from_secs(600);
    })
}

/// Runs `body` on the server after each statement that deletes rows. They are in the table `gone`.
fn after_each_purge(table: &str, body: &str) {
    SERVER.sql(&format!(
        "CREATE FUNCTION after_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$; \
         CREATE TRIGGER after_purge AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone \
         FOR EACH STATEMENT EXECUTE FUNCTION after_{table}()"
    ));
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn expired_rows_are_purged_by_who_stores_next() {
    let first = expired("purged", 2500);
    set(&first, "endless").unwrap();
    SERVER.sql("INSERT INTO purged_locks VALUES ('dead', 'token', now() - interval '1 hour')");
    let count = || SERVER.sql("SELECT (SELECT count(*) FROM purged), (SELECT count(*) FROM purged_locks)");
    assert_eq!(count(), "2501|1");
    let next = purging("purged");
    next.set("long", value(b"x"), &kept_for(3_600_000)).unwrap();
    until("the expired rows are gone", || count() == "2|0");
}

/// The server ends each statement that removes more rows than it can within the limit.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn purge_removes_fewer_rows_after_a_timeout() {
    drop(expired("heavy", 2500));
    let is_too_slow =
        "IF (SELECT count(*) FROM gone) > 100 THEN RAISE EXCEPTION USING ERRCODE = 'query_canceled'; END IF;";
    after_each_purge("heavy", is_too_slow);
    let backend = purging("heavy");
    set(&backend, "tea").unwrap();
    until("the expired rows are gone", || SERVER.sql("SELECT count(*) FROM heavy") == "1");
}

/// The first statement of the purge waits at a gate, which is a lock that the test holds.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn purge_delays_no_call_and_ends_when_the_backend_closes() {
    drop(expired("slow_purge", 2500));
    after_each_purge("slow_purge", "PERFORM pg_advisory_xact_lock(7);");
    let mut gate = SERVER.session();
    gate.run("SELECT pg_advisory_lock(7)");
    let backend = purging("slow_purge");
    set(&backend, "tea").unwrap();
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted";
    until("the purge is at the gate", || SERVER.sql(waiting) == "1");
    assert!(backend.get("tea").unwrap().is_some());
    set(&backend, "milk").unwrap();
    assert_eq!(SERVER.sql(waiting), "1");
    backend.close().unwrap();
    gate.run("SELECT pg_advisory_unlock(7)");
    until("the connections are closed", || sessions("slow_purge").is_empty());
    // The server completed the statement that was at the gate, and got no other one.
    assert_eq!(SERVER.sql("SELECT count(*) FROM slow_purge"), "1502");
}
