//! How much memory a task takes that waits for another one's creation.

use std::future::pending;
use std::pin::pin;
use std::task::{Context, Waker};

use allocation_counter::measure;
use dogpile::{CacheRegion, RegionConfig};

const WAITERS: usize = 1000;

#[test]
fn waiting_task_takes_little_memory() {
    let region = CacheRegion::new("waited for");
    region.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    // A runtime with timers, as most tasks have.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let mut context = Context::from_waker(Waker::noop());
    let mut leader = pin!(region.get_or_create_async("a", pending::<u64>));
    assert!(leader.as_mut().poll(&mut context).is_pending());
    let mut waiters: Vec<_> =
        (0..WAITERS).map(|_| Box::pin(region.get_or_create_async("a", pending::<u64>))).collect();
    let taken = measure(|| {
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut context).is_pending());
        }
    });
    assert_eq!(region.creations().unwrap()[0].waiters, WAITERS);
    let each = taken.bytes_current / WAITERS as i64;
    let allocations = taken.count_current / WAITERS as i64;
    println!(
        "{each} bytes in {allocations} allocations for each waiting task, and {} for its future",
        size_of_val(&*waiters[0])
    );
    // Most of it is the part of its future that is boxed on a miss, with the policy of the call.
    assert!(each < 2300, "{each} bytes for each waiting task");
}
