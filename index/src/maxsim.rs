//! Late interaction: for every part of one side, its nearest part of the other, both ways.
//!
//! One side is laid out once ([`MaxSim::new`]) and then compared with many, whose rows are read as they lie. A comparison
//! allocates nothing once its buffers have grown. What the cosines are worth is left to the caller.

use crate::{
    coded::CodedRows,
    simd::{self, Blocks, GROUP, Isa, QUERIES, ROWS, Targets},
};

/// One side of comparisons, the query's.
#[derive(Clone, Debug)]
pub struct MaxSim {
    isa: Isa,
    dim: usize,
    rows: usize,
    blocks: Blocks,
    targets: Targets,
    best_query: Vec<[f32; QUERIES]>,
    best_target: Vec<f32>,
}

/// Greatest products, as [`CodedRows::dot`] has them; that is cosines, where the vectors have unit length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best<'a> {
    /// One for each row of the query: with the target's row nearest to it.
    pub query: &'a [f32],
    /// One for each row of the target: with the query's row nearest to it.
    pub target: &'a [f32],
}

impl MaxSim {
    /// Lays out the query's rows.
    pub fn new(query: CodedRows<'_>) -> Self {
        Self::with(Isa::best(), query)
    }

    fn with(isa: Isa, query: CodedRows<'_>) -> Self {
        let blocks = query.len().div_ceil(QUERIES);
        Self {
            isa,
            dim: query.dim(),
            rows: query.len(),
            blocks: lay_out(query),
            targets: Targets::default(),
            best_query: vec![[0.0; QUERIES]; blocks],
            best_target: Vec::new(),
        }
    }

    /// Compares all rows of both; `None` when a side has no rows, or theirs have different lengths.
    pub fn compare(&mut self, target: CodedRows<'_>) -> Option<Best<'_>> {
        if self.rows == 0 || target.is_empty() || target.dim() != self.dim {
            return None;
        }
        self.targets.read(target, self.isa.flip());
        self.best_target.clear();
        self.best_target.resize(self.targets.scales.len(), f32::NEG_INFINITY);
        self.isa.nearest(&self.blocks, &self.targets, &mut self.best_query, &mut self.best_target);
        // Scales are not negative, so the greatest stays the greatest.
        for (best, scales) in self.best_query.iter_mut().zip(&self.blocks.scales) {
            best.iter_mut().zip(scales).for_each(|(best, scale)| *best *= scale);
        }
        let query = &self.best_query.as_flattened()[..self.rows];
        Some(Best { query, target: &self.best_target[..target.len()] })
    }
}

/// Asks for bytes that are compared soon, so that they come while others are compared; it changes nothing but the time.
pub fn prefetch(bytes: &[u8]) {
    simd::prefetch(bytes);
}

/// Sixteen rows a block, four numbers of each side by side. What is missing in the last block is filled with its last row,
/// which cannot be nearer than itself.
fn lay_out(query: CodedRows<'_>) -> Blocks {
    let groups = query.dim().div_ceil(GROUP);
    let count = query.len().div_ceil(QUERIES);
    let mut blocks = Blocks {
        groups,
        codes: vec![[0; GROUP * QUERIES]; count * groups],
        shifts: vec![[0; QUERIES]; count],
        scales: vec![[0.0; QUERIES]; count],
    };
    let last = query.iter().last();
    let rows = query.iter().chain(last.into_iter().cycle()).take(count * QUERIES);
    for (at, (scale, codes)) in rows.enumerate() {
        let (block, lane) = (at / QUERIES, at % QUERIES);
        blocks.scales[block][lane] = scale;
        let mut sum = 0;
        for (i, &code) in codes.iter().enumerate() {
            // The one code that has no opposite; no vector is encoded with it.
            let code = (code as i8).max(-i8::MAX);
            blocks.codes[block * groups + i / GROUP][lane * GROUP + i % GROUP] = code;
            sum += i32::from(code);
        }
        blocks.shifts[block][lane] = -128 * sum;
    }
    blocks
}

impl Targets {
    /// Takes the rows over; what is missing to whole tiles is filled with the last.
    fn read(&mut self, rows: CodedRows<'_>, flip: u32) {
        let words = rows.dim().div_ceil(GROUP);
        let whole = rows.len().next_multiple_of(ROWS);
        self.scales.clear();
        self.words.resize(whole * words, 0);
        let last = rows.iter().last();
        let all = rows.iter().chain(last.into_iter().cycle()).take(whole);
        for ((scale, codes), out) in all.zip(self.words.chunks_exact_mut(words)) {
            self.scales.push(scale);
            let (fours, rest) = codes.as_chunks::<GROUP>();
            for (out, four) in out.iter_mut().zip(fours) {
                *out = u32::from_le_bytes(*four) ^ flip;
            }
            if let (Some(out), false) = (out.get_mut(fours.len()), rest.is_empty()) {
                let mut four = [0; GROUP];
                four[..rest.len()].copy_from_slice(rest);
                *out = u32::from_le_bytes(four) ^ flip;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coded::Codes;

    /// The greatest products by comparing every pair.
    fn oracle(query: CodedRows<'_>, target: CodedRows<'_>) -> (Vec<f32>, Vec<f32>) {
        let greatest = |products: &mut dyn Iterator<Item = f32>| products.reduce(f32::max).unwrap();
        let of_query = |q| greatest(&mut (0..target.len()).map(|t| query.dot(q, target, t)));
        let of_target = |t| greatest(&mut (0..query.len()).map(|q| query.dot(q, target, t)));
        ((0..query.len()).map(of_query).collect(), (0..target.len()).map(of_target).collect())
    }

    fn check(query: CodedRows<'_>, target: CodedRows<'_>) {
        let (of_query, of_target) = oracle(query, target);
        for isa in Isa::available() {
            let mut sim = MaxSim::with(isa, query);
            // Twice: nothing of the first may be left for the second.
            for _ in 0..2 {
                let best = sim.compare(target).unwrap();
                assert_eq!(best, Best { query: &of_query, target: &of_target }, "{isa:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_finds_what_comparing_every_pair_finds(
            dim in 1usize..140,
            queries in 1usize..70,
            targets in 1usize..40,
            seed in any::<u32>(),
        ) {
            let mut state = seed;
            let mut numbers = |n: usize| -> Vec<f32> {
                let mut next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) as f32 / 8_388_608.0 - 1.0
                };
                (0..n).map(|_| next()).collect()
            };
            let (query, target) = (numbers(dim * queries), numbers(dim * targets));
            check(Codes::of(&query, dim).rows(), Codes::of(&target, dim).rows());
        }
    }

    #[test]
    fn the_largest_codes_do_not_overflow() {
        let dim = crate::flat::MAX_DIM;
        for (a, b) in [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)] {
            check(Codes::of(&vec![a; dim], dim).rows(), Codes::of(&vec![b; dim], dim).rows());
        }
    }

    #[test]
    fn opposite_parts_are_as_far_as_they_are() {
        let (query, target) = (Codes::of(&[1.0, 0.0, 0.6, 0.8], 2), Codes::of(&[-1.0, 0.0], 2));
        let mut sim = MaxSim::new(query.rows());
        let best = sim.compare(target.rows()).unwrap();
        assert!((best.query[0] + 1.0).abs() < 1e-6 && (best.target[0] + 0.6).abs() < 0.01);
    }

    #[test]
    fn sides_that_cannot_be_compared_are_not() {
        let (two, three) = (Codes::of(&[1.0, 0.0], 2), Codes::of(&[1.0, 0.0, 0.0], 3));
        assert_eq!(MaxSim::new(two.rows()).compare(three.rows()), None);
        assert_eq!(MaxSim::new(two.rows()).compare(Codes::of(&[], 2).rows()), None);
        assert_eq!(MaxSim::new(Codes::default().rows()).compare(two.rows()), None);
    }
}
