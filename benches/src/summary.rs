//! [`Summary`]: many measurements in a few numbers.

/// The middle of many measurements, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Half of them are less.
    pub median: f64,
    /// A tenth of them are less.
    pub low: f64,
    /// A tenth of them are more.
    pub high: f64,
    /// The largest.
    pub max: f64,
}

impl Summary {
    /// Of `measurements`, of which there is at least one.
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
    fn it_tells_the_middle_and_the_spread() {
        let told = Summary::of((0..=100).rev().map(f64::from));
        assert_eq!(told, Summary { median: 50.0, low: 10.0, high: 90.0, max: 100.0 });
        assert_eq!(Summary::of([7.0]), Summary { median: 7.0, low: 7.0, high: 7.0, max: 7.0 });
    }
}
