//! [`left_behind`]: what a round leaves when its calls have ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dogpile::CacheRegion;

/// Waits, for at most `limit`, until nothing of a round is left: no detached creation, no gate, and no lock. Returns what is
/// still there then.
pub(super) async fn left_behind(
    region: &CacheRegion,
    names: &[String],
    alive: &Arc<()>,
    limit: Duration,
) -> Option<String> {
    let deadline = Instant::now() + limit;
    loop {
        let left = what_is_left(region, names, alive).await;
        if left.is_none() || Instant::now() >= deadline {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn what_is_left(region: &CacheRegion, names: &[String], alive: &Arc<()>) -> Option<String> {
    let creators = Arc::strong_count(alive) - 1;
    if creators > 0 {
        return Some(format!("{creators} creators of the round are still there"));
    }
    // The region is this round's alone.
    let creations = region.creations().expect("the region is configured");
    if let Some(creation) = creations.first() {
        return Some(format!("a gate is left: {creation:?}"));
    }
    for name in names {
        match region.key_is_locked_async(name).await {
            Ok(false) => {}
            Ok(true) => return Some(format!("the lock of {name} is left")),
            Err(error) => return Some(format!("whether {name} is locked is not known: {error:?}")),
        }
    }
    None
}
