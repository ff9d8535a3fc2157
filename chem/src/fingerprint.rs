//! Folded Morgan fingerprints (radius 2, 2048 bits; "ECFP4"), bit for bit as RDKit's.

use crate::morgan::{self, RADIUS};
use crate::screen::words_of;
use crate::topology::Topology;

/// Number of bits of a [`Fingerprint`].
pub const FINGERPRINT_BITS: usize = 2048;

/// A set of folded environment identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    words: Box<[u64; FINGERPRINT_BITS / 64]>,
}

impl Fingerprint {
    pub(crate) fn of(topology: &Topology, environments: &[[u32; RADIUS + 1]]) -> Self {
        let mut words = Box::new([0u64; FINGERPRINT_BITS / 64]);
        for (id, _, _) in morgan::distinct(topology, environments) {
            let bit = id as usize % FINGERPRINT_BITS;
            words[bit / 64] |= 1 << (bit % 64);
        }
        Self { words }
    }

    /// The bits as 256 bytes; byte `k` holds bits `8k..8k+8`, lowest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Reads what [`Self::to_bytes`] gave; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        words_of(bytes).map(|words| Self { words })
    }

    /// Number of bits set.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Number of bits set in both.
    pub fn common(&self, other: &Self) -> u32 {
        self.words.iter().zip(other.words.iter()).map(|(a, b)| (a & b).count_ones()).sum()
    }

    /// Tanimoto similarity, |a ∩ b| / |a ∪ b| in 0..=1; two empty fingerprints give 1.
    pub fn tanimoto(&self, other: &Self) -> f32 {
        let common = self.common(other);
        let union = self.count() + other.count() - common;
        if union == 0 { 1.0 } else { common as f32 / union as f32 }
    }
}
