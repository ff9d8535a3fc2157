//! The kernel of late interaction: tiles of four rows of one side by sixteen or thirty-two of the other.
//!
//! A register holds four numbers of each of sixteen queries, so that a product with four numbers of a target, repeated in
//! all lanes, leaves sixteen sums side by side: nothing is added up across a register, and only greatest numbers leave the
//! tile. A tile multiplies each byte that it loads four times and more.

#![allow(
    clippy::needless_range_loop,
    reason = "indices are of registers, and the loops are unrolled"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::Isa;

/// Queries of a block.
pub(crate) const QUERIES: usize = 16;
/// Numbers that are multiplied together.
pub(crate) const GROUP: usize = 4;
/// Targets of a tile.
pub(crate) const ROWS: usize = 4;

/// Queries in blocks of [`QUERIES`].
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    /// Groups of a row.
    pub(crate) groups: usize,
    /// `groups` for each block: [`GROUP`] numbers of each of its queries, from -127 to 127.
    pub(crate) codes: Vec<[i8; GROUP * QUERIES]>,
    /// For each block, -128 times the sum of each query's codes: what targets that are flipped add to a product.
    pub(crate) shifts: Vec<[i32; QUERIES]>,
    /// For each block.
    pub(crate) scales: Vec<[f32; QUERIES]>,
}

/// Targets in tiles of [`ROWS`], each row [`Blocks::groups`] words of [`GROUP`] codes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    pub(crate) words: Vec<u32>,
    pub(crate) scales: Vec<f32>,
}

impl Isa {
    /// What the words of targets must be combined with by exclusive or: it makes codes unsigned, shifted by 128.
    pub(crate) fn flip(self) -> u32 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 0x8080_8080,
            _ => 0,
        }
    }

    /// For each query the greatest product with a target, not yet multiplied by the query's scale, and for each target,
    /// where it is greater than what is there, the greatest product with a query.
    ///
    /// The words of `targets` are flipped as [`Isa::flip`] says. A row has at most 65,536 codes, so every product fits.
    pub(crate) fn nearest(
        self,
        queries: &Blocks,
        targets: &Targets,
        best_query: &mut [[f32; QUERIES]],
        best_target: &mut [f32],
    ) {
        let blocks = queries.scales.len();
        assert!(
            queries.groups > 0
                && queries.codes.len() == blocks * queries.groups
                && queries.shifts.len() == blocks
                && best_query.len() == blocks
                && targets.scales.len().is_multiple_of(ROWS)
                && targets.words.len() == targets.scales.len() * queries.groups
                && best_target.len() == targets.scales.len(),
            "blocks and tiles are whole"
        );
        #[cfg(target_arch = "x86_64")]
        if self == Self::Avx512 {
            let (pairs, last) = best_query.as_chunks_mut::<2>();
            for (at, best) in pairs.iter_mut().enumerate() {
                // SAFETY: `available` found the instruction set, and no other way leads to this variant.
                *best = unsafe { tiles_avx512(queries, 2 * at, targets, best_target) };
            }
            if let [best] = last {
                // SAFETY: as above.
                [*best] = unsafe { tiles_avx512(queries, blocks - 1, targets, best_target) };
            }
            return;
        }
        for (at, best) in best_query.iter_mut().enumerate() {
            *best = match self {
                // SAFETY: `available` found the instruction set, and no other way leads to this variant.
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => unsafe { tiles_avx2(queries, at, targets, best_target) },
                _ => tiles_plain(queries, at, targets, best_target),
            };
        }
    }
}

impl Blocks {
    fn codes_of(&self, block: usize) -> &[[i8; GROUP * QUERIES]] {
        &self.codes[block * self.groups..][..self.groups]
    }
}

/// Words and scales of each tile, and where its greatest products go.
fn tiles<'a>(
    targets: &'a Targets,
    groups: usize,
    best: &'a mut [f32],
) -> impl Iterator<Item = ([&'a [u32]; ROWS], &'a [f32; ROWS], &'a mut [f32; ROWS])> {
    let scales = targets.scales.as_chunks::<ROWS>().0;
    let best = best.as_chunks_mut::<ROWS>().0;
    let words = targets.words.chunks_exact(ROWS * groups);
    words.zip(scales).zip(best).map(move |((words, scales), best)| {
        let ((a, b), (c, d)) = (words.split_at(groups), words[2 * groups..].split_at(groups));
        ([a, &b[..groups], c, d], scales, best)
    })
}

fn tiles_plain(
    queries: &Blocks,
    block: usize,
    targets: &Targets,
    best_target: &mut [f32],
) -> [f32; QUERIES] {
    let (codes, scales) = (queries.codes_of(block), &queries.scales[block]);
    let mut best = [f32::NEG_INFINITY; QUERIES];
    for (words, target_scales, out) in tiles(targets, queries.groups, best_target) {
        for ((words, target_scale), out) in words.iter().zip(target_scales).zip(out) {
            let mut sums = [0i32; QUERIES];
            for (word, codes) in words.iter().zip(codes) {
                let word = word.to_le_bytes();
                for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<GROUP>().0) {
                    let products = word.iter().zip(codes);
                    *sum += products.map(|(&a, &b)| i32::from(a as i8) * i32::from(b)).sum::<i32>();
                }
            }
            for ((sum, scale), best) in sums.iter().zip(scales).zip(&mut best) {
                let product = *sum as f32 * target_scale;
                *best = best.max(product);
                *out = out.max(product * scale);
            }
        }
    }
    best
}

/// `B` blocks from `first` on with all tiles.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn tiles_avx512<const B: usize>(
    queries: &Blocks,
    first: usize,
    targets: &Targets,
    best_target: &mut [f32],
) -> [[f32; QUERIES]; B] {
    let groups = queries.groups;
    let mut codes = [queries.codes_of(first); B];
    let mut best = [_mm512_set1_ps(f32::NEG_INFINITY); B];
    for b in 0..B {
        codes[b] = queries.codes_of(first + b);
    }
    for (words, target_scales, out) in tiles(targets, groups, best_target) {
        let mut sums = [[_mm512_setzero_si512(); ROWS]; B];
        for b in 0..B {
            sums[b] = [super::load_512(&queries.shifts[first + b]); ROWS];
        }
        for group in 0..groups {
            let mut targets = [_mm512_setzero_si512(); ROWS];
            for row in 0..ROWS {
                targets[row] = _mm512_set1_epi32(words[row][group] as i32);
            }
            for b in 0..B {
                let query = super::load_512(&codes[b][group]);
                for row in 0..ROWS {
                    sums[b][row] = _mm512_dpbusd_epi32(sums[b][row], targets[row], query);
                }
            }
        }
        let mut nearest = [_mm512_set1_ps(f32::NEG_INFINITY); ROWS];
        for b in 0..B {
            let scales = _mm512_castsi512_ps(super::load_512(&queries.scales[first + b]));
            for row in 0..ROWS {
                let sum = _mm512_cvtepi32_ps(sums[b][row]);
                let product = _mm512_mul_ps(sum, _mm512_set1_ps(target_scales[row]));
                best[b] = _mm512_max_ps(best[b], product);
                nearest[row] = _mm512_max_ps(nearest[row], _mm512_mul_ps(product, scales));
            }
        }
        let greatest = greatest_of_four(nearest);
        for row in 0..ROWS {
            out[row] = out[row].max(greatest[row]);
        }
    }
    let mut out = [[0.0; QUERIES]; B];
    for b in 0..B {
        // SAFETY: the array is 64 bytes long.
        unsafe { _mm512_storeu_ps(out[b].as_mut_ptr(), best[b]) };
    }
    out
}

/// The greatest lane of each of four registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
fn greatest_of_four([a, b, c, d]: [__m512; ROWS]) -> [f32; ROWS] {
    let ab = _mm512_max_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let cd = _mm512_max_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
    let all = _mm512_max_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    let half = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(all));
    let half = _mm256_max_ps(_mm512_castps512_ps256(all), _mm256_castpd_ps(half));
    let quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half));
    let mut out = [0.0; ROWS];
    // SAFETY: the array is 16 bytes long.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), quarter) };
    out
}

/// As [`tiles_avx512`] for one block, in two halves. The instruction that multiplies bytes wants one side unsigned: the
/// target gives its sign to the query. Two products of at most 128 by 127 fit into 16 bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn tiles_avx2(
    queries: &Blocks,
    block: usize,
    targets: &Targets,
    best_target: &mut [f32],
) -> [f32; QUERIES] {
    const HALF: usize = QUERIES / 2;
    let ones = _mm256_set1_epi16(1);
    let codes = queries.codes_of(block);
    let scales = queries.scales[block].as_chunks::<HALF>().0;
    let mut best = [_mm256_set1_ps(f32::NEG_INFINITY); 2];
    for (words, target_scales, out) in tiles(targets, queries.groups, best_target) {
        let mut sums = [[_mm256_setzero_si256(); ROWS]; 2];
        for (group, codes) in codes.iter().enumerate() {
            let (halves, _) = codes.as_chunks::<{ GROUP * HALF }>();
            for row in 0..ROWS {
                let target = _mm256_set1_epi32(words[row][group] as i32);
                let size = _mm256_abs_epi8(target);
                for half in 0..2 {
                    let query = _mm256_sign_epi8(load_256(&halves[half]), target);
                    let pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(size, query), ones);
                    sums[half][row] = _mm256_add_epi32(sums[half][row], pairs);
                }
            }
        }
        for row in 0..ROWS {
            let mut nearest = _mm256_set1_ps(f32::NEG_INFINITY);
            for half in 0..2 {
                let sum = _mm256_cvtepi32_ps(sums[half][row]);
                let product = _mm256_mul_ps(sum, _mm256_set1_ps(target_scales[row]));
                let scales = _mm256_castsi256_ps(load_256(&scales[half]));
                best[half] = _mm256_max_ps(best[half], product);
                nearest = _mm256_max_ps(nearest, _mm256_mul_ps(product, scales));
            }
            let half =
                _mm_max_ps(_mm256_castps256_ps128(nearest), _mm256_extractf128_ps::<1>(nearest));
            let pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
            let one = _mm_max_ss(pair, _mm_movehdup_ps(pair));
            out[row] = out[row].max(_mm_cvtss_f32(one));
        }
    }
    let mut out = [0.0; QUERIES];
    let (halves, _) = out.as_chunks_mut::<HALF>();
    for half in 0..2 {
        // SAFETY: each half is 32 bytes long.
        unsafe { _mm256_storeu_ps(halves[half].as_mut_ptr(), best[half]) };
    }
    out
}

/// An array of 32 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn load_256<A: Copy>(array: &A) -> __m256i {
    const { assert!(size_of::<A>() == 32, "half a lane") };
    // SAFETY: the array is 32 bytes long.
    unsafe { _mm256_loadu_si256(std::ptr::from_ref(array).cast()) }
}
