//! The one loop that all searching and reranking spends its time in; the instruction set is chosen at run time.

use std::sync::LazyLock;

use pulp::{Arch, Simd, WithSimd};

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Dot product of two vectors of equal length (the longer one is cut).
///
/// ```
/// assert_eq!(moiety_index::dot(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
/// ```
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let n = a.len().min(b.len());
    ARCH.dispatch(Dot { a: &a[..n], b: &b[..n] })
}

/// Dot products of every row of `rows` (each as long as `vector`) with `vector`, written to `out`.
pub fn dot_rows(rows: &[f32], vector: &[f32], out: &mut [f32]) {
    if !vector.is_empty() {
        ARCH.dispatch(DotRows { rows, vector, out });
    }
}

struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl WithSimd for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        dot_with(simd, self.a, self.b)
    }
}

struct DotRows<'a> {
    rows: &'a [f32],
    vector: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for DotRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (row, out) in self.rows.chunks_exact(self.vector.len()).zip(self.out) {
            *out = dot_with(simd, row, self.vector);
        }
    }
}

/// Four sums run side by side, so that an addition need not wait for the one before.
#[inline(always)]
fn dot_with<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = S::as_simd_f32s(a);
    let (b_lanes, b_rest) = S::as_simd_f32s(b);
    let mut sums = [simd.splat_f32s(0.0); 4];
    let (a_fours, a_last) = a_lanes.as_chunks::<4>();
    let (b_fours, b_last) = b_lanes.as_chunks::<4>();
    for (x, y) in a_fours.iter().zip(b_fours) {
        for i in 0..4 {
            sums[i] = simd.mul_add_e_f32s(x[i], y[i], sums[i]);
        }
    }
    for (x, y) in a_last.iter().zip(b_last) {
        sums[0] = simd.mul_add_e_f32s(*x, *y, sums[0]);
    }
    let low = simd.add_f32s(sums[0], sums[1]);
    let high = simd.add_f32s(sums[2], sums[3]);
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    simd.reduce_sum_f32s(simd.add_f32s(low, high)) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_plain_sum_at_every_length() {
        for n in 0..130 {
            let a: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
            let b: Vec<f32> = (0..n).map(|i| (i as f32 * 0.73).cos()).collect();
            let plain: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            assert!((f64::from(dot(&a, &b)) - plain).abs() < 1e-4, "length {n}");
        }
    }

    #[test]
    fn rows_give_what_single_products_give() {
        let rows: Vec<f32> = (0..3 * 19).map(|i| i as f32 * 0.01).collect();
        let vector: Vec<f32> = (0..19).map(|i| 1.0 - i as f32 * 0.1).collect();
        let mut out = [0.0; 3];
        dot_rows(&rows, &vector, &mut out);
        let single: Vec<f32> = rows.chunks(19).map(|row| dot(row, &vector)).collect();
        assert_eq!(out.to_vec(), single);
    }
}
