//! What the tests of every operation share: gradients against central differences, and one device against the other.

use std::{cell::Cell, sync::OnceLock};

use candle_core::{Device, Result, Tensor, Var};

use crate::device::DeviceChoice;

/// Where composed operations are tested: on a GPU if there is one, else on the CPU.
pub(crate) fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| DeviceChoice::Auto.open().expect("a device")).clone()
}

thread_local!(static FORCED: Cell<bool> = const { Cell::new(false) });

/// Runs `f` with compositions in place of all custom operations of this thread, on the CPU too.
pub(crate) fn with_compositions<R>(f: impl FnOnce() -> R) -> R {
    FORCED.set(true);
    let result = f();
    FORCED.set(false);
    result
}

pub(super) fn compositions_are_forced() -> bool {
    FORCED.get()
}

/// Largest difference of two tensors on any devices; without end where one is no number.
pub(crate) fn gap(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let flat = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("floats");
    flat(a).iter().zip(flat(b)).map(|(a, b)| (a - b).abs()).fold(0.0, worse)
}

/// The larger of two; what is no number is larger than all.
fn worse(a: f32, b: f32) -> f32 {
    if b.is_nan() { f32::INFINITY } else { a.max(b) }
}

/// Asserts that `composed` on [`device`] gives the values and gradients that `custom` gives on the CPU, to 1e-5.
pub(crate) fn agree(
    inputs: &[Tensor],
    custom: impl Fn(&[Tensor]) -> Result<Tensor>,
    composed: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let ours = with_gradients(inputs, &Device::Cpu, custom).expect("custom operation");
    let theirs = with_gradients(inputs, &device(), composed).expect("composed operation");
    for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        let largest = a.abs().and_then(|a| a.max_all()?.to_scalar::<f32>()).expect("largest");
        let gap = gap(a, b);
        assert!(gap <= 1e-5 * largest.max(1.0), "output {i} differs by {gap} of {largest}");
    }
}

/// The value of `f`, and the gradient of `sum(f * noise)` by every input.
fn with_gradients(
    inputs: &[Tensor],
    device: &Device,
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<Vec<Tensor>> {
    let vars: Result<Vec<Var>> =
        inputs.iter().map(|t| Var::from_tensor(&t.to_device(device)?)).collect();
    let vars = vars?;
    let out = f(&vars.iter().map(|v| v.as_tensor().clone()).collect::<Vec<_>>())?;
    let grads = (&out * noise(out.dims(), 99).to_device(device)?)?.sum_all()?.backward()?;
    let grad = |var: &Var| match grads.get(var) {
        Some(grad) => Ok(grad.clone()),
        None => candle_core::bail!("an input has no gradient"),
    };
    std::iter::once(Ok(out.clone())).chain(vars.iter().map(grad)).collect()
}

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
    let grads =
        (out * &probe).expect("same shape").sum_all().expect("sum").backward().expect("backward");
    for (which, input) in inputs.iter().enumerate() {
        let grad = grads.get(&vars[which]).expect("gradient").flatten_all().expect("flat");
        let grad = grad.to_vec1::<f32>().expect("floats");
        let data = input.flatten_all().expect("flat").to_vec1::<f32>().expect("floats");
        for i in 0..data.len() {
            let moved = |step: f32| {
                let mut changed = data.clone();
                changed[i] += step;
                let mut all = inputs.to_vec();
                all[which] = Tensor::from_vec(changed, input.dims(), &Device::Cpu).expect("shape");
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
