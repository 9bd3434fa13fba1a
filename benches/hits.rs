//! What a hit costs, measured by criterion.
//!
//! Each cache is measured on a hot key and on 100,000 Zipf keys, on one thread and on two.
//!
//! `cargo bench -p dogpile-benches --bench hits`. Criterion measures one cache after the other; to compare them,
//! `ratios` measures them by turns.

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use dogpile_benches::{Failure, Subject, Team, Workload, subjects};

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
        .configure_from_args();
    for threads in [1, 2] {
        measure(&mut criterion, Workload::hot(threads))?;
        measure(&mut criterion, Workload::zipf(threads))?;
    }
    criterion.final_summary();
    Ok(())
}

fn measure(criterion: &mut Criterion, workload: Workload) -> Result<(), Failure> {
    let workload = Arc::new(workload);
    let team = Team::new(&workload);
    let mut group =
        criterion.benchmark_group(format!("{}, threads: {}", workload.name, workload.orders.len()));
    group.sampling_mode(SamplingMode::Flat);
    for subject in subjects()? {
        subject.fill(&workload.keys);
        let subject: Arc<Subject> = Arc::new(subject);
        group.bench_function(subject.name, |bencher| {
            bencher.iter_custom(|hits| team.time(&subject, usize::try_from(hits).unwrap_or(usize::MAX)));
        });
    }
    group.finish();
    Ok(())
}
