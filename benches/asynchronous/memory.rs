//! The memory of a task that waits for a key, besides the future that the task owns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use dogpile_benches::rivals::verdict;
use dogpile_benches::{AsyncCreator, AsyncSubject, Failure, OURS_ASYNC};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

use super::counting::{Kept, kept_by};
use super::crowd::TASKS;
use super::subjects;

/// The most bytes of a waiting task, besides its future.
const BYTES: f64 = 500.0;
/// A time limit that no task reaches.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure() -> Result<(), Failure> {
    println!("\nbytes of each of {TASKS} tasks that wait for one key");
    println!("{:28}{:>15}{:>10}{:>10}", "", "besides future", "future", "boxed");
    for subject in subjects()? {
        let Waiter { others, future, boxed } = bytes_of_a_waiter(&subject)?;
        let target = if subject.name == OURS_ASYNC { verdict(others, BYTES) } else { String::new() };
        println!("{:28}{others:>15.0}{future:>10}{boxed:>10.0}{target}", subject.name);
    }
    Ok(())
}

/// The memory of a task that waits, in bytes.
struct Waiter {
    /// What the call keeps besides its future.
    others: f64,
    /// The future that the task awaits.
    future: usize,
    /// The parts of the future that are allocated when it begins to wait.
    boxed: f64,
}

fn bytes_of_a_waiter(subject: &AsyncSubject) -> Result<Waiter, Failure> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let (polled, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let creator = {
        let gate = Arc::clone(&gate);
        AsyncCreator::new(move || {
            let gate = Arc::clone(&gate);
            async move {
                let _permit = gate.acquire_owned().await.expect("the gate is not closed");
                7
            }
        })
    };
    let future = size_of_val(&*subject.request("cold", &creator));
    let request = |_| {
        let (mut future, polled) = (subject.request("cold", &creator), Arc::clone(&polled));
        let mut is_first = true;
        runtime.spawn(std::future::poll_fn(move |context| {
            let outcome = future.as_mut().poll(context);
            polled.fetch_add(usize::from(std::mem::take(&mut is_first)), SeqCst);
            outcome
        }))
    };
    let tasks: Vec<_> = (0..TASKS).map(request).collect();
    // All tasks run on this thread, whose allocations are counted.
    let Kept { futures, others } = kept_by(|| {
        runtime.block_on(async {
            while polled.load(SeqCst) < TASKS {
                tokio::task::yield_now().await;
            }
        });
    });
    gate.add_permits(TASKS);
    runtime.block_on(async {
        for task in tasks {
            tokio::time::timeout(PATIENCE, task).await??;
        }
        Ok::<_, Failure>(())
    })?;
    let each = |bytes: i64| bytes as f64 / TASKS as f64;
    Ok(Waiter { others: each(others), future, boxed: each(futures) })
}
