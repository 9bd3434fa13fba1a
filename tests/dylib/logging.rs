//! The log records of a plugin reach the host's `tracing`, at the levels that the host enables.

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{fmt, reload};

use super::loaded;

/// The lines that one thread logs.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Records what this thread logs until the guard is dropped.
    pub(super) fn record() -> (Self, DefaultGuard) {
        let lines = Lines::default();
        let writer = lines.clone();
        let written = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        (lines, tracing_subscriber::registry().with(written).set_default())
    }

    /// Returns the lines since the last call.
    pub(super) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn log_records_of_a_plugin_follow_the_level_of_the_host() {
    let lines = Lines::default();
    let writer = lines.clone();
    let (level, change_level) = reload::Layer::new(LevelFilter::INFO);
    let written = fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let _kept = tracing_subscriber::registry().with(written.with_filter(level)).set_default();
    let chatty = loaded("fixture-misbehaving", "fixture.chatty");

    chatty.get("key").unwrap();
    let logged = lines.take();
    for kept in ["ERROR", "WARN", "INFO"] {
        assert!(logged.contains(&format!("{kept} fixture::chatty: reads key at {kept}")), "{logged}");
    }
    assert!(!logged.contains("at DEBUG"), "{logged}");

    change_level.modify(|level| *level = LevelFilter::TRACE).unwrap();
    chatty.get("key").unwrap();
    assert!(lines.take().contains("reads key at TRACE"));

    change_level.modify(|level| *level = LevelFilter::OFF).unwrap();
    chatty.get("key").unwrap();
    assert_eq!(lines.take(), "");
}

#[test]
fn panic_of_a_plugin_is_in_the_log_of_the_host() {
    let (lines, _recording) = Lines::record();
    let memory = loaded("dogpile-memory-dylib", super::MEMORY);
    let registry = super::registry_of(&["fixture-misbehaving"]);
    let proxy = registry.build_proxy("fixture.panicking_proxy", Default::default(), memory).unwrap();
    proxy.get("key").unwrap_err();
    let logged = lines.take();
    assert!(logged.contains("planted panic at key") && logged.contains("fixture-misbehaving"), "{logged}");
}
