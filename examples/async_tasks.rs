//! A cached `async fn` without tokio: 64 tasks of smol request a report at once, and it is made once. It is also made if
//! its caller gives up.
//!
//! `cargo run --release --example async_tasks`

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig, RegionError, cache_on_arguments};
use smol::{Timer, future};

const TASKS: usize = 64;
const SLOW: Duration = Duration::from_millis(200);

static REPORTS: CacheRegion = CacheRegion::new("reports");
static QUERIES: AtomicU32 = AtomicU32::new(0);

/// Stands for a slow query. `detach` makes each evaluation a task of its own, which does not end with its caller.
#[cache_on_arguments(region = REPORTS, expiration_time = "1h", detach)]
async fn report(year: u32) -> String {
    QUERIES.fetch_add(1, SeqCst);
    Timer::after(SLOW).await;
    format!("report of {year}")
}

fn main() -> Result<(), RegionError> {
    REPORTS.configure(RegionConfig::new("dogpile.cache.memory"))?;
    smol::block_on(async {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..TASKS).map(|_| smol::spawn(report(2025))).collect();
        for task in tasks {
            assert_eq!(task.await, "report of 2025");
        }
        println!("{TASKS} tasks waited {:?} for one report", begun.elapsed());
        assert_eq!(QUERIES.load(SeqCst), 1);

        match within(SLOW / 10, report(2026)).await {
            Some(report) => println!("the {report} came in time"),
            None => println!("the caller gave up"),
        }
        println!("the next caller got the {}", report(2026).await);
        assert_eq!(QUERIES.load(SeqCst), 2, "it was still made once");

        report::invalidate(2026).await?;
        assert_eq!(report::get(2026).await?, None);
        println!("after its invalidation, it was made again: {}", report(2026).await);
        assert_eq!(QUERIES.load(SeqCst), 3);
        Ok(())
    })
}

/// Drops `future` after `limit`, and returns `None` then.
async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(limit).await;
        None
    };
    future::or(async { Some(future.await) }, late).await
}
