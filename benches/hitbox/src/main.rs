//! Compares tasks on `dogpile.cache.memory` with hitbox on its moka backend.
//!
//! Measured are hits, many requests of a cold key, and dropped leaders.
//!
//! `cargo run --release --manifest-path benches/hitbox/Cargo.toml` (two minutes; `-- --quick`: some seconds, to see that it
//! runs). The measurements are those of the bench `asynchronous`.

#[path = "../../asynchronous/crowd.rs"]
mod crowd;
#[path = "../../asynchronous/dropped.rs"]
mod dropped;
#[path = "../../asynchronous/hits.rs"]
mod hits;
mod rival;

use dogpile_benches::{AsyncSubject, Failure, OURS_ASYNC, Subject, is_quick, ours_async};

use crate::rival::{HITBOX, Hitbox};

/// How many times as long as a hit of hitbox an asynchronous hit may take.
const HIT_TARGETS: [(&str, f64); 1] = [(HITBOX, 0.5)];

fn main() -> Result<(), Failure> {
    let quick = is_quick()?;
    hits::measure(quick)?;
    crowd::measure(quick)?;
    dropped::measure()
}

/// Returns our region and hitbox, each of them empty.
fn subjects() -> Result<Vec<AsyncSubject>, Failure> {
    Ok(vec![AsyncSubject::new(OURS_ASYNC, ours_async()?), AsyncSubject::new(HITBOX, Hitbox::new())])
}

/// Returns the caches whose hits are measured, each of them empty. Ours comes first.
fn hit_subjects() -> Result<Vec<Subject>, Failure> {
    Ok(vec![Subject::of_tasks(OURS_ASYNC, ours_async()?), Subject::of_tasks(HITBOX, Hitbox::new())])
}
