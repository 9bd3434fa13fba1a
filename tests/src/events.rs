//! The `tracing` events that the host logs, for tests to read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

/// A logged event.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The event's level.
    pub level: Level,
    /// The event's message.
    pub message: String,
    /// The event's other fields, as strings.
    pub fields: BTreeMap<&'static str, String>,
}

/// Collects the events with a certain field from all threads until it is dropped.
#[derive(Debug)]
pub struct Events(Arc<Listener>);

#[derive(Debug)]
struct Listener {
    field: &'static str,
    value: String,
    told: Mutex<Vec<Told>>,
}

static LISTENERS: LazyLock<Mutex<Vec<Weak<Listener>>>> = LazyLock::new(|| {
    // Use one subscriber for the whole binary. With a subscriber per thread, `tracing` would disable a callsite
    // that a thread without a subscriber reaches first.
    tracing_subscriber::registry().with(Ear).init();
    Mutex::default()
});

impl Events {
    /// Collects events whose `field` is `value`; choose a value that no other test uses.
    pub fn with(field: &'static str, value: impl Into<String>) -> Self {
        let listener = Arc::new(Listener { field, value: value.into(), told: Mutex::default() });
        LISTENERS.lock().push(Arc::downgrade(&listener));
        Events(listener)
    }

    /// Collects the events of the region called `name`.
    pub fn of_region(name: impl Into<String>) -> Self {
        Events::with("region", name)
    }

    /// Takes the events that were logged since the last call.
    pub fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.0.told.lock())
    }

    /// Takes the messages of the events that were logged since the last call.
    pub fn messages(&self) -> Vec<String> {
        self.take().into_iter().map(|told| told.message).collect()
    }
}

struct Ear;

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = *event.metadata().level();
        let mut told = Told { level, message: String::new(), fields: BTreeMap::new() };
        event.record(&mut told);
        let mut listeners = LISTENERS.lock();
        listeners.retain(|listener| listener.strong_count() > 0);
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            if told.fields.get(listener.field) == Some(&listener.value) {
                listener.told.lock().push(told.clone());
            }
        }
    }
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.fields.insert(field.name(), value.to_owned());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
