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

struct Listener {
    field: &'static str,
    value: String,
    told: Mutex<Vec<Told>>,
    reaction: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Listener");
        shown.field("field", &self.field).field("value", &self.value).finish_non_exhaustive()
    }
}

impl Listener {
    fn hears(&self, told: &Told) -> bool {
        match self.field {
            "message" => told.message.contains(&self.value),
            field => told.fields.get(field) == Some(&self.value),
        }
    }
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
        Events::listen(field, value.into(), None)
    }

    /// Collects events whose `field` is `value`, and calls `reaction` at the first one.
    ///
    /// The thread that logs the event makes the call. With the field `message`, `value` is a part of the message.
    pub fn reacting(
        field: &'static str,
        value: impl Into<String>,
        reaction: impl FnOnce() + Send + 'static,
    ) -> Self {
        Events::listen(field, value.into(), Some(Box::new(reaction)))
    }

    fn listen(field: &'static str, value: String, reaction: Option<Box<dyn FnOnce() + Send>>) -> Self {
        let reaction = Mutex::new(reaction);
        let listener = Arc::new(Listener { field, value, told: Mutex::default(), reaction });
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
        let listeners: Vec<Arc<Listener>> = {
            let mut listeners = LISTENERS.lock();
            listeners.retain(|listener| listener.strong_count() > 0);
            listeners.iter().filter_map(Weak::upgrade).collect()
        };
        for listener in listeners.iter().filter(|listener| listener.hears(&told)) {
            listener.told.lock().push(told.clone());
            let reaction = listener.reaction.lock().take();
            if let Some(reaction) = reaction {
                reaction();
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
