//! [`Rates`]: what happened in a region between two snapshots.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::snapshot::{Backend, Histogram, Region, Snapshot, grown};

/// What happened in a region between two snapshots of a process, or of several processes.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    pub(super) region: String,
    /// Requests each second, by their outcome.
    outcomes: BTreeMap<String, f64>,
    /// Requests so far, by their outcome.
    totals: BTreeMap<String, u64>,
    /// Calls of creators each second.
    pub(super) creations: f64,
    /// Calls of creators each second that failed.
    pub(super) failed_creations: f64,
    /// Calls of backends each second that failed.
    pub(super) backend_errors: f64,
    /// How long creators ran.
    creation: Histogram,
    /// The creations in progress, those that wait for them, and the age of the oldest one in seconds.
    pub(super) in_progress: u64,
    pub(super) waiters: u64,
    pub(super) oldest: Option<f64>,
    /// How many processes have a breaker in this state.
    pub(super) open: u64,
    pub(super) half_open: u64,
    /// The number of processes.
    pub(super) processes: u64,
    /// The last failure of a backend whose breaker is not closed.
    pub(super) last_error: Option<String>,
}

/// Returns what happened in each region of a process since `earlier`, and in how many seconds.
///
/// Without an earlier snapshot of the same process, it is all that has happened.
pub(super) fn rates(now: &Snapshot, earlier: Option<&Snapshot>) -> (f64, Vec<Rates>) {
    let same = |earlier: &&Snapshot| earlier.pid == now.pid && earlier.uptime_seconds < now.uptime_seconds;
    let earlier = earlier.filter(same);
    let seconds = now.uptime_seconds - earlier.map_or(0.0, |earlier| earlier.uptime_seconds);
    // A process may send any number.
    let seconds = if seconds.is_finite() { seconds.max(1e-3) } else { 1.0 };
    let before = summed(earlier.map_or(&[], |earlier| &earlier.regions));
    let nothing = Region::default();
    let of_region =
        |(name, region): (&String, &Region)| Rates::of(region, before.get(name).unwrap_or(&nothing), seconds);
    (seconds, summed(&now.regions).iter().map(of_region).collect())
}

/// Returns the regions of a process by name. Those with the same name are added up.
fn summed(regions: &[Region]) -> BTreeMap<String, Region> {
    let mut by_name: BTreeMap<String, Region> = BTreeMap::new();
    for region in regions {
        let Some(sum) = by_name.get_mut(&region.region) else {
            by_name.insert(region.region.clone(), region.clone());
            continue;
        };
        for (outcome, count) in &region.requests {
            let total = sum.requests.entry(outcome.clone()).or_default();
            *total = total.saturating_add(*count);
        }
        sum.failed_creations = sum.failed_creations.saturating_add(region.failed_creations);
        sum.creation.add(&region.creation);
        let (all, more) = (&mut sum.creations_in_progress, &region.creations_in_progress);
        all.count = all.count.saturating_add(more.count);
        all.waiters = all.waiters.saturating_add(more.waiters);
        let oldest = [sum.creations_in_progress.oldest_seconds, region.creations_in_progress.oldest_seconds];
        sum.creations_in_progress.oldest_seconds = oldest.into_iter().flatten().reduce(f64::max);
        sum.backends.extend(region.backends.iter().cloned());
    }
    by_name
}

impl Rates {
    fn of(now: &Region, before: &Region, seconds: f64) -> Self {
        let rate = |now: u64, before: u64| grown(now, before) as f64 / seconds;
        let since = |(outcome, count): (&String, &u64)| {
            (outcome.clone(), rate(*count, before.requests.get(outcome).copied().unwrap_or_default()))
        };
        let errors =
            |region: &Region| region.backends.iter().fold(0, |sum: u64, one| sum.saturating_add(one.errors));
        let is_in = |state: &str| now.backends.iter().any(|backend| backend.breaker == state);
        let failing = now.backends.iter().find(|backend| backend.breaker != "closed");
        Rates {
            region: now.region.clone(),
            outcomes: now.requests.iter().map(since).collect(),
            totals: now.requests.clone(),
            creations: rate(now.creation.count, before.creation.count),
            failed_creations: rate(now.failed_creations, before.failed_creations),
            backend_errors: rate(errors(now), errors(before)),
            creation: now.creation.since(&before.creation),
            in_progress: now.creations_in_progress.count,
            waiters: now.creations_in_progress.waiters,
            oldest: now.creations_in_progress.oldest_seconds,
            open: u64::from(is_in("open")),
            half_open: u64::from(is_in("half_open") && !is_in("open")),
            processes: 1,
            last_error: failing.map(described),
        }
    }

    /// Adds what happened in another process or region.
    pub(super) fn add(&mut self, other: &Rates) {
        for (outcome, rate) in &other.outcomes {
            *self.outcomes.entry(outcome.clone()).or_default() += rate;
        }
        for (outcome, count) in &other.totals {
            let total = self.totals.entry(outcome.clone()).or_default();
            *total = total.saturating_add(*count);
        }
        self.creations += other.creations;
        self.failed_creations += other.failed_creations;
        self.backend_errors += other.backend_errors;
        self.creation.add(&other.creation);
        self.in_progress = self.in_progress.saturating_add(other.in_progress);
        self.waiters = self.waiters.saturating_add(other.waiters);
        self.oldest = [self.oldest, other.oldest].into_iter().flatten().reduce(f64::max);
        self.open += other.open;
        self.half_open += other.half_open;
        self.processes += other.processes;
        self.last_error = self.last_error.take().or_else(|| other.last_error.clone());
    }

    fn outcome(&self, name: &str) -> f64 {
        self.outcomes.get(name).copied().unwrap_or_default()
    }

    /// Returns the number of requests each second.
    pub(super) fn requests(&self) -> f64 {
        self.outcomes.values().sum()
    }

    /// Returns the share of requests that found a value, fresh or stale.
    pub(super) fn hit_ratio(&self) -> Option<f64> {
        let requests = self.requests();
        (requests > 0.0).then(|| (self.outcome("hit") + self.outcome("stale_served")) / requests)
    }

    /// Returns how many requests each second waited for another caller and got its value. Each saved a call of a creator.
    ///
    /// This is the rate of `waiters_saved()`. A request that got an old value is a hit.
    pub(super) fn saved(&self) -> f64 {
        self.outcome("waited")
    }

    /// Returns how many requests each second returned an error.
    pub(super) fn errors(&self) -> f64 {
        self.outcome("failed") + self.outcome("timed_out")
    }

    /// Returns how long a creator ran, in seconds.
    pub(super) fn creation_quantile(&self, quantile: f64) -> Option<f64> {
        self.creation.quantile(quantile)
    }

    /// Returns the state of the breaker in most trouble.
    pub(super) fn breaker(&self) -> &'static str {
        match (self.open, self.half_open) {
            (0, 0) => "closed",
            (0, _) => "half_open",
            _ => "open",
        }
    }

    /// Returns the rates for programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "region": self.region,
            "requests_per_second": self.requests(),
            "hit_ratio": self.hit_ratio(),
            "creations_per_second": self.creations,
            "failed_creations_per_second": self.failed_creations,
            "stale_per_second": self.outcome("stale_served"),
            "saved_per_second": self.saved(),
            "errors_per_second": self.errors(),
            "backend_errors_per_second": self.backend_errors,
            "creation_p50_seconds": self.creation_quantile(0.5),
            "creation_p99_seconds": self.creation_quantile(0.99),
            "creations_in_progress": self.in_progress,
            "waiters": self.waiters,
            "oldest_creation_seconds": self.oldest,
            "breaker": self.breaker(),
            "last_error": self.last_error,
            "requests": self.totals,
        })
    }
}

fn described(backend: &Backend) -> String {
    let error = backend.last_error.as_deref().unwrap_or("its breaker is not closed");
    format!("{}: {error}", backend.backend)
}

/// Returns the rates of all `parts`, by region.
pub(super) fn by_region<'r>(parts: impl IntoIterator<Item = &'r Rates>) -> Vec<Rates> {
    let mut sums: BTreeMap<&str, Rates> = BTreeMap::new();
    for part in parts {
        let sum = sums.entry(&part.region);
        sum.or_insert_with(|| Rates { region: part.region.clone(), ..Default::default() }).add(part);
    }
    sums.into_values().collect()
}

/// Returns the sum of all `parts`, under the name `total`.
pub(super) fn total<'r>(parts: impl IntoIterator<Item = &'r Rates>) -> Rates {
    let mut total = Rates { region: "total".to_owned(), ..Default::default() };
    parts.into_iter().for_each(|part| total.add(part));
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the snapshot of process 7 after `uptime` seconds: hits, stale hits, waits, and creations of a millisecond.
    fn snapshot(uptime: f64, [hits, stale, waited, created]: [u64; 4]) -> Snapshot {
        let reply = json!({
            "version": 1,
            "pid": 7,
            "uptime_seconds": uptime,
            "regions": [{
                "region": "a",
                "requests": { "hit": hits, "stale_served": stale, "waited": waited, "created": created },
                "creation": { "count": created, "buckets": [[0.001, created]] },
                "backends": [{ "backend": "b", "errors": hits / 10, "breaker": "closed" }],
            }],
        });
        Snapshot::read(reply.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn rates_are_those_between_two_snapshots() {
        let (before, now) = (snapshot(10.0, [100, 0, 0, 5]), snapshot(12.0, [180, 10, 6, 9]));
        let (seconds, rates) = rates(&now, Some(&before));
        let [rates] = &rates[..] else { panic!("{rates:?}") };
        assert_eq!((seconds, rates.requests(), rates.hit_ratio()), (2.0, 50.0, Some(0.9)));
        assert_eq!((rates.creations, rates.saved(), rates.backend_errors), (2.0, 3.0, 4.0));
        assert_eq!((rates.creation_quantile(0.5), rates.breaker()), (Some(0.001), "closed"));
        assert_eq!(rates.json()["requests"]["hit"], 180);
    }

    #[test]
    fn first_snapshot_is_measured_from_the_start() {
        let (seconds, of_start) = rates(&snapshot(10.0, [100, 0, 0, 5]), None);
        assert_eq!((seconds, of_start[0].requests()), (10.0, 10.5));
        // Another process at the same path, or one that began again.
        let again = snapshot(4.0, [8, 0, 0, 0]);
        let (seconds, of_again) = rates(&again, Some(&snapshot(10.0, [100, 0, 0, 5])));
        assert_eq!((seconds, of_again[0].requests()), (4.0, 2.0));
    }

    #[test]
    fn region_without_requests_has_no_hit_ratio() {
        let now = snapshot(12.0, [1, 1, 1, 1]);
        let (_, rates) = rates(&now, Some(&snapshot(11.0, [1, 1, 1, 1])));
        assert_eq!(
            (rates[0].requests(), rates[0].hit_ratio(), rates[0].creation_quantile(0.5)),
            (0.0, None, None)
        );
    }

    #[test]
    fn processes_are_added_up_by_region() {
        let (_, one) = rates(&snapshot(10.0, [80, 0, 0, 20]), None);
        let (_, mut other) = rates(&snapshot(10.0, [0, 0, 0, 100]), None);
        other[0].open = 1;
        let all = by_region(one.iter().chain(&other));
        assert_eq!((all.len(), all[0].requests(), all[0].hit_ratio()), (1, 20.0, Some(0.4)));
        assert_eq!((all[0].breaker(), all[0].open, all[0].processes), ("open", 1, 2));
        assert_eq!(
            total(&all).json()["requests"],
            json!({ "hit": 80, "stale_served": 0, "waited": 0, "created": 120 })
        );
    }

    #[test]
    fn numbers_of_a_hostile_process_do_no_harm() {
        let mut now = snapshot(f64::MAX, [u64::MAX; 4]);
        let in_progress = &mut now.regions[0].creations_in_progress;
        (in_progress.count, in_progress.waiters) = (u64::MAX, u64::MAX);
        now.regions.push(now.regions[0].clone());
        let (_, rates) = rates(&now, Some(&snapshot(0.0, [0; 4])));
        assert!(total(&rates).hit_ratio().is_some());
        now.uptime_seconds = f64::INFINITY;
        let (seconds, _) = super::rates(&now, None);
        assert_eq!(seconds, 1.0);
    }
}
