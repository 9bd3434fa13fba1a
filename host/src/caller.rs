//! How warnings and errors name a caller.

use std::sync::Arc;
use std::thread;

thread_local! {
    static NAME: Arc<str> = name().into();
}

/// Returns the name of the calling thread.
pub(crate) fn this_thread() -> Arc<str> {
    NAME.try_with(Arc::clone).unwrap_or_else(|_| "a thread that ends".into())
}

fn name() -> String {
    let thread = thread::current();
    match thread.name() {
        Some(name) => format!("thread {name:?}"),
        None => format!("thread {:?}", thread.id()),
    }
}
