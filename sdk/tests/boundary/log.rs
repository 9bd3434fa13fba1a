//! The log of the host, as a library uses it.

use std::panic::resume_unwind;
use std::sync::Mutex;

use dogpile_abi::{Host, HostRef, LogRecord};

static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A host that panics for a target of that name.
struct Panicking;

impl Host for Panicking {
    fn log_enabled(level: u8, target: &str) -> bool {
        if target == "panic" {
            resume_unwind(Box::new("planted"));
        }
        level <= 3
    }

    fn log(record: LogRecord<'_>) {
        if record.target.as_str() == "panic" {
            resume_unwind(Box::new("planted"));
        }
        let line = format!("{} {}: {}", record.level, record.target, record.message);
        LOGGED.lock().expect("no lock is poisoned").push(line);
    }
}

#[test]
fn log_records_cross_and_panics_of_the_host_are_contained() {
    let host = HostRef::of::<Panicking>();
    assert!(host.is_log_enabled(3, "shelf") && !host.is_log_enabled(4, "shelf"));
    assert!(!host.is_log_enabled(1, "panic"));
    host.write_log(1, "panic", "never seen");
    host.write_log(2, "shelf", "seen");
    assert_eq!(*LOGGED.lock().expect("no lock is poisoned"), ["2 shelf: seen"]);
}
