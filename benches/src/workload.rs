//! [`Workload`]: the requested keys, and their order.

use crate::dice::Dice;

/// The number of keys of the Zipf workload.
pub const KEYS: usize = 100_000;

/// The length of an order before it repeats: a power of two, and many times what the caches of a core hold.
const ORDER: usize = 1 << 20;

/// Keys, and for each thread the precomputed order in which it requests them.
pub struct Workload {
    /// The name in the tables.
    pub name: &'static str,
    /// All keys.
    pub keys: Vec<String>,
    /// For each thread, indices into `keys`.
    pub orders: Vec<Vec<u32>>,
}

impl Workload {
    /// Creates a workload in which all `threads` request one key.
    pub fn hot(threads: usize) -> Self {
        Workload { name: "hot key", keys: keys(1), orders: vec![vec![0; ORDER]; threads] }
    }

    /// Creates a workload in which one thread requests `count` keys in turn, `hits` times.
    pub fn in_turn(count: usize, hits: usize) -> Self {
        let order = (0..).take(count).cycle().take(hits).collect();
        Workload { name: "in turn", keys: keys(count), orders: vec![order] }
    }

    /// Creates a workload of 100,000 keys. The n-th most popular key is requested 1/n times as often as the first.
    pub fn zipf(threads: usize) -> Self {
        let mut dice = Dice::default();
        // Spread the popular keys, so that they are not adjacent in memory.
        let mut by_rank: Vec<u32> = (0..).take(KEYS).collect();
        dice.shuffle(&mut by_rank);
        let shares: Vec<f64> = (1..=KEYS)
            .scan(0.0, |sum, rank| {
                *sum += 1.0 / rank as f64;
                Some(*sum)
            })
            .collect();
        let mut order = || {
            let draw = || {
                let drawn = dice.fraction() * shares[KEYS - 1];
                by_rank[shares.partition_point(|share| *share < drawn)]
            };
            std::iter::repeat_with(draw).take(ORDER).collect()
        };
        let orders = (0..threads).map(|_| order()).collect();
        Workload { name: "Zipf", keys: keys(KEYS), orders }
    }
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user:{number:06}:profile")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_popular_key_gets_its_share_in_every_thread() {
        let workload = Workload::zipf(2);
        assert_eq!(workload.keys.len(), KEYS);
        // The sum of 1/n up to 100,000 is 12.09.
        let expected = ORDER as f64 / 12.09;
        for order in &workload.orders {
            let mut counts = vec![0_u32; KEYS];
            order.iter().for_each(|index| counts[*index as usize] += 1);
            let first = f64::from(*counts.iter().max().unwrap());
            assert!((first / expected - 1.0).abs() < 0.02, "{first} of {ORDER}, {expected} expected");
        }
        assert_ne!(workload.orders[0], workload.orders[1]);
    }
}
