//! Fingerprints of 2,048 bits, bit for bit as RDKit's: folded Morgan environments (radius 2, "ECFP4"), and the bits that
//! [`crate::paths`] sets. Only fingerprints of one kind can be compared. Beside them the same environments counted.

use crate::{
    bits::{self, Bits},
    morgan::{self, RADIUS},
    topology::Topology,
};

/// Number of bits of a [`Fingerprint`].
pub const FINGERPRINT_BITS: usize = 2048;

/// A set of hashed features: Morgan environments, or paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Bits<{ FINGERPRINT_BITS / 64 }>);

impl Fingerprint {
    pub(crate) fn empty() -> Self {
        Self(Bits::none())
    }

    /// Sets the bit that a hash falls on.
    pub(crate) fn set_folded(&mut self, hash: u32) {
        self.0.set_folded(u64::from(hash));
    }

    pub(crate) fn of(topology: &Topology, environments: &[[u32; RADIUS + 1]]) -> Self {
        let mut found = Self::empty();
        for (id, _, _) in morgan::distinct(topology, environments) {
            found.set_folded(id);
        }
        found
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
        self.0.tanimoto(&other.0)
    }
}

/// How often each Morgan environment of radius 0 to 2 is in a molecule, unfolded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MorganCounts {
    /// Identifiers, ascending, with their counts.
    counts: Vec<(u32, u32)>,
}

impl MorganCounts {
    pub(crate) fn of(topology: &Topology, environments: &[[u32; RADIUS + 1]]) -> Self {
        let mut ids: Vec<u32> =
            morgan::distinct(topology, environments).into_iter().map(|(id, _, _)| id).collect();
        ids.sort_unstable();
        let counts = ids.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32));
        Self { counts: counts.collect() }
    }

    /// Tanimoto similarity of counts, Σ min(a, b) / Σ max(a, b) in 0..=1.
    pub fn tanimoto(&self, other: &Self) -> f32 {
        let total = |counts: &[(u32, u32)]| counts.iter().map(|(_, count)| count).sum::<u32>();
        let shared = |(id, count): &(u32, u32)| {
            let place = other.counts.binary_search_by_key(id, |(id, _)| *id).ok()?;
            Some(other.counts[place].1.min(*count))
        };
        let common: u32 = self.counts.iter().filter_map(shared).sum();
        bits::share(common, total(&self.counts) + total(&other.counts) - common)
    }
}
