//! 10,000 tasks request a key that is not cached, and its creator takes 50 ms.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dogpile_benches::rivals::verdict;
use dogpile_benches::{AsyncCreator, AsyncSubject, Dice, Failure, OURS_ASYNC, Summary};
use tokio::runtime::{Builder, Runtime};

use super::subjects;

pub(crate) const TASKS: usize = 10_000;
const CREATION: Duration = Duration::from_millis(50);
const ROUNDS: usize = 21;
/// A time limit that no task reaches.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest time from the creator's end until the last task has the value, in milliseconds.
const LAST_TASK: f64 = 15.0;

/// What was measured of one cache, in each round.
struct Measured {
    subject: AsyncSubject,
    creations: Vec<usize>,
    /// The times from the creator's end until the last task had the value, in milliseconds.
    last_tasks: Vec<f64>,
}

pub(crate) fn measure(quick: bool) -> Result<(), Failure> {
    let rounds = if quick { 1 } else { ROUNDS };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let new = |subject| Measured { subject, creations: Vec::new(), last_tasks: Vec::new() };
    let mut measured: Vec<Measured> = subjects()?.into_iter().map(new).collect();
    let (mut dice, mut order) = (Dice::default(), Vec::from_iter(0..measured.len()));
    for round in 0..rounds {
        dice.shuffle(&mut order);
        for &place in &order {
            let one = &mut measured[place];
            let (creations, last_task) = request_by_all(&runtime, &one.subject, &format!("cold:{round}"))?;
            one.creations.push(creations);
            one.last_tasks.push(last_task);
        }
    }
    println!(
        "\n{TASKS} tasks on two threads, a cold key, a creator of {} ms; {rounds} rounds",
        CREATION.as_millis()
    );
    println!("{:28}{:>16}   last task after the creator's end, ms", "", "creations a round");
    println!("{:28}{:>16}   {:>8}{:>12}{:>8}", "", "", "median", "9th decile", "most");
    measured.iter().for_each(print);
    Ok(())
}

/// Returns the number of creations, and when the last task had the value.
fn request_by_all(runtime: &Runtime, subject: &AsyncSubject, key: &str) -> Result<(usize, f64), Failure> {
    let (creations, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(OnceLock::new()));
    let creator = {
        let shared = (Arc::clone(&creations), Arc::clone(&ended));
        AsyncCreator::new(move || {
            let (creations, ended) = shared.clone();
            async move {
                creations.fetch_add(1, SeqCst);
                tokio::time::sleep(CREATION).await;
                ended.get_or_init(Instant::now);
                7
            }
        })
    };
    let request = |_| {
        let future = subject.request(key, &creator);
        runtime.spawn(async move {
            let value = future.await;
            (value, Instant::now())
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(request).collect();
    let last = runtime.block_on(async {
        let mut last = None;
        for task in tasks {
            let (value, returned) = tokio::time::timeout(PATIENCE, task).await??;
            assert_eq!(value, 7, "a cache returned another value");
            last = last.max(Some(returned));
        }
        Ok::<_, Failure>(last)
    })?;
    let (last, ended) = (last.ok_or("no task ran")?, *ended.get().ok_or("no creator ran")?);
    Ok((creations.load(SeqCst), last.duration_since(ended).as_secs_f64() * 1e3))
}

fn print(measured: &Measured) {
    let fewest = measured.creations.iter().min().copied().unwrap_or_default();
    let most = measured.creations.iter().max().copied().unwrap_or_default();
    let late = Summary::of(measured.last_tasks.iter().copied());
    print!("{:28}{:>16}   ", measured.subject.name, format!("{fewest} to {most}"));
    print!("{:>8.2}{:>12.2}{:>8.2}", late.median, late.high, late.max);
    if measured.subject.name == OURS_ASYNC {
        let one = if most == 1 { "met" } else { "missed (!)" };
        print!("  one creation: {one}; median{}", verdict(late.median, LAST_TASK));
    }
    println!();
}
