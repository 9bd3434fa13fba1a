//! Thousands of tasks that request one key.

use std::sync::atomic::{AtomicUsize, Ordering};

use smol::channel as tasks;

use super::backends::{Backend, Kind};

const TASKS: usize = 10_000;

#[test]
fn ten_thousand_tasks_of_one_key_make_one_creation() {
    for kind in [Kind::Immediate, Kind::Operations] {
        let (region, created) = (Backend::new(kind).region(), AtomicUsize::new(0));
        // The gate: the creator waits until the test has seen that all others wait.
        let (open, gate) = tasks::bounded(1);
        let creator = async || {
            created.fetch_add(1, Ordering::SeqCst);
            gate.recv().await.expect("the test opens the gate");
            7_u32
        };
        let executor = smol::Executor::new();
        let request = |_| executor.spawn(async { region.get_or_create_async("a", creator).await.unwrap() });
        let calls: Vec<_> = (0..TASKS).map(request).collect();
        let waiters = || region.creations().unwrap().first().map_or(0, |creation| creation.waiters);
        let values = smol::block_on(executor.run(async {
            while waiters() < TASKS - 1 {
                smol::future::yield_now().await;
            }
            open.send(()).await.expect("the creator waits at the gate");
            let mut values = Vec::new();
            for call in calls {
                values.push(call.await);
            }
            values
        }));
        assert_eq!(values, [7; TASKS], "{kind:?}");
        assert_eq!(created.load(Ordering::SeqCst), 1, "{kind:?}");
    }
}

/// Without the gate, tasks may come before, during, and after the creation.
#[test]
fn tasks_on_many_threads_make_one_creation() {
    let (region, created) = (Backend::new(Kind::Immediate).region(), AtomicUsize::new(0));
    let creator = async || {
        created.fetch_add(1, Ordering::SeqCst);
        smol::future::yield_now().await;
        7_u32
    };
    let executor = smol::Executor::new();
    let request = |_| executor.spawn(async { region.get_or_create_async("a", creator).await.unwrap() });
    let calls: Vec<_> = (0..TASKS).map(request).collect();
    let values: Vec<u32> = std::thread::scope(|scope| {
        let (stop, stopped) = tasks::bounded::<()>(1);
        for _ in 0..3 {
            let (executor, stopped) = (&executor, stopped.clone());
            scope.spawn(move || smol::block_on(executor.run(async { stopped.recv().await.unwrap_err() })));
        }
        let values = smol::block_on(executor.run(async {
            let mut values = Vec::new();
            for call in calls {
                values.push(call.await);
            }
            values
        }));
        drop(stop);
        values
    });
    assert_eq!(values, [7; TASKS]);
    assert_eq!(created.load(Ordering::SeqCst), 1);
}
