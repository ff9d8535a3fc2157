//! Rows of signed bytes with one scale each: the form in which the vectors of parts are kept and compared.
//!
//! A vector `v` of `d` numbers is kept as a scale `s = max |v_i| / 127` and codes `c_i = round(v_i / s)`, so each number is off
//! by at most `s / 2` and the vector by `e = s √d / 2`. A product is taken in integers, `q·v ≈ s_q s_v Σ c_i(q) c_i(v)`, and is off
//! by at most `|q| e_v + |v| e_q + e_q e_v`. A row is its scale, four bytes with the low one first, then its codes; rows lie one
//! after another, wherever they are kept: what a store read is compared as it lies.

use crate::flat::MAX_DIM;

/// Largest code.
const TOP: f32 = 127.0;
/// Bytes of a row before its codes.
const SCALE_BYTES: usize = size_of::<f32>();

/// Rows of one length that lie elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CodedRows<'a> {
    dim: usize,
    bytes: &'a [u8],
}

impl<'a> CodedRows<'a> {
    /// Bytes of a row of `dim` numbers; `None` where no row can be that long.
    pub fn row_bytes(dim: usize) -> Option<usize> {
        (1..=MAX_DIM).contains(&dim).then_some(SCALE_BYTES + dim)
    }

    /// Rows of `dim` numbers; `None` when `dim` is not within 1 to [`MAX_DIM`], when the bytes are not whole rows, or when a
    /// scale is negative or not finite.
    pub fn new(dim: usize, bytes: &'a [u8]) -> Option<Self> {
        let row_bytes = Self::row_bytes(dim)?;
        let rows = Self { dim, bytes };
        let fit = bytes.len().is_multiple_of(row_bytes)
            && rows.iter().all(|(scale, _)| scale.is_finite() && scale >= 0.0);
        fit.then_some(rows)
    }

    /// Numbers of a row.
    pub fn dim(self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(self) -> usize {
        self.bytes.len() / (SCALE_BYTES + self.dim)
    }

    /// True without rows.
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// Scale and codes of each row; a code is a signed byte.
    pub(crate) fn iter(self) -> impl Iterator<Item = (f32, &'a [u8])> {
        self.bytes.chunks_exact(SCALE_BYTES + self.dim).map(split)
    }

    /// Product of row `i` with row `j` of `other`, which has as many numbers: the very number that [`MaxSim`] compares.
    ///
    /// [`MaxSim`]: crate::MaxSim
    pub fn dot(self, i: usize, other: CodedRows<'_>, j: usize) -> f32 {
        let ((scale, codes), (other_scale, other_codes)) = (self.row(i), other.row(j));
        let pairs = codes.iter().zip(other_codes);
        let product: i32 = pairs.map(|(&a, &b)| i32::from(a as i8) * i32::from(b as i8)).sum();
        product as f32 * other_scale * scale
    }

    /// The numbers that row `i` stands for.
    pub fn numbers(self, i: usize) -> impl Iterator<Item = f32> {
        let (scale, codes) = self.row(i);
        codes.iter().map(move |&code| f32::from(code as i8) * scale)
    }

    fn row(self, i: usize) -> (f32, &'a [u8]) {
        let row_bytes = SCALE_BYTES + self.dim;
        split(&self.bytes[i * row_bytes..][..row_bytes])
    }
}

/// Rows that are kept here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Codes {
    dim: usize,
    bytes: Vec<u8>,
}

impl Codes {
    /// Encodes finite vectors of `dim` numbers, row after row; numbers that do not fill a row are left out.
    ///
    /// ```
    /// use moiety_index::Codes;
    ///
    /// let codes = Codes::of(&[0.6, -0.8], 2);
    /// assert!((codes.rows().dot(0, codes.rows(), 0) - 1.0).abs() < 0.01);
    /// ```
    pub fn of(vectors: &[f32], dim: usize) -> Self {
        let Some(row_bytes) = CodedRows::row_bytes(dim) else { return Self::default() };
        let mut bytes = Vec::with_capacity(vectors.len() / dim * row_bytes);
        for vector in vectors.chunks_exact(dim) {
            let largest = vector.iter().fold(0f32, |largest, x| largest.max(x.abs()));
            let scale = if largest > 0.0 { largest / TOP } else { 1.0 };
            bytes.extend_from_slice(&scale.to_le_bytes());
            bytes.extend(vector.iter().map(|x| (x / scale).round() as i8 as u8));
        }
        Self { dim, bytes }
    }

    /// All rows.
    pub fn rows(&self) -> CodedRows<'_> {
        CodedRows { dim: self.dim, bytes: &self.bytes }
    }

    /// All rows, as they are kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<CodedRows<'_>> for Codes {
    fn from(rows: CodedRows<'_>) -> Self {
        Self { dim: rows.dim, bytes: rows.bytes.to_vec() }
    }
}

fn split(row: &[u8]) -> (f32, &[u8]) {
    let (scale, codes) = row.split_first_chunk().expect("a row begins with its scale");
    (f32::from_le_bytes(*scale), codes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_product_is_off_by_no_more_than_its_bound(
            dim in 1usize..70,
            numbers in prop::collection::vec(-1f32..1.0, 140),
            stretch in -10i32..10,
        ) {
            let (a, b) = (&numbers[..dim], &numbers[70..70 + dim]);
            let a: Vec<f32> = a.iter().map(|x| x * 10f32.powi(stretch)).collect();
            let (coded_a, coded_b) = (Codes::of(&a, dim), Codes::of(b, dim));
            let truth: f64 = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            let norm = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let off = |v: &[f32]| {
                let largest = v.iter().fold(0f32, |largest, x| largest.max(x.abs()));
                f64::from(largest) / 127.0 * (dim as f64).sqrt() / 2.0
            };
            let bound = norm(&a) * off(b) + norm(b) * off(&a) + off(&a) * off(b);
            let product = f64::from(coded_a.rows().dot(0, coded_b.rows(), 0));
            prop_assert!((product - truth).abs() <= bound * 1.000_01 + 1e-30, "{product} {truth}");
        }
    }

    #[test]
    fn rows_come_back_as_they_were_and_zeros_stay_zeros() {
        let codes = Codes::of(&[1.0, -0.5, 0.0, 0.0], 2);
        assert_eq!(codes.rows().len(), 2);
        assert_eq!(codes.rows().numbers(0).next(), Some(1.0));
        assert_eq!(codes.rows().numbers(1).collect::<Vec<_>>(), [0.0, 0.0]);
        assert_eq!(Codes::from(codes.rows()), codes);
        assert_eq!(CodedRows::new(2, codes.as_bytes()), Some(codes.rows()));
    }

    #[test]
    fn bytes_that_are_no_rows_are_refused() {
        let codes = Codes::of(&[1.0, -0.5], 2);
        assert_eq!(CodedRows::new(3, codes.as_bytes()), None);
        assert_eq!(CodedRows::new(0, &[]), None);
        assert_eq!(CodedRows::new(MAX_DIM + 1, &[]), None);
        for scale in [f32::NAN, f32::INFINITY, -1.0] {
            let row = [&scale.to_le_bytes()[..], &[1, 2]].concat();
            assert_eq!(CodedRows::new(2, &row), None, "{scale}");
        }
    }
}
