//! The tensor operations that candle lacks or has without a gradient, over batches without padding.
//!
//! Each file holds one operation: a forward and a backward function on plain slices, and the glue that makes it a node
//! of candle's graph. They run on the CPU, in parallel over rows or sequences, with SIMD chosen at run time by `pulp`. On any
//! other device the same functions are compositions of candle's operations (`composed`).

mod add;
mod attention;
mod bag;
mod composed;
mod gelu;
mod layer_norm;
mod math;
mod matmul;
mod maxsim;
mod packed;
mod prefetch;
mod segment;
mod weighted_bag;

use candle_core::{CpuStorage, Device, Layout, Result, Storage, Tensor};

pub(crate) use add::add;
pub(crate) use attention::{AttentionPlan, BiasBuckets, attend_rows};
pub(crate) use bag::{embedding_bag, select_rows};
pub(crate) use gelu::{bias_gelu, gelu_in_place};
pub(crate) use layer_norm::{layer_norm, layer_norm_rows};
pub(crate) use math::{axpy, dot, squared_distance};
pub(crate) use maxsim::weighted_max_sim;
pub(crate) use packed::{PackedLinear, rows_per_task as packed_rows};
pub(crate) use segment::{segment_softmax, segment_weighted_sum};
pub(crate) use weighted_bag::{WeightedBags, weighted_bag};

/// Least work (numbers touched) that is worth another thread.
const GRAIN: usize = 1 << 14;

/// True for the device that the operations of this room run on; any other gets their compositions.
fn has_kernels(device: &Device) -> bool {
    #[cfg(test)]
    if check::compositions_are_forced() {
        return false;
    }
    device.is_cpu()
}

/// The numbers of a contiguous f32 argument of a custom operation.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a custom operation needs contiguous input, got {layout:?}");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Runs `read` on the numbers of a tensor, copying them only when they are not contiguous.
pub(crate) fn with_floats<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
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
pub(crate) mod check;
