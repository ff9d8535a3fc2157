//! How two vectors are compared, and how a distance becomes a score.

use crate::{
    error::{IndexError, Result},
    kernel::dot,
};

/// The longest vector that is taken: dot products of such vectors stay far from overflow.
pub const MAX_NORM: f64 = 1e18;

/// How two vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Distance `1 - cos(a, b)`, from 0 to 2; score `cos(a, b)`.
    Cosine,
    /// Distance `-a·b`; score `a·b`.
    Dot,
}

impl Metric {
    /// Turns a distance (small is near) into a score (large is good). It happens here and nowhere else.
    pub fn score(self, distance: f32) -> f32 {
        match self {
            Self::Cosine => 1.0 - distance,
            Self::Dot => -distance,
        }
    }

    /// Checks a vector from outside and brings it to the form that [`Metric::distance`] takes.
    pub(crate) fn prepare(self, vector: &[f32], dim: usize) -> Result<Vec<f32>> {
        let mut prepared = Vec::with_capacity(vector.len());
        self.prepare_into(vector, dim, &mut prepared)?;
        Ok(prepared)
    }

    /// As [`Metric::prepare`], in the place of what the buffer held.
    pub(crate) fn prepare_into(
        self,
        vector: &[f32],
        dim: usize,
        prepared: &mut Vec<f32>,
    ) -> Result<()> {
        if vector.len() != dim {
            return Err(IndexError::Dimension { expected: dim, found: vector.len() });
        }
        if let Some(position) = vector.iter().position(|x| !x.is_finite()) {
            return Err(IndexError::NotFinite { position });
        }
        let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        prepared.clear();
        match self {
            Self::Cosine if norm == 0.0 => return Err(IndexError::ZeroNorm),
            Self::Cosine => prepared.extend(vector.iter().map(|&x| (f64::from(x) / norm) as f32)),
            Self::Dot if norm > MAX_NORM => {
                return Err(IndexError::TooLong { norm, bound: MAX_NORM });
            }
            Self::Dot => prepared.extend_from_slice(vector),
        }
        Ok(())
    }

    /// Distance of two prepared vectors; never NaN, never negative zero.
    pub(crate) fn distance(self, a: &[f32], b: &[f32]) -> f32 {
        let product = dot(a, b);
        match self {
            Self::Cosine => (1.0 - product).clamp(0.0, 2.0),
            Self::Dot => 0.0 - product,
        }
    }

    /// No product below this one has as small a distance.
    pub(crate) fn least_product(self, distance: f32) -> f32 {
        match self {
            // Distances are clamped: at 2 every product is as good.
            Self::Cosine if distance >= 2.0 => f32::NEG_INFINITY,
            // `1 - x` is rounded; a distance of zero stands for all products from one up.
            Self::Cosine => (1.0 - distance) - 2.0 * f32::EPSILON,
            Self::Dot => 0.0 - distance,
        }
    }

    /// A number from zero up that orders pairs as [`Metric::distance`] does; the graph compares nothing else.
    pub(crate) fn graph_distance(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            Self::Cosine => self.distance(a, b),
            Self::Dot => order_from_zero(self.distance(a, b)),
        }
    }
}

/// Maps finite numbers below 1e38 to numbers from zero up, keeping their order (neighbouring numbers may fall together).
///
/// The bits of a float, with the sign turned round, order as an unsigned integer; half of that integer is again the bits
/// of a float, and positive floats order as their bits.
fn order_from_zero(x: f32) -> f32 {
    let bits = x.to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    f32::from_bits(ordered >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_starts_at_zero() {
        let numbers = [-1e37f32, -3.5, -1.0, -1e-30, 0.0, 1e-30, 0.5, 1.0, 7.25, 1e37];
        let mapped: Vec<f32> = numbers.iter().map(|&x| order_from_zero(x)).collect();
        assert!(mapped.windows(2).all(|pair| pair[0] < pair[1]), "{mapped:?}");
        assert!(mapped.iter().all(|x| *x >= 0.0 && x.is_finite()));
    }

    #[test]
    fn vectors_that_have_no_meaning_are_refused() {
        let refuse = |metric: Metric, vector: &[f32]| metric.prepare(vector, 2).unwrap_err();
        assert_eq!(refuse(Metric::Dot, &[1.0]), IndexError::Dimension { expected: 2, found: 1 });
        assert_eq!(refuse(Metric::Dot, &[0.0, f32::NAN]), IndexError::NotFinite { position: 1 });
        assert_eq!(refuse(Metric::Cosine, &[0.0, -0.0]), IndexError::ZeroNorm);
        assert!(matches!(refuse(Metric::Dot, &[1e30, 0.0]), IndexError::TooLong { .. }));
        let tiny = Metric::Cosine.prepare(&[1e-40, 0.0], 2).unwrap();
        assert!((tiny[0] - 1.0).abs() < 1e-6);
    }
}
