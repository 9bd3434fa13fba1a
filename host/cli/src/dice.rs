//! [`Dice`]: numbers that look random and are the same in each run.

/// Numbers that look random and are the same in each run: xorshift.
pub(crate) struct Dice(u64);

impl Dice {
    /// Creates dice from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        // Xorshift stays at zero forever. The product spreads small seeds.
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Returns a number below `limit`, or 0 if that is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16) % limit.max(1)
    }
}
