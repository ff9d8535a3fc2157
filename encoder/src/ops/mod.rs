//! The tensor operations that candle lacks or has without a gradient, over batches without padding.
//!
//! Each file holds one operation: a forward and a backward function on plain slices, and the glue that makes it a node
//! of candle's graph. They run on the CPU, in parallel over rows or sequences, with SIMD chosen at run time by `pulp`.

mod attention;
mod bag;
mod gelu;
mod layer_norm;
mod math;
mod maxsim;
mod segment;

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor};

pub(crate) use attention::{BiasBuckets, attention};
pub(crate) use bag::embedding_bag;
pub(crate) use gelu::bias_gelu;
pub(crate) use layer_norm::layer_norm;
pub(crate) use math::{dot, squared_distance};
pub(crate) use maxsim::weighted_max_sim;
pub(crate) use segment::{segment_softmax, segment_weighted_sum};

/// Least work (numbers touched) that is worth another thread.
const GRAIN: usize = 1 << 14;

/// The numbers of a contiguous f32 argument of a custom operation.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a custom operation needs contiguous input, got {layout:?}");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Runs `read` on the numbers of a tensor, copying them only when they are not contiguous.
fn with_floats<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => read(floats(cpu, layout)?),
        _ => candle_core::bail!("this operation runs on the CPU only"),
    }
}

/// Rows that one thread should take at a time.
fn rows_per_task(width: usize) -> usize {
    (GRAIN / width.max(1)).max(1)
}

#[cfg(test)]
mod check {
    //! Gradients against central differences, for the tests of every operation.

    use candle_core::{Device, Result, Tensor, Var};

    /// A deterministic tensor of numbers in -1..1.
    pub(crate) fn noise(shape: &[usize], seed: u64) -> Tensor {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let count = shape.iter().product();
        let data: Vec<f32> = (0..count)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect();
        Tensor::from_vec(data, shape, &Device::Cpu).expect("shape matches its own count")
    }

    /// Asserts that the gradient of `sum(f(inputs) * probe)` agrees with central differences for every input number.
    pub(crate) fn gradients_agree(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
        let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).expect("cpu")).collect();
        let tensors = |vars: &[Var]| vars.iter().map(|v| v.as_tensor().clone()).collect::<Vec<_>>();
        let out = f(&tensors(&vars)).expect("forward");
        let probe = noise(out.dims(), 99);
        let loss = |ts: &[Tensor]| {
            let y = f(ts).expect("forward");
            let y = (y * &probe).expect("same shape").sum_all().expect("sum");
            y.to_scalar::<f32>().expect("scalar")
        };
        let grads = (out * &probe)
            .expect("same shape")
            .sum_all()
            .expect("sum")
            .backward()
            .expect("backward");
        for (which, input) in inputs.iter().enumerate() {
            let grad = grads.get(&vars[which]).expect("gradient").flatten_all().expect("flat");
            let grad = grad.to_vec1::<f32>().expect("floats");
            let data = input.flatten_all().expect("flat").to_vec1::<f32>().expect("floats");
            for i in 0..data.len() {
                let moved = |step: f32| {
                    let mut changed = data.clone();
                    changed[i] += step;
                    let mut all = inputs.to_vec();
                    all[which] =
                        Tensor::from_vec(changed, input.dims(), &Device::Cpu).expect("shape");
                    loss(&all)
                };
                let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let gap = (numeric - grad[i]).abs();
                assert!(
                    gap < 2e-2 + 2e-2 * numeric.abs(),
                    "input {which}[{i}]: {} against {numeric}",
                    grad[i]
                );
            }
        }
    }
}
