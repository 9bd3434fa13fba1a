//! Which calls have a span.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use dogpile::{CacheRegion, CallSpan, EventKind, Observer, RegionConfig};
use smol::block_on;

use super::setup::{Failing, region};

/// Notes the beginnings and endings of spans.
#[derive(Debug, Default)]
struct Tracing(Arc<Mutex<Vec<String>>>);

struct Span(Arc<Mutex<Vec<String>>>);

impl CallSpan for Span {
    fn end(&self, ending: &EventKind<'_>) {
        self.0.lock().unwrap().push(ending.name().to_owned());
    }
}

impl Observer for Tracing {
    fn begin(&self, _region: &str, keys: &[&str]) -> Option<Arc<dyn CallSpan>> {
        self.0.lock().unwrap().push(keys.join(","));
        Some(Arc::new(Span(Arc::clone(&self.0))))
    }
}

/// A form of calls, which requests the key `key`, and `other` if it is for several keys. It returns whether it succeeded.
type Form = (&'static str, fn(&CacheRegion) -> bool);

const KEYS: [&str; 2] = ["key", "other"];

fn make(keys: &[&str]) -> Vec<i32> {
    vec![1; keys.len()]
}

async fn make_async(keys: Vec<String>) -> Vec<i32> {
    vec![1; keys.len()]
}

const FORMS: [Form; 14] = [
    ("single", |region| region.get_or_create("key", || 1).is_ok()),
    ("single with outcome", |region| region.options().with_outcome().get_or_create("key", || 1).is_ok()),
    ("single in the background", |region| region.options().background().get_or_create("key", || 1).is_ok()),
    ("single async", |region| block_on(region.get_or_create_async("key", async || 1)).is_ok()),
    ("single async with outcome", |region| {
        block_on(region.options().with_outcome().get_or_create_async("key", async || 1)).is_ok()
    }),
    ("single detached", |region| {
        block_on(region.options().detach().get_or_create_async("key", async || 1)).is_ok()
    }),
    ("single detached with outcome", |region| {
        block_on(region.options().detach().with_outcome().get_or_create_async("key", async || 1)).is_ok()
    }),
    ("multi", |region| region.get_or_create_multi(&KEYS, make).is_ok()),
    ("multi with outcome", |region| region.options().with_outcome().get_or_create_multi(&KEYS, make).is_ok()),
    ("multi in the background", |region| {
        region.options().background().get_or_create_multi(&KEYS, make).is_ok()
    }),
    ("multi async", |region| block_on(region.get_or_create_multi_async(&KEYS, make_async)).is_ok()),
    ("multi async with outcome", |region| {
        block_on(region.options().with_outcome().get_or_create_multi_async(&KEYS, make_async)).is_ok()
    }),
    ("multi detached", |region| {
        block_on(region.options().detach().get_or_create_multi_async(&KEYS, make_async)).is_ok()
    }),
    ("multi detached with outcome", |region| {
        let call = region.options().detach().with_outcome();
        block_on(call.get_or_create_multi_async(&KEYS, make_async)).is_ok()
    }),
];

/// A call has a span once it has read its keys and not found all of them fresh, whatever its form and its backend. So a hit
/// has none, and neither has a call whose keys cannot be read.
#[test]
fn call_has_a_span_unless_it_ends_with_its_first_read() {
    for (name, call) in FORMS {
        for store in [Failing::default(), Failing::immediate()] {
            let (store, observer) = (Arc::new(store), Arc::new(Tracing::default()));
            let region = region(RegionConfig::from_instance(store.clone()).observer(observer.clone()));
            let told = || std::mem::take(&mut *observer.0.lock().unwrap());
            let keys = if name.starts_with("multi") { "key,other" } else { "key" };
            assert!(call(&region));
            assert_eq!(told(), [keys, "created"], "{name} creates");
            assert!(call(&region));
            assert_eq!(told(), [""; 0], "{name} finds all values");
            region.delete("key").unwrap();
            assert!(call(&region));
            assert_eq!(told(), [keys, "created"], "{name} finds some values");
            store.fails.store(true, SeqCst);
            assert!(!call(&region));
            assert_eq!(told(), [""; 0], "{name} cannot read");
        }
    }
}
