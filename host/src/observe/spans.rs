//! [`Spans`]: the spans of a call, and how its creator runs within them.

use std::any::Any;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use super::contained::{Identity, Own, contained};
use super::event::EventKind;
use super::span::CallSpan;

/// The spans of a call, one for each observer that began one.
#[derive(Clone)]
pub(crate) struct Spans {
    region: Arc<str>,
    spans: Arc<[OwnSpan]>,
}

/// A span, and the observer that began it.
type OwnSpan = (Identity, Arc<dyn CallSpan>);

impl Spans {
    /// Begins the spans of a call for `keys`.
    pub(super) fn begin(region: &Arc<str>, observers: &[Own], keys: &[&str]) -> Option<Self> {
        let begin = |Own { identity, observer }: &Own| {
            let span = contained(region, *identity, &**observer, |observer| observer.begin(region, keys));
            Some((*identity, span.flatten()?))
        };
        Spans::of(region, observers.iter().filter_map(begin).collect())
    }

    fn of(region: &Arc<str>, spans: Vec<OwnSpan>) -> Option<Self> {
        (!spans.is_empty()).then(|| Spans { region: Arc::clone(region), spans: spans.into() })
    }

    /// Begins the spans of a refresh in the background.
    pub(crate) fn refresh(&self, keys: &[&str]) -> Option<Self> {
        let refresh = |(identity, span): &OwnSpan| {
            let refresh = contained(&self.region, *identity, &**span, |span| span.refresh(keys));
            Some((*identity, refresh.flatten()?))
        };
        Spans::of(&self.region, self.spans.iter().filter_map(refresh).collect())
    }

    pub(crate) fn end(&self, ending: &EventKind<'_>) {
        for (identity, span) in self.spans.iter() {
            contained(&self.region, *identity, &**span, |span| span.end(ending));
        }
    }

    fn enter(&self) -> Vec<Option<Box<dyn Any>>> {
        let enter = |(identity, span): &OwnSpan| {
            contained(&self.region, *identity, &**span, |span| span.enter()).flatten()
        };
        self.spans.iter().map(enter).collect()
    }
}

/// Runs `future` within `spans`.
pub(crate) async fn within<F: Future>(spans: Option<&Spans>, mut future: Pin<&mut F>) -> F::Output {
    poll_fn(|context| {
        let _entered = spans.map(Spans::enter);
        future.as_mut().poll(context)
    })
    .await
}
