//! Products with weights that no longer change: `x W + b`.
//!
//! The weights lie in panels as wide as a tile of the product, block of depth after block, so that a tile reads its panel from
//! the nearest cache, front to back (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008). A library
//! for any two matrices lays both out at each call, which the few rows of a query do not repay.

use std::ops::Range;

use candle_core::{Result, Tensor};
use pulp::{Arch, Simd, WithSimd};

use super::{prefetch::prefetch, with_floats};

/// Rows of a tile; with [`VECTORS`] they fill the sixteen registers of AVX2.
const ROWS: usize = 6;
/// Registers along a row of a tile.
const VECTORS: usize = 2;
/// Depth of a block: a panel of it (24 KiB with AVX2) stays in the first cache.
const DEPTH: usize = 384;
/// Numbers in a line of the cache.
const LINE: usize = 16;
/// Most rows that a thread should take at a time: a block of them (144 KiB) stays in the second cache.
const MOST_ROWS: usize = 16 * ROWS;

/// The weights [input, output] and the bias [output] of a linear map, ready for the products of this machine.
#[derive(Debug)]
pub(crate) struct PackedLinear {
    /// Of block of depth, panel, depth and column: `width` numbers side by side.
    panels: Vec<f32>,
    /// As long as all panels are wide.
    bias: Vec<f32>,
    input: usize,
    output: usize,
    /// Numbers along a row of a tile.
    width: usize,
}

impl PackedLinear {
    /// Lays out weights [input, output] and a bias [output].
    pub(crate) fn new(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let (input, output) = weight.dims2()?;
        let width = VECTORS * Arch::new().dispatch(Lanes);
        let padded = output.next_multiple_of(width);
        let mut all = vec![0.0; padded];
        with_floats(bias, |bias| {
            all[..output].copy_from_slice(bias);
            Ok(())
        })?;
        let panels = with_floats(weight, |weight| {
            let mut panels = Vec::with_capacity(input * padded);
            for block in weight.chunks(DEPTH * output.max(1)) {
                for first in (0..output).step_by(width) {
                    for row in block.chunks_exact(output) {
                        let row = &row[first..(first + width).min(output)];
                        panels.extend_from_slice(row);
                        panels.resize(panels.len() + width - row.len(), 0.0);
                    }
                }
            }
            Ok(panels)
        })?;
        Ok(Self { panels, bias: all, input, output, width })
    }

    /// Writes `x W + b` for rows of `input` numbers, on the thread that asks.
    ///
    /// # Panics
    /// When `x` and `out` are not as many whole rows.
    pub(crate) fn apply(&self, x: &[f32], out: &mut [f32]) {
        let rows = x.len() / self.input.max(1);
        assert!(
            x.len() == rows * self.input && out.len() == rows * self.output,
            "{} numbers are not mapped to {} by a map of {} to {}",
            x.len(),
            out.len(),
            self.input,
            self.output
        );
        Arch::new().dispatch(Task { weights: self, x, out });
    }
}

/// Rows that a thread should take of so many, for `threads` to have as much work each and for tiles to be full.
pub(crate) fn rows_per_task(rows: usize, threads: usize) -> usize {
    let threads = threads.max(1);
    let rounds = rows.div_ceil(threads * MOST_ROWS).max(1);
    rows.div_ceil(threads * rounds).max(1).next_multiple_of(ROWS)
}

/// Numbers in a register.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// Some rows.
struct Task<'a> {
    weights: &'a PackedLinear,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights, x, out } = self;
        let PackedLinear { input, output, width, .. } = *weights;
        let mut groups = Vec::new();
        let mut rest = weights.panels.as_slice();
        for begin in (0..input).step_by(DEPTH) {
            let depth = DEPTH.min(input - begin);
            upright(x, input, begin, depth, &mut groups);
            let part = (depth * width).div_ceil((groups.len() / depth).max(1));
            let part = part.next_multiple_of(LINE);
            for first in (0..output).step_by(width) {
                let (numbers, others) = rest.split_at(depth * width);
                rest = others;
                let mut ahead = others[..others.len().min(depth * width)].chunks(part);
                let bias = (begin == 0).then(|| &weights.bias[first..first + width]);
                let columns = first..(first + width).min(output);
                for (group, out) in groups.chunks_exact(depth).zip(out.chunks_mut(ROWS * output)) {
                    let panel = Panel { numbers, ahead: ahead.next().unwrap_or_default() };
                    let rows = Rows { numbers: out, width: output, columns: columns.clone() };
                    tile(simd, group, panel, bias, rows);
                }
            }
        }
    }
}

/// Numbers `begin..begin + depth` of every row, [`ROWS`] rows side by side; rows that are not there are zeros.
#[inline(always)]
fn upright(x: &[f32], input: usize, begin: usize, depth: usize, groups: &mut Vec<[f32; ROWS]>) {
    groups.clear();
    for rows in x.chunks(ROWS * input) {
        let start = groups.len();
        groups.resize(start + depth, [0.0; ROWS]);
        for (r, row) in rows.chunks_exact(input).enumerate() {
            for (to, from) in groups[start..].iter_mut().zip(&row[begin..begin + depth]) {
                to[r] = *from;
            }
        }
    }
}

/// Weights of a tile.
#[derive(Clone, Copy)]
struct Panel<'a> {
    numbers: &'a [f32],
    /// The part of the next panel that should come from the memory meanwhile.
    ahead: &'a [f32],
}

/// Some columns of at most [`ROWS`] rows.
struct Rows<'a> {
    numbers: &'a mut [f32],
    width: usize,
    columns: Range<usize>,
}

/// Adds the product of a group of rows and a panel to the bias, or to what is there.
#[inline(always)]
fn tile<S: Simd>(simd: S, group: &[[f32; ROWS]], panel: Panel, bias: Option<&[f32]>, out: Rows) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for (sums, row) in sums.iter_mut().zip(out.numbers.chunks_exact(out.width)) {
        let begin = bias.unwrap_or(&row[out.columns.clone()]);
        match S::as_simd_f32s(begin).0.first_chunk::<VECTORS>() {
            Some(whole) => *sums = *whole,
            None => {
                for (sum, begin) in sums.iter_mut().zip(begin.chunks(S::F32_LANES)) {
                    *sum = simd.partial_load_f32s(begin);
                }
            }
        }
    }
    let sums = accumulate(simd, group, panel, sums);
    for (sums, row) in sums.iter().zip(out.numbers.chunks_exact_mut(out.width)) {
        let row = &mut row[out.columns.clone()];
        match S::as_mut_simd_f32s(row).0.first_chunk_mut::<VECTORS>() {
            Some(whole) => *whole = *sums,
            None => {
                for (sum, out) in sums.iter().zip(row.chunks_mut(S::F32_LANES)) {
                    simd.partial_store_f32s(out, *sum);
                }
            }
        }
    }
}

/// `sums` and the product; they stay in registers, so they are touched at fixed places alone.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "indices are of registers, and the loops are unrolled"
)]
fn accumulate<S: Simd>(
    simd: S,
    group: &[[f32; ROWS]],
    panel: Panel,
    mut sums: [[S::f32s; VECTORS]; ROWS],
) -> [[S::f32s; VECTORS]; ROWS] {
    let Panel { numbers, ahead } = panel;
    let (panel, _) = S::as_simd_f32s(numbers);
    let (panel, _) = panel.as_chunks::<VECTORS>();
    // A line is asked for every few steps: more at once would have to wait for each other.
    let mut lines = ahead.chunks(LINE);
    let steps = (group.len() / lines.len().max(1)).max(1);
    for (group, panel) in group.chunks(steps).zip(panel.chunks(steps)) {
        if let Some(line) = lines.next() {
            prefetch(line);
        }
        for (x, w) in group.iter().zip(panel) {
            for r in 0..ROWS {
                let x = simd.splat_f32s(x[r]);
                for v in 0..VECTORS {
                    sums[r][v] = simd.mul_add_e_f32s(x, w[v], sums[r][v]);
                }
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::check::{gap, noise};
    use super::*;

    #[test]
    fn packed_product_is_the_product_of_candle() {
        for (rows, input, output) in [
            (1, 1, 1),
            (5, 3, 16),
            (6, 384, 17),
            (7, 385, 40),
            (100, 900, 33),
            (230, 64, 64),
            (0, 4, 3),
        ] {
            let (x, w) = (noise(&[rows, input], 1), noise(&[input, output], 2));
            let b = noise(&[output], 3);
            let packed = PackedLinear::new(&w, &b).expect("packed");
            let mut ours = vec![f32::NAN; rows * output];
            with_floats(&x, |x| {
                packed.apply(x, &mut ours);
                Ok(())
            })
            .expect("numbers");
            let ours = Tensor::from_vec(ours, (rows, output), x.device()).expect("tensor");
            let plain = x.matmul(&w).and_then(|y| y.broadcast_add(&b)).expect("candle");
            assert!(rows == 0 || gap(&ours, &plain) < 1e-4, "{rows} x {input} x {output}");
        }
    }

    #[test]
    #[should_panic(expected = "10 numbers are not mapped to 6 by a map of 4 to 3")]
    fn rows_of_another_length_are_refused() {
        let packed = PackedLinear::new(&noise(&[4, 3], 1), &noise(&[3], 2)).expect("packed");
        packed.apply(&[0.0; 10], &mut [0.0; 6]);
    }

    #[test]
    fn every_thread_gets_full_tiles_that_fit_its_cache() {
        assert_eq!([0, 1, 80, 90].map(|rows| rows_per_task(rows, 2)), [6, 6, 42, 48]);
        assert_eq!([1_024, 5_000].map(|rows| rows_per_task(rows, 8)), [66, 90]);
    }
}
