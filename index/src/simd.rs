//! Integer kernels, in the widest instructions that the machine has, and prefetching.
//!
//! This module, with its part `tile`, is the only place of the room with `unsafe`: the instruction sets are chosen at run
//! time, and their loads take pointers. Every kernel is exact in integers, so all of them give what the plain loop gives, bit
//! for bit.

#![expect(unsafe_code, reason = "instruction sets chosen at run time, and prefetching")]
#![allow(
    clippy::needless_range_loop,
    reason = "indices are of registers, and the loops are unrolled"
)]

mod tile;

use std::sync::LazyLock;

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

pub(crate) use tile::{Blocks, GROUP, QUERIES, ROWS, Targets};

/// Rows of codes are padded to a multiple of this many bytes: one cache line, one register.
pub(crate) const LANE: usize = 64;

/// Rows ahead of the one in work whose bytes are asked for.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 4;

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Plain loops.
    Plain,
    /// 32 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 64 bytes at a time, with VNNI and VPOPCNTDQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

static BEST: LazyLock<Isa> = LazyLock::new(|| Isa::available()[0]);

impl Isa {
    /// The widest of this machine.
    pub(crate) fn best() -> Self {
        *BEST
    }

    /// All of this machine, the widest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512vpopcntdq");
            if wide {
                sets.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
                sets.push(Self::Avx2);
            }
        }
        sets.push(Self::Plain);
        sets
    }

    /// Dot products of some rows of `codes` with `query`, written to `out` in the order of `rows`.
    ///
    /// A row is as long as the query, which is a multiple of [`LANE`]. Each product fits: a row has at most 65,536 codes.
    pub(crate) fn dot_some(self, codes: &[u8], query: &[i8], rows: &[u32], out: &mut [i32]) {
        check_query(query);
        match self {
            Self::Plain => {
                for (row, out) in rows.iter().zip(out) {
                    *out = dot_plain(row_of(codes, *row as usize, query.len()), query);
                }
            }
            // SAFETY: `available` found the instruction set, and no other way leads to this variant.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { dot_some_avx2(codes, query, rows, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { dot_some_avx512(codes, query, rows, out) },
        }
    }

    /// Dot products of all rows of `codes` with `query`, as [`Isa::dot_some`].
    pub(crate) fn dot_all(self, codes: &[u8], query: &[i8], out: &mut [i32]) {
        check_query(query);
        match self {
            Self::Plain => {
                for (row, out) in codes.chunks_exact(query.len()).zip(out) {
                    *out = dot_plain(row, query);
                }
            }
            // SAFETY: `available` found the instruction set, and no other way leads to this variant.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { dot_all_avx2(codes, [query], [out]) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { dot_all_avx512(codes, query, out) },
        }
    }

    /// As [`Isa::dot_all`] with two queries of one length; a row that is at hand is multiplied with both.
    pub(crate) fn dot_all_pair(self, codes: &[u8], queries: [&[i8]; 2], out: [&mut [i32]; 2]) {
        queries.into_iter().for_each(check_query);
        assert_eq!(queries[0].len(), queries[1].len(), "queries of one length");
        match self {
            // SAFETY: `available` found the instruction set, and no other way leads to this variant.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { dot_all_avx2(codes, queries, out) },
            _ => queries.iter().zip(out).for_each(|(query, out)| self.dot_all(codes, query, out)),
        }
    }

    /// Number of bits that each row of `words` shares with `query`; a row is as long as the query.
    pub(crate) fn shared_bits(self, words: &[u64], query: &[u64], out: &mut [u32]) {
        assert!(!query.is_empty(), "a fingerprint has words");
        match self {
            Self::Plain => {
                for (row, out) in words.chunks_exact(query.len()).zip(out) {
                    *out = row.iter().zip(query).map(|(a, b)| (a & b).count_ones()).sum();
                }
            }
            // SAFETY: `available` found the instruction set, and no other way leads to this variant.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { shared_bits_popcnt(words, query, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { shared_bits_avx512(words, query, out) },
        }
    }
}

/// Asks for the cache lines of a slice; it changes nothing but the time of the next read.
#[inline(always)]
pub(crate) fn prefetch<T>(slice: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        let start = slice.as_ptr().cast::<i8>();
        for line in (0..size_of_val(slice)).step_by(LANE) {
            // SAFETY: a prefetch reads nothing, and the address is inside the slice.
            unsafe { _mm_prefetch(start.add(line), _MM_HINT_T0) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slice;
}

/// The loads below rely on it.
fn check_query(query: &[i8]) {
    assert!(
        !query.is_empty() && query.len().is_multiple_of(LANE),
        "a query is padded to whole lanes"
    );
}

#[inline(always)]
fn row_of(codes: &[u8], row: usize, stride: usize) -> &[u8] {
    &codes[row * stride..][..stride]
}

fn dot_plain(row: &[u8], query: &[i8]) -> i32 {
    row.iter().zip(query).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// Asks for a row some steps ahead.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch_row(codes: &[u8], rows: &[u32], at: usize, stride: usize) {
    if let Some(row) = rows.get(at) {
        prefetch(row_of(codes, *row as usize, stride));
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_some_avx2(codes: &[u8], query: &[i8], rows: &[u32], out: &mut [i32]) {
    (0..AHEAD).for_each(|at| prefetch_row(codes, rows, at, query.len()));
    let (fours, rest) = rows.as_chunks::<4>();
    let (fours_out, rest_out) = out.as_chunks_mut::<4>();
    for (at, (rows_now, out)) in fours.iter().zip(fours_out).enumerate() {
        for later in 0..4 {
            prefetch_row(codes, rows, 4 * at + AHEAD + later, query.len());
        }
        let [a, b, c, d] = *rows_now;
        let (a, b) =
            (row_of(codes, a as usize, query.len()), row_of(codes, b as usize, query.len()));
        let (c, d) =
            (row_of(codes, c as usize, query.len()), row_of(codes, d as usize, query.len()));
        [*out] = dot_four_avx2([a, b, c, d], [query]);
    }
    for (row, out) in rest.iter().zip(rest_out) {
        let row = row_of(codes, *row as usize, query.len());
        [[*out, ..]] = dot_four_avx2([row; 4], [query]);
    }
}

/// Products of all rows with `Q` queries, `out` those of each.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_all_avx2<const Q: usize>(codes: &[u8], queries: [&[i8]; Q], out: [&mut [i32]; Q]) {
    let stride = queries[0].len();
    let rows = codes.len() / stride;
    let row = |at: usize| row_of(codes, at.min(rows - 1), stride);
    for first in (0..rows).step_by(4) {
        let four = [row(first), row(first + 1), row(first + 2), row(first + 3)];
        let products = dot_four_avx2(four, queries);
        let there = first..rows.min(first + 4);
        for q in 0..Q {
            out[q][there.clone()].copy_from_slice(&products[q][..there.len()]);
        }
    }
}

/// Four rows at a time, with `Q` queries: what is loaded and widened once is multiplied with all of the other side. Both are
/// widened to 16 bits, as the instruction that multiplies bytes saturates.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn dot_four_avx2<const Q: usize>(rows: [&[u8]; 4], queries: [&[i8]; Q]) -> [[i32; 4]; Q] {
    // Written out: a closure would be a function of its own, without these instructions.
    const HALF: usize = 16;
    let mut sums = [[_mm256_setzero_si256(); 4]; Q];
    let chunks = queries[0].len() / HALF;
    let mut lanes = [[0u8; HALF].as_slice().as_chunks::<HALF>().0; 4];
    for r in 0..4 {
        lanes[r] = &rows[r].as_chunks::<HALF>().0[..chunks];
    }
    let mut asked = [[0i8; HALF].as_slice().as_chunks::<HALF>().0; Q];
    for q in 0..Q {
        asked[q] = &queries[q].as_chunks::<HALF>().0[..chunks];
    }
    for at in 0..chunks {
        let mut wide = [_mm256_setzero_si256(); 4];
        for r in 0..4 {
            wide[r] = _mm256_cvtepu8_epi16(load_128(&lanes[r][at]));
        }
        for q in 0..Q {
            let query = _mm256_cvtepi8_epi16(load_128(&asked[q][at]));
            for r in 0..4 {
                let products = _mm256_madd_epi16(wide[r], query);
                sums[q][r] = _mm256_add_epi32(sums[q][r], products);
            }
        }
    }
    let mut out = [[0; 4]; Q];
    for q in 0..Q {
        let [a, b, c, d] = sums[q];
        let halves = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        let sum =
            _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
        // SAFETY: the array is 16 bytes long.
        unsafe { _mm_storeu_si128(out[q].as_mut_ptr().cast(), sum) };
    }
    out
}

/// An array of 16 bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn load_128<A: Copy>(array: &A) -> __m128i {
    const { assert!(size_of::<A>() == 16, "half a register") };
    // SAFETY: the array is 16 bytes long, and every x86-64 has the instruction.
    unsafe { _mm_loadu_si128(std::ptr::from_ref(array).cast()) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_some_avx512(codes: &[u8], query: &[i8], rows: &[u32], out: &mut [i32]) {
    (0..AHEAD).for_each(|at| prefetch_row(codes, rows, at, query.len()));
    let (fours, rest) = rows.as_chunks::<4>();
    let (fours_out, rest_out) = out.as_chunks_mut::<4>();
    for (at, (rows_now, out)) in fours.iter().zip(fours_out).enumerate() {
        for later in 0..4 {
            prefetch_row(codes, rows, 4 * at + AHEAD + later, query.len());
        }
        let [a, b, c, d] = *rows_now;
        let (a, b) =
            (row_of(codes, a as usize, query.len()), row_of(codes, b as usize, query.len()));
        let (c, d) =
            (row_of(codes, c as usize, query.len()), row_of(codes, d as usize, query.len()));
        *out = dot_four_avx512([a, b, c, d], query);
    }
    for (row, out) in rest.iter().zip(rest_out) {
        *out = dot_avx512(row_of(codes, *row as usize, query.len()), query);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_all_avx512(codes: &[u8], query: &[i8], out: &mut [i32]) {
    let rows = codes.len() / query.len();
    let out = &mut out[..rows];
    let (fours_out, rest_out) = out.as_chunks_mut::<4>();
    let (fours, rest) = codes.split_at(fours_out.len() * 4 * query.len());
    for (four, out) in fours.chunks_exact(4 * query.len()).zip(fours_out) {
        let (ab, cd) = four.split_at(2 * query.len());
        let ((a, b), (c, d)) = (ab.split_at(query.len()), cd.split_at(query.len()));
        *out = dot_four_avx512([a, b, c, d], query);
    }
    for (row, out) in rest.chunks_exact(query.len()).zip(rest_out) {
        *out = dot_avx512(row, query);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn dot_avx512(row: &[u8], query: &[i8]) -> i32 {
    let mut sum = _mm512_setzero_si512();
    for (a, b) in row.as_chunks::<LANE>().0.iter().zip(query.as_chunks::<LANE>().0) {
        sum = _mm512_dpbusd_epi32(sum, load_512(a), load_512(b));
    }
    _mm512_reduce_add_epi32(sum)
}

/// Four rows at a time: the query is loaded once, the sums do not wait for each other, and they are added up together.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn dot_four_avx512(rows: [&[u8]; 4], query: &[i8]) -> [i32; 4] {
    // Written out: a closure would be a function of its own, without these instructions.
    let query = query.as_chunks::<LANE>().0;
    let [a, b, c, d] = rows;
    let a = &a.as_chunks::<LANE>().0[..query.len()];
    let b = &b.as_chunks::<LANE>().0[..query.len()];
    let c = &c.as_chunks::<LANE>().0[..query.len()];
    let d = &d.as_chunks::<LANE>().0[..query.len()];
    let zero = _mm512_setzero_si512();
    let (mut sum_a, mut sum_b, mut sum_c, mut sum_d) = (zero, zero, zero, zero);
    for at in 0..query.len() {
        let query = load_512(&query[at]);
        sum_a = _mm512_dpbusd_epi32(sum_a, load_512(&a[at]), query);
        sum_b = _mm512_dpbusd_epi32(sum_b, load_512(&b[at]), query);
        sum_c = _mm512_dpbusd_epi32(sum_c, load_512(&c[at]), query);
        sum_d = _mm512_dpbusd_epi32(sum_d, load_512(&d[at]), query);
    }
    let (a, b, c, d) = (sum_a, sum_b, sum_c, sum_d);
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let abcd = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(abcd), _mm512_extracti64x4_epi64::<1>(abcd));
    let sum = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    let mut out = [0; 4];
    // SAFETY: the array is 16 bytes long.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), sum) };
    out
}

/// An array of 64 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
fn load_512<A: Copy>(array: &A) -> __m512i {
    const { assert!(size_of::<A>() == LANE, "a whole lane") };
    // SAFETY: the array is 64 bytes long.
    unsafe { _mm512_loadu_si512(std::ptr::from_ref(array).cast()) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn shared_bits_popcnt(words: &[u64], query: &[u64], out: &mut [u32]) {
    for (row, out) in words.chunks_exact(query.len()).zip(out) {
        *out = row.iter().zip(query).map(|(a, b)| (a & b).count_ones()).sum();
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
fn shared_bits_avx512(words: &[u64], query: &[u64], out: &mut [u32]) {
    for (row, out) in words.chunks_exact(query.len()).zip(out) {
        let mut sums = _mm512_setzero_si512();
        let (row_lanes, row_rest) = row.as_chunks::<8>();
        let (query_lanes, query_rest) = query.as_chunks::<8>();
        for (a, b) in row_lanes.iter().zip(query_lanes) {
            let shared = _mm512_and_si512(load_512(a), load_512(b));
            sums = _mm512_add_epi64(sums, _mm512_popcnt_epi64(shared));
        }
        let rest: u32 = row_rest.iter().zip(query_rest).map(|(a, b)| (a & b).count_ones()).sum();
        *out = _mm512_reduce_add_epi64(sums) as u32 + rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that look random.
    fn bytes(n: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn every_instruction_set_gives_the_same_dot_products() {
        for lanes in [1, 2, 3, 4, 7, 16] {
            let stride = lanes * LANE;
            let mut codes = bytes(40 * stride, lanes as u64);
            codes[..stride].fill(255);
            let mut query: Vec<i8> = bytes(stride, 99).iter().map(|&b| b as i8).collect();
            for extreme in [None, Some(-128), Some(127)] {
                query.iter_mut().for_each(|q| *q = extreme.unwrap_or(*q));
                let rows = [0, 39, 7, 7, 12, 1, 2];
                let plain: Vec<i32> =
                    codes.chunks(stride).map(|row| dot_plain(row, &query)).collect();
                for isa in Isa::available() {
                    let (mut all, mut some) = (vec![0; 40], vec![0; rows.len()]);
                    isa.dot_all(&codes, &query, &mut all);
                    isa.dot_some(&codes, &query, &rows, &mut some);
                    assert_eq!(all, plain, "{isa:?}, {lanes} lanes");
                    let other: Vec<i8> = query.iter().map(|q| q.wrapping_add(3)).collect();
                    let (mut one, mut two) = (vec![0; 39], vec![0; 39]);
                    let codes = &codes[stride..];
                    isa.dot_all_pair(codes, [&query, &other], [&mut one, &mut two]);
                    assert_eq!(one, plain[1..], "{isa:?}, {lanes} lanes");
                    assert!(
                        codes.chunks(stride).zip(two).all(|(row, p)| dot_plain(row, &other) == p)
                    );
                    assert_eq!(some, rows.map(|row| plain[row as usize]), "{isa:?}, {lanes} lanes");
                }
            }
        }
    }

    #[test]
    fn the_longest_rows_do_not_overflow() {
        let (codes, query) = (vec![255u8; 65_536], vec![127i8; 65_536]);
        for isa in Isa::available() {
            let mut out = [0];
            isa.dot_all(&codes, &query, &mut out);
            assert_eq!(out, [255 * 127 * 65_536]);
        }
    }

    #[test]
    fn every_instruction_set_counts_the_same_bits() {
        for words in [1, 5, 8, 32, 33] {
            let raw = bytes(words * 8 * 21, words as u64);
            let word = |b: &[u8]| u64::from_le_bytes(b.try_into().unwrap());
            let all: Vec<u64> = raw.chunks(8).map(word).collect();
            let (query, rows) = all.split_at(words);
            let mut plain = vec![0; 20];
            Isa::Plain.shared_bits(rows, query, &mut plain);
            for isa in Isa::available() {
                let mut out = vec![0; 20];
                isa.shared_bits(rows, query, &mut out);
                assert_eq!(out, plain, "{isa:?}, {words} words");
            }
        }
    }

    #[test]
    #[should_panic(expected = "whole lanes")]
    fn a_query_that_is_not_padded_is_refused() {
        Isa::best().dot_all(&[0; 64], &[0; 63], &mut [0]);
    }
}
