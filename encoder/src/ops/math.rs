//! Scalar and row kernels shared by the operations. All are branch-free so that they vectorise when inlined into a
//! `pulp` dispatch.

/// e^x for f32, relative error below 3e-7 on [-87, 88]; clamped outside.
///
/// Cephes' `expf`: x = n ln 2 + r, a polynomial of degree 6 in r, scaled by 2^n through the exponent bits.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to the nearest integer
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    f32::from_bits((y.to_bits()).wrapping_add(shifted.to_bits() << 23))
}

/// erf(x) with absolute error below 5e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let p = 1.061_405_4;
    let p = p * t - 1.453_152_1;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    let y = 1.0 - p * t * exp(-a * a);
    y.copysign(x)
}

/// `out += a * x`, element by element.
#[inline(always)]
pub(crate) fn axpy(a: f32, x: &[f32], out: &mut [f32]) {
    for (o, x) in out.iter_mut().zip(x) {
        *o += a * x;
    }
}

/// Sum of products. Eight lanes, so that the order of additions does not depend on the machine.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a8, a1) = a.as_chunks::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for i in 0..8 {
            lanes[i] += a[i] * b[i];
        }
    }
    let tail: f32 = a1.iter().zip(b1).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + tail
}

/// Sum of squared differences, in the lanes of [`dot`].
#[inline(always)]
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a8, a1) = a.as_chunks::<8>();
    let (b8, b1) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for i in 0..8 {
            lanes[i] += (a[i] - b[i]) * (a[i] - b[i]);
        }
    }
    let tail: f32 = a1.iter().zip(b1).map(|(a, b)| (a - b) * (a - b)).sum();
    lanes.iter().sum::<f32>() + tail
}

/// Sum of `of(x)`. Sixteen lanes, which vectorise; the order of additions does not depend on the machine.
#[inline(always)]
pub(super) fn sum(x: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<16>();
    let mut lanes = [0f32; 16];
    for chunk in chunks {
        for i in 0..16 {
            lanes[i] += of(chunk[i]);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|&x| of(x)).sum::<f32>()
}

/// The largest number, in sixteen lanes.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = x.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    for chunk in chunks {
        for i in 0..16 {
            lanes[i] = greater(lanes[i], chunk[i]);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |m, &x| greater(m, x))
}

/// Turns logits into probabilities in place.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32]) {
    let max = largest(row);
    for x in row.iter_mut() {
        *x = exp(*x - max);
    }
    let scale = 1.0 / sum(row, |x| x);
    for x in row.iter_mut() {
        *x *= scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_three_ulp_of_the_standard_library() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let (ours, theirs) = (exp(x) as f64, (x as f64).exp());
            assert!((ours / theirs - 1.0).abs() < 3e-7, "exp({x}) = {ours}, not {theirs}");
        }
    }

    #[test]
    fn erf_agrees_with_tabulated_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, y) in [
            (0.0, 0.0),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (2.0, 0.995_322_3),
            (-1.0, -0.842_700_8),
        ] {
            assert!((erf(x) - y).abs() < 1e-6, "erf({x}) = {}", erf(x));
        }
    }
}
