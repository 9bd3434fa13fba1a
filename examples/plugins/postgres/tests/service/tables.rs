//! What the tables contain, and how they are created.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use dogpile::sdk::{CacheBackend, Entry, ErrorKind, Fence, StoreOptions};

use super::{CALLS, SERVER, kept_for, on_table, on_table_with, set, value};

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn tables_are_created_once_by_all_who_start() {
    for round in 0..5 {
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let backend = on_table(&format!("together_{round}"));
                    start.wait();
                    set(&backend, "tea").unwrap();
                });
            }
        });
    }
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn tables_are_created_as_arguments_say() {
    let kind =
        |table: &str| SERVER.sql(&format!("SELECT relpersistence FROM pg_class WHERE relname = '{table}'"));
    set(&on_table("fast"), "tea").unwrap();
    let durable = on_table_with("durable", |config| config.unlogged = false);
    set(&durable, "tea").unwrap();
    assert_eq!(["fast", "fast_locks", "durable", "durable_locks"].map(kind), ["u", "u", "p", "p"]);
    let absent = on_table_with("absent", |config| config.create_tables = false);
    let error = set(&absent, "tea").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let why = "has no such table: it replied 42P01; create it, or set \"create_tables\"";
    assert!(error.to_string().ends_with(why), "{error}");
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn foreign_table_is_reported() {
    SERVER.sql("CREATE TABLE foreign_one (id int)");
    let error = set(&on_table("foreign_one"), "tea").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("has other tables than expected"), "{error}");
}

/// Tables that were made by hand, with columns of other types.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn tables_of_other_types_are_reported_by_each_call() {
    for (table, of_values, of_locks) in [
        ("text_values", "key bytea PRIMARY KEY, value text", "key bytea PRIMARY KEY, token text"),
        ("text_keys", "key text PRIMARY KEY, value bytea", "key bytea PRIMARY KEY, token text"),
        ("text_locks", "key bytea PRIMARY KEY, value bytea", "key text PRIMARY KEY, token text"),
        ("byte_tokens", "key bytea PRIMARY KEY, value bytea", "key bytea PRIMARY KEY, token bytea"),
    ] {
        SERVER.sql(&format!(
            "CREATE TABLE {table} ({of_values}, expires_at timestamptz); \
             CREATE TABLE {table}_locks ({of_locks}, expires_at timestamptz)"
        ));
        let backend = on_table(table);
        for (name, call) in CALLS {
            let error = call(&backend).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{table}, {name}: {error}");
            assert!(error.to_string().contains("has other tables than expected"), "{table}, {name}: {error}");
        }
    }
}

/// Another program stored it, in a table that was made by hand.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn null_is_a_missing_value() {
    SERVER.sql(
        "CREATE TABLE nulls (key bytea PRIMARY KEY, value bytea, expires_at timestamptz); \
         INSERT INTO nulls VALUES ('tea', NULL, NULL)",
    );
    let backend = on_table("nulls");
    set(&backend, "milk").unwrap();
    assert_eq!(backend.get("tea").unwrap(), None);
    let found = backend.get_multi(&["tea", "milk"]).unwrap();
    assert_eq!(found, [None, Some(value(b"x"))]);
    set(&backend, "tea").unwrap();
    assert_eq!(backend.get("tea").unwrap(), Some(value(b"x")));
}

/// The tables of a backend that is in use disappear.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn dropped_tables_are_created_again() {
    let backend = on_table_with("dropped", |config| config.connections = 1);
    let is_locked = || backend.get_mutex("tea").unwrap().locked().unwrap();
    for _ in 0..3 {
        set(&backend, "tea").unwrap();
        assert!(!is_locked());
        SERVER.sql("DROP TABLE dropped, dropped_locks");
        assert_eq!(backend.get("tea").unwrap(), None);
        assert!(!is_locked());
    }
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn overlapping_batches_do_not_deadlock() {
    let keys: Vec<String> = (0..100).map(|number| format!("key {number}")).collect();
    let reversed: Vec<String> = keys.iter().rev().cloned().collect();
    let entries = |keys: &[String]| keys.iter().map(|key| Entry::new(key, value(b"x"))).collect();
    thread::scope(|scope| {
        for keys in [&keys, &reversed] {
            scope.spawn(|| {
                let backend = on_table("crossed");
                (0..100).for_each(|_| backend.set_multi(entries(keys)).unwrap());
            });
            scope.spawn(|| {
                let backend = on_table("crossed");
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                (0..100).for_each(|_| backend.delete_multi(&keys).unwrap());
            });
        }
    });
}

#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn default_lifetime_holds_for_values_without_one() {
    let backend = on_table_with("mortal", |config| config.time_to_live = Some(Duration::from_secs(3600)));
    set(&backend, "default").unwrap();
    backend.set("own", value(b"x"), &kept_for(60_000)).unwrap();
    let minutes = "SELECT round(extract(epoch FROM expires_at - now()) / 60) FROM mortal ORDER BY key";
    assert_eq!(SERVER.sql(minutes), "60\n1");
}

/// A creator lost its lock to another one, which may have stored a newer value.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn value_of_a_lost_lock_is_not_stored() {
    let backend = on_table("lost");
    let mutex = backend.get_mutex("tea").unwrap();
    assert!(mutex.try_acquire().unwrap());
    let ours = mutex.fence().unwrap();
    SERVER.sql("UPDATE lost_locks SET token = 'of another'");
    for fence in [ours, Fence::new(&b"\xff"[..])] {
        let error = backend.set("tea", value(b"old"), &StoreOptions::new().with_fence(fence)).unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::Fenced, Some("tea")));
    }
    assert_eq!(backend.get("tea").unwrap(), None);
    assert_eq!(mutex.release().unwrap_err().kind(), ErrorKind::NotHeld);
}

/// The lock expired on the server, as after a pause of the process, and no other creator has taken it.
#[test]
#[cfg_attr(missing_postgres, ignore = "PostgreSQL is not installed")]
fn expired_lock_is_not_held() {
    let backend = on_table("expired");
    let mutex = backend.get_mutex("tea").unwrap();
    assert!(mutex.try_acquire().unwrap());
    let options = StoreOptions::new().with_fence(mutex.fence().unwrap());
    SERVER.sql("UPDATE expired_locks SET expires_at = now()");
    assert!(!mutex.locked().unwrap());
    assert_eq!(backend.set("tea", value(b"old"), &options).unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(mutex.release().unwrap_err().kind(), ErrorKind::NotHeld);
    assert!(backend.get_mutex("tea").unwrap().try_acquire().unwrap());
}
