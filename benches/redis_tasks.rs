//! What a hit on a Redis server costs tasks.
//!
//! It is compared with the multiplexed connection of the `redis` crate, and with blocking threads.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use dogpile::CacheRegion;
use dogpile_benches::Failure;
use redis::aio::MultiplexedConnection;
use tokio::runtime::{Builder, Runtime};

const KEY: &str = "tasks";
const TASKS: usize = 256;
const THREADS: usize = 64;

/// The largest ratio of the time of a task's hit, when it is the only task, to that of the crate.
const ALONE: f64 = 1.3;
/// The least throughput of many tasks, as a share of that of the crate.
const TOGETHER: f64 = 0.85;
/// The least throughput of many tasks, as a multiple of that of the blocking threads.
const THREADED: f64 = 2.5;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// The hits of one task in a round. Many tasks make ten times as many together.
    pub(crate) hits: usize,
}

type MakeBuilder = fn() -> Builder;

/// A way to make many hits. It returns when all are done.
struct Way<'a> {
    name: &'static str,
    run: Box<dyn Fn(usize) + 'a>,
    times: Vec<f64>,
}

impl<'a> Way<'a> {
    fn new(name: &'static str, run: impl Fn(usize) + 'a) -> Self {
        Way { name, run: Box::new(run), times: Vec::new() }
    }
}

/// Measures hits of a value of 200 bytes in `region`, which is over the server of `client`.
pub(crate) fn measure(
    region: &Arc<CacheRegion>,
    client: &redis::Client,
    effort: Effort,
) -> Result<(), Failure> {
    region.set(KEY, "0123456789".repeat(20))?;
    let runtimes: [(&str, MakeBuilder); 2] = [
        ("on a runtime of one thread", Builder::new_current_thread),
        ("on a runtime of two threads", || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2);
            builder
        }),
    ];
    for (name, builder) in runtimes {
        let runtime = builder().enable_all().build()?;
        let bare = runtime.block_on(client.get_multiplexed_async_connection())?;
        let mut alone = [
            Way::new("redis crate, multiplexed", |hits| bare_tasks(&runtime, &bare, 1, hits)),
            Way::new("get_or_create_async", |hits| our_tasks(&runtime, region, 1, hits)),
        ];
        compare(&format!("one task {name}"), effort.rounds, effort.hits, &mut alone);
        ratio(
            "its time per hit, beside the crate",
            &alone[1],
            &alone[0],
            |ratio| ratio <= ALONE,
            "at most 1.3",
        );
        let mut together = [
            Way::new("redis crate, multiplexed", |hits| bare_tasks(&runtime, &bare, TASKS, hits)),
            Way::new("get_or_create_async", |hits| our_tasks(&runtime, region, TASKS, hits)),
            Way::new("get_or_create, 64 threads", |hits| our_threads(region, hits)),
        ];
        compare(&format!("{TASKS} tasks {name}"), effort.rounds, effort.hits * 10, &mut together);
        let [bare, ours, threads] = &together;
        ratio("their throughput, beside the crate", bare, ours, |ratio| ratio >= TOGETHER, "at least 0.85");
        ratio("their throughput, beside threads", threads, ours, |ratio| ratio >= THREADED, "at least 2.5");
    }
    Ok(())
}

/// Lets each way make `hits` hits in each of `rounds` rounds, in alternating order, and prints hits per second.
fn compare(heading: &str, rounds: usize, hits: usize, ways: &mut [Way<'_>]) {
    // The first round only warms up.
    for round in 0..=rounds {
        let count = ways.len();
        for number in 0..count {
            let way = &mut ways[if round % 2 == 0 { number } else { count - 1 - number }];
            let begun = Instant::now();
            (way.run)(hits);
            if round > 0 {
                way.times.push(begun.elapsed().as_secs_f64() / hits as f64);
            }
        }
    }
    println!("\n{heading}");
    for way in ways {
        let time = median(way.times.iter().copied());
        println!("{:44}{:>9.1} k/s {:>9.2} µs each", way.name, 1e-3 / time, time * 1e6);
    }
}

/// Prints the ratio of two times, taken within each round, and whether it meets the target.
fn ratio(name: &str, over: &Way<'_>, under: &Way<'_>, is_met: impl Fn(f64) -> bool, target: &str) {
    let ratio = median(over.times.iter().zip(&under.times).map(|(over, under)| over / under));
    println!("{name:44}{ratio:>9.2}  {target}: {}", if is_met(ratio) { "met" } else { "missed (!)" });
}

fn median(measured: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = measured.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Runs `count` tasks, and waits for them.
fn tasks<F>(runtime: &Runtime, count: usize, task: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    runtime.block_on(async {
        let tasks: Vec<_> = (0..count).map(|_| tokio::spawn(task())).collect();
        for task in tasks {
            task.await.expect("a task hits");
        }
    });
}

fn bare_tasks(runtime: &Runtime, connection: &MultiplexedConnection, count: usize, hits: usize) {
    tasks(runtime, count, || {
        let mut connection = connection.clone();
        async move {
            for _ in 0..hits / count {
                let found: Vec<u8> = redis::cmd("GET")
                    .arg(KEY)
                    .query_async(&mut connection)
                    .await
                    .expect("the server replies");
                black_box(found);
            }
        }
    });
}

fn our_tasks(runtime: &Runtime, region: &Arc<CacheRegion>, count: usize, hits: usize) {
    tasks(runtime, count, || {
        let region = Arc::clone(region);
        async move {
            for _ in 0..hits / count {
                let found = region.get_or_create_async(KEY, async || String::new()).await;
                assert!(!found.expect("it works").is_empty(), "it is cached");
            }
        }
    });
}

fn our_threads(region: &CacheRegion, hits: usize) {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..hits / THREADS {
                    let found = region.get_or_create(KEY, String::new);
                    assert!(!found.expect("it works").is_empty(), "it is cached");
                }
            });
        }
    });
}
