//! A progress bar, for commands that run for seconds.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The number of columns of the bar.
const BAR: usize = 40;

/// Returns the result of `work`. Meanwhile, a terminal shows the progress. `done` returns a share from 0 to 1.
pub(crate) fn shown<R>(show: bool, done: impl Fn() -> f64 + Sync, work: impl FnOnce() -> R) -> R {
    if !show || !stderr().is_terminal() {
        return work();
    }
    let ended = AtomicBool::new(false);
    let (done, ended) = (&done, &ended);
    thread::scope(|scope| {
        scope.spawn(move || draw(done, ended));
        // The scope waits for the bar, also if the work panics.
        let _ending = Ending(ended);
        work()
    })
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Draws the bar, once at least, until the work has `ended`.
fn draw(done: impl Fn() -> f64, ended: &AtomicBool) {
    loop {
        let share = done().clamp(0.0, 1.0);
        let (filled, percent) = ((BAR as f64 * share) as usize, (100.0 * share) as u64);
        // A terminal that was closed shows nothing, and the work goes on.
        let _ = write!(stderr(), "\r[{}{}] {percent:3} %", "#".repeat(filled), " ".repeat(BAR - filled));
        if ended.load(Ordering::Acquire) {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let _ = write!(stderr(), "\r{}\r", " ".repeat(BAR + 10));
}
