//! A recipe: after a write, a thread refreshes the cached value, and readers never wait for it.
//!
//! The code that writes sends the changed items to a thread. The thread calls the cached functions' `refresh`.
//! dogpile.cache's documentation does this with the events of an ORM.
//!
//! `cargo run --example refresh_after_write`

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use dogpile::{CacheRegion, RegionConfig, RegionError, cache_on_arguments};

static PRICES: CacheRegion = CacheRegion::new("prices");
/// The values of an imaginary database.
static STORED: [AtomicU32; 3] = [AtomicU32::new(100), AtomicU32::new(200), AtomicU32::new(300)];

/// Stands for a slow query.
#[cache_on_arguments(region = PRICES)]
fn price(item: usize) -> Option<u32> {
    STORED.get(item).map(|price| price.load(SeqCst))
}

/// Refreshes each item that is received, until all senders are gone.
fn refresh(changed: &Receiver<usize>) -> Result<usize, RegionError> {
    let mut refreshed = 0;
    for item in changed {
        price::refresh(item)?;
        refreshed += 1;
    }
    Ok(refreshed)
}

fn main() -> Result<(), RegionError> {
    PRICES.configure(RegionConfig::new("dogpile.cache.memory"))?;
    let (tell, changed) = channel();
    let refresher = thread::spawn(move || refresh(&changed));
    println!("before: {:?}", [price(0), price(1), price(2)]);

    for (item, new) in [(0, 110), (2, 330)] {
        STORED[item].store(new, SeqCst);
        // The thread runs until all senders are gone.
        let _ = tell.send(item);
    }
    println!("meanwhile, old or new, and at once: {:?}", [price(0), price(1), price(2)]);

    drop(tell);
    let refreshed = refresher.join().expect("the thread does not panic")?;
    let after = [price::get(0)?, price::get(1)?, price::get(2)?].map(Option::flatten);
    println!("after {refreshed} refreshes: {after:?}");
    assert_eq!(after, [Some(110), Some(200), Some(330)]);
    Ok(())
}
