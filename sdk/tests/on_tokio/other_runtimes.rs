//! Calls from inside another tokio runtime.

use std::sync::Arc;

use dogpile_sdk::{CacheBackend, OnTokio, Pending, StoreOptions};
use tokio::runtime::{Builder, Runtime};

use super::drawer::Drawer;
use super::{LIMIT, start, value};

fn runtimes() -> [Runtime; 2] {
    let many = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    [Builder::new_current_thread().enable_all().build().unwrap(), many]
}

/// Makes blocking calls, and drops the last owner.
fn use_up(backend: OnTokio<Drawer>) {
    backend.set("a", value("1"), &StoreOptions::new()).unwrap();
    assert_eq!(backend.get("a").unwrap(), Some(value("1")));
    assert!(backend.get_mutex("m").unwrap().try_acquire().unwrap());
    drop(backend);
}

#[test]
fn backend_is_used_and_dropped_inside_another_runtime() {
    for other in runtimes() {
        other.block_on(async { use_up(start(1).0) });
        let task = other.spawn(async { use_up(start(1).0) });
        other.block_on(task).unwrap();
    }
}

#[test]
fn blocking_calls_work_inside_a_local_set() {
    for other in runtimes() {
        let local = tokio::task::LocalSet::new();
        local.block_on(&other, async { use_up(start(1).0) });
    }
}

#[test]
fn asynchronous_calls_are_awaited_on_another_runtime() {
    for other in runtimes() {
        let backend: Arc<dyn CacheBackend> = Arc::new(start(1).0);
        let calls = backend.operations().unwrap();
        other.block_on(async {
            let many = (0..100).map(|number| {
                let (calls, key) = (Arc::clone(&calls), number.to_string());
                let begin =
                    Pending::begin(|done| calls.begin_set(&key, value(&key), &StoreOptions::new(), done));
                async move {
                    begin.await.unwrap();
                    assert_eq!(
                        Pending::begin(|done| calls.begin_get(&key, done)).await.unwrap(),
                        Some(value(&key))
                    );
                }
            });
            let tasks: Vec<_> = many.map(tokio::spawn).collect();
            for task in tasks {
                tokio::time::timeout(LIMIT, task).await.unwrap().unwrap();
            }
        });
    }
}
