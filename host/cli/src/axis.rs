//! [`Axis`]: round numbers along a length of time.

use std::time::Duration;

use crate::page::columns;
use crate::times;

/// A length of time with marks at round numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// In microseconds, at least 1.
    length: u64,
    step: u64,
}

impl Axis {
    /// Creates the axis of `length` microseconds, with at most `most` marks after that of zero.
    pub(crate) fn new(length: u64, most: u64) -> Self {
        let length = length.max(1);
        let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.saturating_pow(power)));
        let step = steps.into_iter().find(|step| length / step <= most.max(1)).unwrap_or(length);
        Axis { length, step }
    }

    /// Returns the marks, each as its time in microseconds and its text.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (u64, String)> {
        let text = |time| match time {
            0 => "0".to_owned(),
            time => times::round(Duration::from_micros(time)),
        };
        (0..=self.length / self.step).map(move |number| (number * self.step, text(number * self.step)))
    }

    /// Returns which of `width` parts contains `time`, counted from 0.
    pub(crate) fn part(&self, time: u64, width: u64) -> usize {
        let last = width.saturating_sub(1);
        (u128::from(time) * u128::from(last) / u128::from(self.length)).min(last.into()) as usize
    }

    /// Returns the share of the length before `time`.
    pub(crate) fn share(&self, time: u64) -> f64 {
        time as f64 / self.length as f64
    }

    /// Returns the texts of the marks, and the marks below them, in `width` columns. The last text may be longer.
    pub(crate) fn lines(&self, width: u64) -> [String; 2] {
        let (mut texts, mut ticks) = (String::new(), vec![' '; width as usize]);
        for (time, text) in self.marks() {
            let at = self.part(time, width);
            ticks[at] = '|';
            let missing = at.saturating_sub(columns(&texts));
            texts.push_str(&format!("{}{text}", " ".repeat(missing)));
        }
        [texts, ticks.into_iter().collect()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(length: u64) -> Vec<String> {
        Axis::new(length, 5).marks().map(|(_, text)| text).collect()
    }

    #[test]
    fn marks_are_round_numbers() {
        assert_eq!(texts(213_400), ["0", "50 ms", "100 ms", "150 ms", "200 ms"]);
        assert_eq!(texts(1_000_000), ["0", "200 ms", "400 ms", "600 ms", "800 ms", "1 s"]);
        assert_eq!(texts(7), ["0", "2 µs", "4 µs", "6 µs"]);
        assert_eq!(texts(0), ["0", "1 µs"]);
    }

    #[test]
    fn marks_are_below_their_texts() {
        let [texts, ticks] = Axis::new(100_000, 5).lines(51);
        assert_eq!(ticks, format!("|{}", format!("{}|", " ".repeat(9)).repeat(5)));
        assert_eq!(texts, "0         20 ms     40 ms     60 ms     80 ms     100 ms");
    }

    #[test]
    fn longest_length_has_marks() {
        let axis = Axis::new(u64::MAX, 5);
        assert!((2..=6).contains(&axis.marks().count()));
        assert_eq!(axis.part(u64::MAX, 54), 53);
    }
}
