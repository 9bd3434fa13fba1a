//! [`Task`] and [`Batch`]: keys that are led, with what is known of their old values.

use std::sync::Arc;
use std::time::Instant;

use dogpile_sdk::Metadata;

use super::creation::Creation;
use super::led::Led;
use super::slot::Settled;

/// A value that is to be replaced.
#[derive(Debug)]
pub(crate) struct Old<V> {
    pub(crate) value: V,
    pub(crate) metadata: Metadata,
}

/// An old value that callers get if the creator fails.
#[derive(Debug)]
pub(super) struct Rescue<V> {
    pub(super) value: V,
    /// Unknown if the backend failed since the value was read.
    pub(super) metadata: Option<Metadata>,
    /// Whether the creation is an early refresh. The value is fresh then.
    pub(super) is_early: bool,
}

/// A key that the caller leads and is to create, and its old value.
#[derive(Debug)]
pub(super) struct Task<V> {
    pub(super) led: Led,
    /// What the creator gets to see.
    pub(super) old: Option<Old<V>>,
    /// What callers get if the creator fails.
    pub(super) rescue: Option<Rescue<V>>,
}

/// Keys that are led, to be created without the caller.
#[derive(Debug)]
pub(crate) struct Batch<V> {
    pub(super) tasks: Vec<Task<V>>,
    /// Begun by the caller, so that its own creation counts as the one that called this one.
    pub(super) creation: Arc<Creation>,
}

/// How long a caller waits for a creation that goes on without it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) until: Instant,
    /// Applies if the caller may not leave at the first limit.
    pub(crate) last: Option<Instant>,
}

/// How a creation went on without the caller.
pub(crate) enum Elsewhere<V, E> {
    /// It ended while the caller waited.
    Ended(Result<Vec<Settled<V>>, E>),
    /// It goes on, and the caller has waited until its limit.
    Left,
    /// It goes on, and the caller has waited until its last limit.
    LeftAtLast,
    /// It did not begin. The caller has it back.
    Back(Batch<V>),
}

impl<V> Task<V> {
    /// A task whose old value was not read.
    pub(super) fn without_old(led: Led) -> Self {
        Task { led, old: None, rescue: None }
    }
}

impl<V> Batch<V> {
    pub(super) fn new(tasks: Vec<Task<V>>) -> Self {
        let creation = Creation::new(tasks.iter().any(|task| task.led.leadership.mutex().is_some()));
        Batch { tasks, creation }
    }

    /// Returns the places of the keys.
    pub(crate) fn places(&self) -> Vec<usize> {
        self.tasks.iter().map(|task| task.led.place).collect()
    }

    /// Gives the keys other places: they are the keys of another call.
    pub(crate) fn with_places(mut self, places: impl IntoIterator<Item = usize>) -> Self {
        self.tasks.iter_mut().zip(places).for_each(|(task, place)| task.led.place = place);
        self
    }
}
