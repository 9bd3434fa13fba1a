//! Numbers that look random and are the same in every run.

/// What a number is drawn for. Numbers for different purposes are independent of each other, so that a script with other
/// shares keeps its delays.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// Whether a call fails.
    Failure,
    /// How long a call is delayed.
    Delay,
    /// Whether a write that times out reaches the backend.
    Reach,
}

/// Returns the number of the `call` of this number, at least 0 and less than 1.
///
/// It depends on its arguments only, so that threads draw without a shared generator.
pub(super) fn draw(seed: u64, call: u64, purpose: Purpose) -> f64 {
    let position = call.wrapping_mul(4).wrapping_add(purpose as u64);
    let mixed = mix(mix(seed).wrapping_add(position.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    // An f64 holds 53 bits exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// The last step of the generator SplitMix64, which spreads each bit over all others.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand numbers lie evenly in ten ranges: 3σ is 90.
    #[test]
    fn numbers_are_spread_evenly_for_each_purpose_and_seed() {
        for seed in [0, 1, 2, u64::MAX] {
            for purpose in [Purpose::Failure, Purpose::Delay, Purpose::Reach] {
                let mut ranges = [0_i32; 10];
                (0..10_000).for_each(|call| ranges[(draw(seed, call, purpose) * 10.0) as usize] += 1);
                assert!(ranges.iter().all(|count| (count - 1000).abs() < 120), "{ranges:?}");
            }
        }
    }

    #[test]
    fn numbers_differ_by_seed_call_and_purpose() {
        let drawn = [
            draw(1, 0, Purpose::Failure),
            draw(1, 0, Purpose::Delay),
            draw(1, 1, Purpose::Failure),
            draw(2, 0, Purpose::Failure),
        ];
        for (position, number) in drawn.iter().enumerate() {
            assert!(!drawn[..position].contains(number), "{drawn:?}");
        }
        assert_eq!(draw(1, 1, Purpose::Failure).to_bits(), drawn[2].to_bits());
    }
}
