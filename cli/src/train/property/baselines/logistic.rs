//! Logistic and ridge regression over sparse bits.
//!
//! The objective is scikit-learn's: `C Σ loss + ‖w‖² / 2` with an intercept that is not penalised, where the loss is the
//! logistic one, or half the squared error (ridge with `alpha = 1 / C`).

use moiety_encoder::property::TaskKind;

use super::lbfgs::{Stop, minimise};

/// A fitted linear model.
pub(super) struct LinearModel {
    weights: Vec<f64>,
    intercept: f64,
}

impl LinearModel {
    /// The logit, or the value.
    pub(super) fn score(&self, bits: &[u16]) -> f32 {
        // A bit that was never set in training has no weight.
        let weight = |&bit: &u16| self.weights.get(usize::from(bit)).copied().unwrap_or(0.0);
        (self.intercept + bits.iter().map(weight).sum::<f64>()) as f32
    }
}

/// Fits a model; `rows` are the bits that are set, `y` classes 0 and 1 or values.
pub(super) fn fit_linear(rows: &[&[u16]], y: &[f32], kind: TaskKind, c: f64) -> LinearModel {
    let width = rows.iter().copied().flatten().max().map_or(0, |&bit| usize::from(bit) + 1);
    let objective = |w: &[f64], gradient: &mut [f64]| {
        gradient.copy_from_slice(w);
        gradient[width] = 0.0;
        let mut value = w[..width].iter().map(|w| w * w).sum::<f64>() / 2.0;
        for (bits, &y) in rows.iter().zip(y) {
            let z = w[width] + bits.iter().map(|&bit| w[usize::from(bit)]).sum::<f64>();
            let (loss, slope) = loss(z, f64::from(y), kind);
            value += c * loss;
            bits.iter().for_each(|&bit| gradient[usize::from(bit)] += c * slope);
            gradient[width] += c * slope;
        }
        value
    };
    let stop = Stop { gradient: 1e-4 * c.min(1.0), iterations: 300 };
    let mut weights = minimise(vec![0.0; width + 1], objective, &stop);
    let intercept = weights.pop().unwrap_or(0.0);
    LinearModel { weights, intercept }
}

/// Loss and its derivative by the score.
fn loss(z: f64, y: f64, kind: TaskKind) -> (f64, f64) {
    match kind {
        // max(z, 0) - z y + ln(1 + e^-|z|): finite for every z.
        TaskKind::Classification => {
            (z.max(0.0) - z * y + (-z.abs()).exp().ln_1p(), 1.0 / (1.0 + (-z).exp()) - y)
        }
        TaskKind::Regression => ((z - y).powi(2) / 2.0, z - y),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows, targets, and the answers of scikit-learn.
    #[derive(serde::Deserialize)]
    struct Golden {
        rows: Vec<Vec<u16>>,
        classes: Vec<f32>,
        values: Vec<f32>,
        c: f64,
        logits: Vec<f32>,
        ridge: Vec<f32>,
    }

    #[test]
    fn scores_are_those_of_scikit_learn() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../../../tests/data/linear.json"))
                .expect("golden");
        let rows: Vec<&[u16]> = golden.rows.iter().map(Vec::as_slice).collect();
        let cases = [
            (TaskKind::Classification, &golden.classes, &golden.logits),
            (TaskKind::Regression, &golden.values, &golden.ridge),
        ];
        for (kind, y, theirs) in cases {
            let model = fit_linear(&rows, y, kind, golden.c);
            for (row, theirs) in rows.iter().zip(theirs) {
                let ours = model.score(row);
                assert!((ours - theirs).abs() < 2e-3, "{kind:?}: {ours} against {theirs}");
            }
        }
    }
}
