//! What asynchronous calls cost, and what happens when many tasks wait for one key or their leaders are dropped.
//!
//! `cargo bench -p dogpile-benches --bench asynchronous` (a minute and a half; `-- --quick`: some seconds, to see that
//! it runs).

#[path = "asynchronous/counting.rs"]
mod counting;
#[path = "asynchronous/crowd.rs"]
mod crowd;
#[path = "asynchronous/dropped.rs"]
mod dropped;
#[path = "asynchronous/hits.rs"]
mod hits;
#[path = "asynchronous/lmdb.rs"]
mod lmdb;
#[path = "asynchronous/memory.rs"]
mod memory;

use dogpile_benches::versus::{self, MOKA_FUTURE};
use dogpile_benches::{AsyncSubject, Failure, LINKED, OURS_ASYNC, Subject, is_quick, linked, ours_async};

/// How many times as long as a hit of another cache an asynchronous hit may take.
const HIT_TARGETS: [(&str, f64); 2] = [(LINKED, 1.3), (MOKA_FUTURE, 0.5)];

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

fn main() -> Result<(), Failure> {
    let quick = is_quick()?;
    hits::measure(quick)?;
    crowd::measure(quick)?;
    memory::measure()?;
    dropped::measure()?;
    lmdb::measure(quick)
}

/// Returns our region and its rivals, each of them empty.
fn subjects() -> Result<Vec<AsyncSubject>, Failure> {
    Ok(vec![AsyncSubject::new(OURS_ASYNC, ours_async()?), versus::moka_future()])
}

/// Returns the caches whose hits are measured, each of them empty. Ours comes first.
fn hit_subjects() -> Result<Vec<Subject>, Failure> {
    let mut all = vec![Subject::of_tasks(OURS_ASYNC, ours_async()?)];
    all.extend(linked()?.into_iter().filter(|subject| subject.name == LINKED));
    all.extend(versus::async_rivals());
    Ok(all)
}
