//! [`Summary`]: the distribution of many measurements.

/// The median and the spread of many measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The median.
    pub median: f64,
    /// The first decile.
    pub low: f64,
    /// The ninth decile.
    pub high: f64,
    /// The maximum.
    pub max: f64,
}

impl Summary {
    /// Summarizes `measurements`, of which there must be at least one.
    pub fn of(measurements: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = measurements.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len() - 1;
        let at = |percent: usize| sorted[(last * percent + 50) / 100];
        Summary { median: at(50), low: at(10), high: at(90), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_has_median_and_spread() {
        let summary = Summary::of((0..=100).rev().map(f64::from));
        assert_eq!(summary, Summary { median: 50.0, low: 10.0, high: 90.0, max: 100.0 });
        assert_eq!(Summary::of([7.0]), Summary { median: 7.0, low: 7.0, high: 7.0, max: 7.0 });
    }
}
