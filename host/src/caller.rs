//! How warnings and errors name a caller.

use std::sync::Arc;
use std::thread;

use crate::engine::{Leader, Role};

thread_local! {
    static NAME: Arc<str> = name().into();
}

/// Returns the calling thread.
pub(crate) fn this_thread() -> Leader {
    let name = NAME.try_with(Arc::clone).unwrap_or_else(|_| "a thread that ends".into());
    Leader { name, role: Role::Thread }
}

fn name() -> String {
    let thread = thread::current();
    match thread.name() {
        Some(name) => format!("thread {name:?}"),
        None => format!("thread {:?}", thread.id()),
    }
}

/// Returns the calling task.
pub(crate) fn this_task() -> Leader {
    Leader { name: task_name(), role: Role::Task }
}

fn task_name() -> Arc<str> {
    #[cfg(feature = "tokio")]
    if let Some(id) = tokio::task::try_id() {
        return format!("task {id}").into();
    }
    "a task".into()
}
