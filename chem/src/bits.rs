//! Sets of bits of a fixed size, what fingerprints and screens are made of.

/// A set of `64 * WORDS` bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits<const WORDS: usize>(Box<[u64; WORDS]>);

impl<const WORDS: usize> Bits<WORDS> {
    pub(crate) fn none() -> Self {
        Self(Box::new([0; WORDS]))
    }

    pub(crate) fn all() -> Self {
        Self(Box::new([u64::MAX; WORDS]))
    }

    /// Sets the bit that a number falls on.
    pub(crate) fn set_folded(&mut self, number: u64) {
        let bit = (number % (64 * WORDS as u64)) as usize;
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    pub(crate) fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(a, b)| *a |= b);
    }

    pub(crate) fn keep_common(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(a, b)| *a &= b);
    }

    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).all(|(have, need)| need & !have == 0)
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub(crate) fn common(&self, other: &Self) -> u32 {
        self.0.iter().zip(other.0.iter()).map(|(a, b)| (a & b).count_ones()).sum()
    }

    /// Whether this bit is set; bits beyond the set are not.
    pub(crate) fn has(&self, bit: usize) -> bool {
        self.0.get(bit / 64).is_some_and(|word| (word >> (bit % 64)) & 1 == 1)
    }

    /// |a ∩ b| / |a ∪ b|; 1 for two empty sets.
    pub(crate) fn tanimoto(&self, other: &Self) -> f32 {
        let common = self.common(other);
        share(common, self.count() + other.count() - common)
    }

    /// `8 * WORDS` bytes; byte `k` holds bits `8k..8k+8`, lowest first.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Reads what [`Self::to_bytes`] gave; `None` for another length.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        if words.len() != WORDS || !rest.is_empty() {
            return None;
        }
        let mut read = Self::none();
        read.0.iter_mut().zip(words).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
        Some(read)
    }
}

/// The share that two sets, or counts, have in common; 1 where both are empty.
pub(crate) fn share(common: u32, union: u32) -> f32 {
    if union == 0 { 1.0 } else { common as f32 / union as f32 }
}
