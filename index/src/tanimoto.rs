//! Exact search of binary fingerprints by Tanimoto similarity: `|a ∧ b| / |a ∨ b|`.
//!
//! Rows stand in the order of their number of bits. With `a` bits in the query and `b` in a row the similarity is at most
//! `min(a, b) / max(a, b)` (Swamidass and Baldi, J. Chem. Inf. Model. 2007, 47, 302), so a search begins with the rows of
//! as many bits as the query and ends where no other row can be similar enough.

use std::{cmp::Ordering, collections::BinaryHeap, ops::Range};

use rayon::prelude::*;

use crate::{
    error::{IndexError, Result},
    flat::check_range,
    points::MAX_POINTS,
    simd::Isa,
};

/// Most bits of a fingerprint.
pub const MAX_BITS: usize = 1 << 16;
/// Rows whose shared bits are counted together.
pub(crate) const BLOCK: usize = 256;
/// Rows that one thread compares at a time.
const CHUNK: usize = 16_384;

/// A fingerprint found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similar {
    /// The identifier it was given under.
    pub id: u64,
    /// From 0 to 1; two fingerprints without bits are equal.
    pub similarity: f64,
}

impl Eq for Similar {}

/// The most similar first; equal similarities in the order of identifiers.
impl Ord for Similar {
    fn cmp(&self, other: &Self) -> Ordering {
        other.similarity.total_cmp(&self.similarity).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Similar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Fingerprints of one length under identifiers, which do not change.
///
/// ```
/// use moiety_index::Fingerprints;
///
/// let rows = [0b0111, 0b0001, 0b1000];
/// let fingerprints = Fingerprints::new(64, &rows, &[10, 11, 12])?;
/// let best = fingerprints.search(&[0b0011], 2)?;
/// assert_eq!((best[0].id, best[0].similarity), (10, 2.0 / 3.0));
/// assert_eq!((best[1].id, best[1].similarity), (11, 0.5));
/// # Ok::<(), moiety_index::IndexError>(())
/// ```
pub struct Fingerprints {
    /// Words of a row.
    words: usize,
    rows: Vec<u64>,
    ids: Vec<u64>,
    /// First row of each number of bits, and the number of rows at the end.
    first: Vec<usize>,
}

impl Fingerprints {
    /// Takes rows of `bits` bits, 64 of them a word, row after row, and an identifier for each.
    pub fn new(bits: usize, rows: &[u64], ids: &[u64]) -> Result<Self> {
        check_range("bits", bits, 1..MAX_BITS + 1)?;
        check_range("fingerprints", ids.len(), 0..MAX_POINTS + 1)?;
        let words = bits.div_ceil(64);
        if rows.len() != words * ids.len() {
            return Err(IndexError::Dimension { expected: words * ids.len(), found: rows.len() });
        }
        let count = |row: usize| bits_of(&rows[row * words..][..words]);
        let mut order: Vec<(usize, usize)> = (0..ids.len()).map(|row| (count(row), row)).collect();
        order.sort_unstable();
        let mut first = vec![0; words * 64 + 2];
        order.iter().for_each(|&(count, _)| first[count + 1] += 1);
        (1..first.len()).for_each(|at| first[at] += first[at - 1]);
        let mut sorted = Vec::with_capacity(rows.len());
        order.iter().for_each(|&(_, row)| sorted.extend_from_slice(&rows[row * words..][..words]));
        let ids = order.iter().map(|&(_, row)| ids[row]).collect();
        Ok(Self { words, rows: sorted, ids, first })
    }

    /// Number of fingerprints.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The k most similar, best first, ties by identifier.
    pub fn search(&self, query: &[u64], k: usize) -> Result<Vec<Similar>> {
        self.check(query)?;
        if k == 0 {
            return Ok(Vec::new());
        }
        let bits = bits_of(query);
        let mut best = Best { k, heap: BinaryHeap::new() };
        // Outward from the query's own number of bits, the side with the greater bound first.
        let (mut low, mut high) = (bits, bits + 1);
        loop {
            let below = (low <= bits).then(|| bound(bits, low));
            let above = (high < self.first.len() - 1).then(|| bound(bits, high));
            let (count, limit) = match (below, above) {
                (Some(below), Some(above)) if below >= above => (low, below),
                (_, Some(above)) => (high, above),
                (Some(below), None) => (low, below),
                (None, None) => break,
            };
            if best.floor().is_some_and(|floor| limit < floor) {
                break;
            }
            let floor = best.floor().unwrap_or(0.0);
            let rows = self.first[count]..self.first[count + 1];
            best = best.merge(self.best_of(query, rows, k, floor));
            if count == high {
                high += 1;
            } else {
                low = low.wrapping_sub(1);
            }
        }
        Ok(best.heap.into_sorted_vec())
    }

    /// All whose similarity is at least `threshold`, best first, ties by identifier.
    pub fn search_above(&self, query: &[u64], threshold: f64) -> Result<Vec<Similar>> {
        self.check(query)?;
        let bits = bits_of(query);
        let enough = |count: &usize| bound(bits, *count) >= threshold;
        let counts = 0..self.first.len() - 1;
        let Some(least) = counts.clone().find(enough) else { return Ok(Vec::new()) };
        let most = counts.rev().find(enough).unwrap_or(least);
        let mut found = self
            .best_of(query, self.first[least]..self.first[most + 1], usize::MAX, threshold)
            .heap
            .into_vec();
        found.sort_unstable();
        Ok(found)
    }

    fn check(&self, query: &[u64]) -> Result<()> {
        if query.len() == self.words {
            return Ok(());
        }
        Err(IndexError::Dimension { expected: self.words, found: query.len() })
    }

    /// The k best of some rows that are at least this similar, by all cores when they are many.
    fn best_of(&self, query: &[u64], rows: Range<usize>, k: usize, floor: f64) -> Best {
        let compare = |chunk: Range<usize>| self.compare(query, chunk, k, floor);
        if rows.len() <= CHUNK {
            return compare(rows);
        }
        let starts: Vec<usize> = rows.clone().step_by(CHUNK).collect();
        let chunks =
            starts.into_par_iter().map(|start| compare(start..(start + CHUNK).min(rows.end)));
        chunks.reduce(|| Best { k, heap: BinaryHeap::new() }, Best::merge)
    }

    fn compare(&self, query: &[u64], rows: Range<usize>, k: usize, floor: f64) -> Best {
        let (isa, bits) = (Isa::best(), bits_of(query));
        let mut best = Best { k, heap: BinaryHeap::new() };
        let mut shared = [0; BLOCK];
        let mut count = self.first.partition_point(|&first| first <= rows.start) - 1;
        for begin in rows.clone().step_by(BLOCK) {
            let end = (begin + BLOCK).min(rows.end);
            isa.shared_bits(&self.rows[begin * self.words..end * self.words], query, &mut shared);
            for (row, &shared) in (begin..end).zip(&shared) {
                while self.first[count + 1] <= row {
                    count += 1;
                }
                let similarity = tanimoto(bits, count, shared as usize);
                if similarity >= floor {
                    best.push(Similar { id: self.ids[row], similarity });
                }
            }
        }
        best
    }
}

/// The k most similar of all it was shown, the least of them on top.
struct Best {
    k: usize,
    heap: BinaryHeap<Similar>,
}

impl Best {
    fn push(&mut self, similar: Similar) {
        if self.heap.len() < self.k {
            self.heap.push(similar);
        } else if self.heap.peek().is_some_and(|worst| similar < *worst) {
            self.heap.pop();
            self.heap.push(similar);
        }
    }

    fn merge(mut self, other: Self) -> Self {
        other.heap.into_iter().for_each(|similar| self.push(similar));
        self
    }

    /// What a fingerprint must reach to be taken, once there are k.
    fn floor(&self) -> Option<f64> {
        if self.heap.len() < self.k {
            return None;
        }
        self.heap.peek().map(|worst| worst.similarity)
    }
}

pub(crate) fn bits_of(row: &[u64]) -> usize {
    row.iter().map(|word| word.count_ones() as usize).sum()
}

pub(crate) fn tanimoto(a: usize, b: usize, shared: usize) -> f64 {
    let union = a + b - shared;
    if union == 0 { 1.0 } else { shared as f64 / union as f64 }
}

/// The greatest similarity of fingerprints with so many bits: one holds the other.
pub(crate) fn bound(a: usize, b: usize) -> f64 {
    tanimoto(a, b, a.min(b))
}
