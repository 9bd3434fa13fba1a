//! How fast many tasks read on one shared connection to memcached, compared with many blocking threads.

use std::sync::Arc;
use std::thread;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_benches::Failure;
use dogpile_benches::rivals::{Rival, compare};
use serde_json::json;
use tokio::runtime::Builder;

const THREADS: usize = 64;
const TASKS: usize = 256;
/// The number of reads that all threads, or all tasks, make in a round.
const READS: usize = THREADS * TASKS;
const KEYS: usize = 1000;
/// The largest ratio of the tasks' time to that of the threads. The tasks are at least twice as fast.
const MOST: f64 = 0.5;

/// Compares the tasks and the threads, with each protocol.
pub(crate) fn compare_tasks(url: &str, rounds: usize) -> Result<(), Failure> {
    for (protocol, backend, more) in [
        ("Text", "dogpile.cache.memcached", json!({ "pool_size": THREADS })),
        ("Binary", "dogpile.cache.pylibmc", json!({ "pool_size": THREADS, "binary": true })),
    ] {
        let region = CacheRegion::new("benched");
        region.configure(RegionConfig::new(backend).arguments(&more).argument("url", url))?;
        let keys: Arc<[String]> = (0..KEYS).map(|number| format!("read:{number:06}")).collect();
        region.set_multi(keys.iter().map(|key| (key, "x".repeat(200))))?;
        let region = Arc::new(region);
        let runtime = Builder::new_multi_thread().worker_threads(2).build()?;
        let rivals = &mut [
            Rival::new("64 threads: get", || with_threads(&region, &keys)),
            Rival::new("256 tasks: get_async", || {
                runtime.block_on(with_tasks(&region, &keys)).expect("no task panics");
            })
            .at_most(MOST),
        ];
        compare(&format!("{protocol} protocol, {READS} reads of 200 bytes"), rounds, 1, rivals);
    }
    Ok(())
}

/// Returns the keys that a thread or a task reads, of which there are `count`.
fn keys_of(number: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..READS / count).map(move |read| (number * 31 + read * 7) % KEYS)
}

fn with_threads(region: &CacheRegion, keys: &[String]) {
    thread::scope(|scope| {
        for number in 0..THREADS {
            scope.spawn(move || {
                for key in keys_of(number, THREADS) {
                    let found = region.get::<String>(&keys[key]).expect("the server replies");
                    assert!(found.is_some(), "it is stored");
                }
            });
        }
    });
}

async fn with_tasks(region: &Arc<CacheRegion>, keys: &Arc<[String]>) -> Result<(), Failure> {
    let begin = |number| {
        let (region, keys) = (Arc::clone(region), Arc::clone(keys));
        tokio::spawn(async move {
            for key in keys_of(number, TASKS) {
                let found = region.get_async::<String>(&keys[key]).await.expect("the server replies");
                assert!(found.is_some(), "it is stored");
            }
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(begin).collect();
    for task in tasks {
        task.await?;
    }
    Ok(())
}
