//! [`RegionLimits`]: limits of warnings, by the names of regions.
//!
//! For code that logs warnings of a region and does not have the region.

use std::collections::BTreeMap;

use dogpile_sdk::{CreationTime, LogLimit, Suppressed};
use parking_lot::Mutex;

/// How many regions have a limit of their own. Further ones share one.
const REGIONS: usize = 1_000;

/// Lets one warning of each region pass in ten seconds, and counts the others.
pub(crate) struct RegionLimits(Mutex<BTreeMap<String, LogLimit>>);

impl RegionLimits {
    pub(crate) const fn new() -> Self {
        RegionLimits(Mutex::new(BTreeMap::new()))
    }

    /// Returns how many warnings of `region` were suppressed before this one, or `None` to suppress this one too.
    pub(crate) fn pass(&self, region: &str) -> Option<u64> {
        self.pass_at(region, CreationTime::now())
    }

    fn pass_at(&self, region: &str, now: CreationTime) -> Option<u64> {
        let mut limits = self.0.lock();
        if let Some(limit) = limits.get(region) {
            return limit.pass_at(now).map(Suppressed::count);
        }
        let of_its_own = if limits.len() < REGIONS { region } else { "" };
        limits.entry(of_its_own.to_owned()).or_default().pass_at(now).map(Suppressed::count)
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use super::*;

    #[test]
    fn regions_have_limits_of_their_own_up_to_a_bound() {
        let (limits, now) = (RegionLimits::new(), CreationTime::from_seconds(1000.0));
        assert_eq!(["a", "a", "b"].map(|region| limits.pass_at(region, now)), [Some(0), None, Some(0)]);
        assert_eq!(limits.pass_at("a", CreationTime::from_seconds(1010.0)), Some(1));
        for number in 0..2 * REGIONS {
            limits.pass_at(&number.to_string(), now);
        }
        assert_eq!(limits.0.lock().len(), REGIONS + 1);
    }
}
