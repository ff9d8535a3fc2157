//! Seeded vectors for tests.

#![allow(dead_code, reason = "not every test takes every kind")]

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Nearly normal numbers: the sum of four uniform ones.
    pub(crate) fn vector(&mut self, dim: usize) -> Vec<f32> {
        let mut uniform = || (self.next() >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
        (0..dim).map(|_| (0..4).map(|_| uniform()).sum()).collect()
    }
}
