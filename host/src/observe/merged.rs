//! [`merged`]: the statistics of regions that have one name, added up.

use super::statistics::{BackendStatistics, RegionStatistics};
use crate::outage::BreakerState;

/// Returns `regions`, with those of one name added up. Otherwise, two of them would have samples with the same labels.
pub(super) fn merged(regions: &[RegionStatistics]) -> Vec<RegionStatistics> {
    let mut merged: Vec<RegionStatistics> = Vec::with_capacity(regions.len());
    for region in regions {
        match merged.iter_mut().find(|other| other.region == region.region) {
            Some(other) => add(other, region),
            None => {
                let mut first = RegionStatistics { backends: Vec::new(), ..region.clone() };
                add_backends(&mut first.backends, &region.backends);
                merged.push(first);
            }
        }
    }
    merged
}

fn add(sum: &mut RegionStatistics, other: &RegionStatistics) {
    let counters = [
        (&mut sum.fresh_hits, other.fresh_hits),
        (&mut sum.stale_hits, other.stale_hits),
        (&mut sum.created, other.created),
        (&mut sum.waited, other.waited),
        (&mut sum.fail_safe, other.fail_safe),
        (&mut sum.degraded, other.degraded),
        (&mut sum.not_found, other.not_found),
        (&mut sum.failed, other.failed),
        (&mut sum.timed_out, other.timed_out),
        (&mut sum.canceled, other.canceled),
        (&mut sum.failed_creations, other.failed_creations),
        (&mut sum.early_refreshes, other.early_refreshes),
        (&mut sum.superseded, other.superseded),
        (&mut sum.lost_leases, other.lost_leases),
        (&mut sum.not_stored, other.not_stored),
        (&mut sum.not_serialized, other.not_serialized),
    ];
    for (sum, other) in counters {
        *sum += other;
    }
    sum.creation.add(&other.creation);
    sum.wait.add(&other.wait);
    add_backends(&mut sum.backends, &other.backends);
}

fn add_backends(sums: &mut Vec<BackendStatistics>, others: &[BackendStatistics]) {
    for other in others {
        let Some(sum) = sums.iter_mut().find(|sum| sum.backend == other.backend) else {
            sums.push(other.clone());
            continue;
        };
        sum.errors += other.errors;
        sum.call.add(&other.call);
        if sum.state.breaker == BreakerState::Closed {
            sum.state = other.state.clone();
        }
    }
}
