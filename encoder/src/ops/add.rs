//! Sum of two tensors of one shape, on the threads that the other operations use.
//!
//! candle's own sum of large tensors waits for a pool of its own, whose pinned threads spin: beside threads at work that
//! takes longer than the sum.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{GRAIN, floats, has_kernels};

/// `a + b`, both of one shape and contiguous.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if has_kernels(a.device()) { a.apply_op2(b, Add) } else { a + b }
}

struct Add;

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add-rows"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if l1.shape() != l2.shape() {
            candle_core::bail!("{:?} and {:?} cannot be added", l1.shape(), l2.shape());
        }
        let (a, b) = (floats(s1, l1)?, floats(s2, l2)?);
        let mut out = vec![0.0; a.len()];
        let tasks = out.par_chunks_mut(GRAIN).zip(a.par_chunks(GRAIN)).zip(b.par_chunks(GRAIN));
        tasks.for_each(|((out, a), b)| {
            for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                *out = a + b;
            }
        });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.clone()), Some(grad.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{gap, gradients_agree, noise};
    use super::*;

    #[test]
    fn sum_is_that_of_candle_and_its_gradient_the_differences() {
        let (a, b) = (noise(&[130, 200], 1), noise(&[130, 200], 2));
        assert_eq!(gap(&add(&a, &b).expect("op"), &(&a + &b).expect("candle")), 0.0);
        gradients_agree(&[noise(&[3, 5], 1), noise(&[3, 5], 2)], |t| add(&t[0], &t[1]));
    }

    #[test]
    fn shapes_that_differ_are_refused() {
        assert!(add(&noise(&[2, 3], 1), &noise(&[3, 2], 2)).is_err());
    }
}
