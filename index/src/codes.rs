//! Vectors as bytes: one scale for each dimension, so that a dimension with small numbers keeps its share of the code.
//!
//! A vector `v` is kept as `c_d = round(v_d / s_d)`, with `s_d` the largest `|v_d|` of all vectors over 127. A query `q` is
//! folded with the scales and quantised with one step: `i_d = round(q_d s_d / t)`. Then `q·v ≈ t Σ i_d c_d`, a product in
//! integers, and by Cauchy and Schwarz the error is at most `|q| max|v - s c| + |q s - t i| max|c|`: what [`Quantiser::residual`]
//! and [`Quantiser::code_norm`] are kept for. Codes are stored shifted by 128, as the instructions want one side unsigned.

use crate::simd::LANE;

/// Largest code.
const TOP: f32 = 127.0;
/// What a code of zero is stored as.
pub(crate) const ZERO: u8 = 128;

/// The scales of a set of vectors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantiser {
    /// One a dimension; zero where all vectors are.
    pub(crate) scales: Vec<f32>,
    /// Length of the longest difference between a vector and what its code stands for.
    pub(crate) residual: f32,
    /// Length of the longest row of codes.
    pub(crate) code_norm: f32,
    /// Length of the longest vector.
    pub(crate) norm: f32,
}

/// A query in integers.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryCode {
    /// As long as a row of codes.
    pub(crate) codes: Vec<i8>,
    /// What the shift of the codes adds to every product.
    shift: i32,
    step: f64,
    /// Bound of the difference between [`QueryCode::product`] and the product in floats.
    pub(crate) error: f64,
}

/// Bytes of a row of codes.
pub(crate) fn stride(dim: usize) -> usize {
    dim.next_multiple_of(LANE)
}

impl Quantiser {
    /// Measures the scales on these rows and writes their codes, [`stride`] bytes a row, to `codes`.
    pub(crate) fn fit(rows: &[f32], dim: usize, codes: &mut [u8]) -> Self {
        let mut scales = vec![0f32; dim];
        for row in rows.chunks_exact(dim) {
            scales.iter_mut().zip(row).for_each(|(scale, x)| *scale = scale.max(x.abs()));
        }
        scales.iter_mut().for_each(|scale| *scale /= TOP);
        let inverse: Vec<f32> = scales.iter().map(|&scale| inverse(scale)).collect();
        let mut bounds = [0f64; 3];
        for (row, codes) in rows.chunks_exact(dim).zip(codes.chunks_exact_mut(stride(dim))) {
            let (mut off, mut code_norm, mut norm) = (0f64, 0f64, 0f64);
            for (at, x) in row.iter().enumerate() {
                let code = round(x * inverse[at]);
                let left = f64::from(*x) - f64::from(code) * f64::from(scales[at]);
                off += left * left;
                code_norm += f64::from(code) * f64::from(code);
                norm += f64::from(*x) * f64::from(*x);
                codes[at] = (code as i16 + i16::from(ZERO)) as u8;
            }
            codes[dim..].fill(ZERO);
            let squares = [off, code_norm, norm];
            bounds.iter_mut().zip(squares).for_each(|(bound, square)| *bound = bound.max(square));
        }
        // Rounded up, as they are bounds.
        let [residual, code_norm, norm] = bounds.map(|square| (square.sqrt() as f32).next_up());
        Self { scales, residual, code_norm, norm }
    }

    /// Brings a query to integers.
    pub(crate) fn encode(&self, query: &[f32], out: &mut QueryCode) {
        // Both are at most 1e18, so their product is a float.
        let folded = |at: usize| query[at] * self.scales[at];
        let top = (0..query.len()).fold(0f32, |top, at| top.max(folded(at).abs()));
        let step = top / TOP;
        let inverse = inverse(step);
        out.codes.clear();
        out.codes.resize(stride(query.len()), 0);
        let (mut sum, mut norm, mut off) = (0i32, 0f64, 0f64);
        for (at, slot) in out.codes[..query.len()].iter_mut().enumerate() {
            let code = round(folded(at) * inverse);
            let left = f64::from(query[at]) * f64::from(self.scales[at])
                - f64::from(code) * f64::from(step);
            off += left * left;
            norm += f64::from(query[at]) * f64::from(query[at]);
            sum += code as i32;
            *slot = code as i8;
        }
        (out.shift, out.step) = (sum * i32::from(ZERO), f64::from(step));
        out.error = norm.sqrt() * f64::from(self.residual) + off.sqrt() * f64::from(self.code_norm);
        // A product of floats is off by less than this, in whatever order its terms are added.
        let rounding = query.len() as f64 * f64::from(f32::EPSILON);
        out.error += rounding * norm.sqrt() * f64::from(self.norm);
    }
}

impl QueryCode {
    #[cfg(test)]
    /// The product of query and vector that an integer product of their codes stands for.
    pub(crate) fn product(&self, integer: i32) -> f64 {
        f64::from(integer.wrapping_sub(self.shift)) * self.step
    }

    /// The least integer product that may stand for a true product of at least this.
    pub(crate) fn least(&self, product: f64) -> i32 {
        if self.step == 0.0 {
            return i32::MIN;
        }
        // One less for what the division loses.
        let least = ((product - self.error) / self.step).floor() - 1.0 + f64::from(self.shift);
        least as i32
    }
}

/// The nearest whole number, for numbers up to a little beyond [`TOP`]: a float this large has no digits after the point.
fn round(x: f32) -> f32 {
    const LARGE: f32 = 12_582_912.0;
    (x + LARGE - LARGE).clamp(-TOP, TOP)
}

/// Zero where a division would leave the numbers.
fn inverse(scale: f32) -> f32 {
    let inverse = 1.0 / scale;
    if inverse.is_finite() { inverse } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simd::Isa;

    fn check(rows: &[f32], dim: usize, query: &[f32]) -> Result<(), TestCaseError> {
        let mut codes = vec![0; rows.len() / dim * stride(dim)];
        let quantiser = Quantiser::fit(rows, dim, &mut codes);
        let mut code = QueryCode::default();
        quantiser.encode(query, &mut code);
        let mut products = vec![0; rows.len() / dim];
        Isa::best().dot_all(&codes, &code.codes, &mut products);
        for (row, product) in rows.chunks(dim).zip(products) {
            let true_product: f64 =
                row.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let off = (code.product(product) - true_product).abs();
            prop_assert!(off <= code.error * 1.000_001, "{off} > {}", code.error);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn the_error_never_exceeds_its_bound(
            numbers in prop::collection::vec(-1f32..1.0, 7 * 12),
            query in prop::collection::vec(-1f32..1.0, 7),
            stretch in prop::collection::vec(-12i32..12, 7),
        ) {
            let stretched: Vec<f32> = numbers
                .iter()
                .enumerate()
                .map(|(at, x)| x * 10f32.powi(stretch[at % 7]))
                .collect();
            check(&stretched, 7, &query)?;
        }
    }

    #[test]
    fn numbers_without_an_inverse_and_zeros_are_taken() {
        check(&[1e-44, 0.0, 0.0, 0.0], 2, &[0.0, 0.0]).unwrap();
        check(&[1e18, 0.0, -1e18, 1e-44], 2, &[1e18, 1.0]).unwrap();
    }

    #[test]
    fn unit_vectors_lose_less_than_a_hundredth() {
        let dim = 256;
        let wave = |seed: f32| (0..dim).map(move |d| (seed + d as f32 * 0.7).sin());
        let mut rows: Vec<f32> = (0..20).flat_map(|seed| wave(seed as f32)).collect();
        rows.iter_mut().for_each(|x| *x *= (2.0 / dim as f32).sqrt());
        let query = rows[..dim].to_vec();
        let mut codes = vec![0; 20 * stride(dim)];
        let quantiser = Quantiser::fit(&rows, dim, &mut codes);
        let mut code = QueryCode::default();
        quantiser.encode(&query, &mut code);
        assert!(code.error < 0.015, "{}", code.error);
    }
}
