//! [`TokioRuntime`]: the runtime of tokio in which a call is made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use tokio::runtime::Handle;

use super::interface::{Runtime, RuntimeFuture};
use super::timers::{Sleep, Timers};

/// The runtime of tokio in which a call is made.
#[derive(Debug)]
struct TokioRuntime(Handle);

/// Returns the runtime in which this thread is, if it is in one.
pub(super) fn current() -> Option<Arc<dyn Runtime>> {
    Some(Arc::new(TokioRuntime(Handle::try_current().ok()?)))
}

/// Returns whether this thread is polling a task of a runtime, which must not be blocked.
///
/// Tokio does not report it. Its threads for blocking calls have a current runtime and a task ID, too. But only a
/// task that is
/// being polled has a budget, after which tokio's own futures make it yield.
pub(super) fn is_polling() -> bool {
    Handle::try_current().is_ok() && has_budget()
}

/// Uses up the budget of the current task, and returns whether there is one.
fn has_budget() -> bool {
    // The budget is 128 in tokio 1.54.
    let mut context = Context::from_waker(Waker::noop());
    (0..1024).any(|_| pin!(tokio::task::coop::consume_budget()).poll(&mut context).is_pending())
}

impl Runtime for TokioRuntime {
    fn spawn(&self, future: RuntimeFuture) {
        self.0.spawn(future);
    }

    fn now(&self) -> Instant {
        let _entered = self.0.enter();
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, time: Instant) -> RuntimeFuture {
        let _entered = self.0.enter();
        // A runtime may have been built without timers, which shows only when one is created.
        match catch_unwind(AssertUnwindSafe(|| tokio::time::sleep_until(time.into()))) {
            Ok(sleep) => Box::pin(sleep),
            Err(_) => Box::pin(Sleep::new(Timers::of_process(), time)),
        }
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.0.spawn_blocking(work);
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
    }

    #[test]
    fn only_tasks_count_as_polling() {
        assert!(!is_polling());
        let runtime = runtime();
        let _entered = runtime.enter();
        assert!(!is_polling());
        assert!(runtime.block_on(async { is_polling() }));
        let task = runtime.spawn(async { is_polling() });
        assert!(runtime.block_on(task).expect("the task does not panic"));
        let blocking = runtime.spawn_blocking(is_polling);
        assert!(!runtime.block_on(blocking).expect("the call does not panic"));
    }

    #[test]
    fn runtime_without_timers_uses_those_of_the_host() {
        // It was built without `enable_time`.
        runtime().block_on(async {
            let time = Instant::now() + std::time::Duration::from_millis(10);
            current().expect("this is a runtime").sleep_until(time).await;
            assert!(Instant::now() >= time);
        });
    }
}
