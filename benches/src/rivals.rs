//! [`Rival`]: a call that is measured beside others, in one run.

use std::time::Instant;

use crate::dice::Dice;
use crate::summary::Summary;

/// A call that is measured.
pub struct Rival<'a> {
    name: &'static str,
    /// The target: the largest ratio of its time to that of the first rival.
    most: Option<f64>,
    call: Box<dyn FnMut() + 'a>,
}

impl<'a> Rival<'a> {
    /// Creates a rival without a target.
    pub fn new(name: &'static str, call: impl FnMut() + 'a) -> Self {
        Rival { name, most: None, call: Box::new(call) }
    }

    /// Sets the target: a time of at most `most` times that of the first rival.
    #[must_use]
    pub fn at_most(mut self, most: f64) -> Self {
        self.most = Some(most);
        self
    }
}

/// Measures the `rivals`, and prints microseconds per call and ratios to the first rival.
///
/// Each round makes `calls` calls of each rival, in a new order. Ratios are taken within a round.
pub fn compare(heading: &str, rounds: usize, calls: usize, rivals: &mut [Rival<'_>]) {
    let mut times = vec![Vec::new(); rivals.len()];
    let mut order: Vec<usize> = (0..rivals.len()).collect();
    let mut dice = Dice::default();
    // The first round only warms up.
    for round in 0..=rounds {
        dice.shuffle(&mut order);
        for &number in &order {
            let begun = Instant::now();
            (0..calls).for_each(|_| (rivals[number].call)());
            if round > 0 {
                times[number].push(begun.elapsed().as_secs_f64() * 1e6 / calls as f64);
            }
        }
    }
    println!("\n{heading}");
    for (rival, measured) in rivals.iter().zip(&times) {
        let Summary { median, low, high, .. } = Summary::of(measured.iter().copied());
        let ratio = Summary::of(measured.iter().zip(&times[0]).map(|(ours, first)| ours / first)).median;
        print!("{:44}{median:>9.2} {:>17}{ratio:>8.2}", rival.name, format!("({low:.2}-{high:.2})"));
        println!("{}", rival.most.map_or(String::new(), |most| verdict(ratio, most)));
    }
}

/// Returns a text that states whether `measured` is at most `most`.
pub fn verdict(measured: f64, most: f64) -> String {
    format!("  at most {most}: {}", if measured <= most { "met" } else { "missed (!)" })
}
