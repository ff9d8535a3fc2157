//! Folded Morgan fingerprints (radius 2, 2048 bits; "ECFP4"), bit for bit as RDKit's.

use crate::{
    bits::Bits,
    morgan::{self, RADIUS},
    topology::Topology,
};

/// Number of bits of a [`Fingerprint`].
pub const FINGERPRINT_BITS: usize = 2048;

/// A set of folded environment identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Bits<{ FINGERPRINT_BITS / 64 }>);

impl Fingerprint {
    pub(crate) fn of(topology: &Topology, environments: &[[u32; RADIUS + 1]]) -> Self {
        let mut bits = Bits::none();
        for (id, _, _) in morgan::distinct(topology, environments) {
            bits.set_folded(u64::from(id));
        }
        Self(bits)
    }

    /// The bits as 256 bytes; byte `k` holds bits `8k..8k+8`, lowest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Reads what [`Self::to_bytes`] gave; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Bits::from_bytes(bytes).map(Self)
    }

    /// Number of bits set.
    pub fn count(&self) -> u32 {
        self.0.count()
    }

    /// Number of bits set in both.
    pub fn common(&self, other: &Self) -> u32 {
        self.0.common(&other.0)
    }

    /// Tanimoto similarity, |a ∩ b| / |a ∪ b| in 0..=1; two empty fingerprints give 1.
    pub fn tanimoto(&self, other: &Self) -> f32 {
        let common = self.common(other);
        let union = self.count() + other.count() - common;
        if union == 0 { 1.0 } else { common as f32 / union as f32 }
    }
}
