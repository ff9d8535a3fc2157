//! The loss of a batch of molecules and tasks; what was not measured has no part in it.

use candle_core::Tensor;

use super::labels::TaskKind;
use crate::error::Result;

/// Mean over the measured tasks of the batch: cross entropy of the logits, or squared error of standardised numbers.
///
/// `z`, `targets` and `mask` (1 measured, 0 not) are [rows, tasks]; targets are any finite number where the mask is 0.
pub(super) fn loss(z: &Tensor, targets: &Tensor, mask: &Tensor, kind: TaskKind) -> Result<Tensor> {
    let each = match kind {
        // max(z, 0) - z y + ln(1 + e^-|z|): finite for every z.
        TaskKind::Classification => {
            ((z.relu()? - (z * targets)?)? + (z.abs()?.neg()?.exp()? + 1.0)?.log()?)?
        }
        TaskKind::Regression => (z - targets)?.sqr()?,
    };
    let measured = f64::from(mask.sum_all()?.to_scalar::<f32>()?).max(1.0);
    Ok(((each * mask)?.sum_all()? / measured)?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    fn matrix(rows: &[[f32; 2]; 2]) -> Tensor {
        Tensor::new(rows, &Device::Cpu).expect("matrix")
    }

    #[test]
    fn losses_are_those_worked_by_hand_over_what_was_measured() {
        let (z, y) = (matrix(&[[0.0, 100.0], [-2.0, 3.0]]), matrix(&[[1.0, 0.0], [0.0, 5.0]]));
        let mask = matrix(&[[1.0, 0.0], [1.0, 0.0]]);
        let value =
            |kind| loss(&z, &y, &mask, kind).and_then(|l| Ok(l.to_scalar::<f32>()?)).expect("loss");
        let expected = (2f32.ln() + (1.0 + (-2f32).exp()).ln()) / 2.0;
        assert!((value(TaskKind::Classification) - expected).abs() < 1e-6);
        assert_eq!(value(TaskKind::Regression), (1.0 + 4.0) / 2.0);
    }

    #[test]
    fn missing_labels_send_no_gradient() {
        for kind in [TaskKind::Classification, TaskKind::Regression] {
            let z = Var::from_tensor(&matrix(&[[0.5, 100.0], [-100.0, 3.0]])).expect("var");
            let (y, mask) = (matrix(&[[1.0, 0.0], [0.0, 1.0]]), matrix(&[[1.0, 0.0], [0.0, 1.0]]));
            let grads = loss(&z, &y, &mask, kind).expect("loss").backward().expect("backward");
            let grad = grads.get(&z).and_then(|g| g.to_vec2::<f32>().ok()).expect("gradient");
            assert_eq!((grad[0][1], grad[1][0]), (0.0, 0.0), "{kind:?}");
            assert!(grad[0][0] < 0.0 && grad[1][1] != 0.0, "{kind:?}: {grad:?}");
        }
    }
}
