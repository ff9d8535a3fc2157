//! A stack of transformer blocks laid out for encoding.
//!
//! All that a block makes of a row but its attention needs that row alone. So a thread takes some rows from the attention
//! over the feed-forward layers to the queries, keys and values of the next block, while they are in its cache, and the
//! threads meet once a block: where attention needs the keys and values of other rows.

use std::ops::Range;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::{
    error::{EncoderError, Result},
    layers::{Block, LayerNorm, Layout, NormOrder, StackShape},
    ops::{self, AttentionPlan, PackedLinear},
};

/// The blocks, ready for the products of this machine; they have no gradient.
#[derive(Debug)]
pub(crate) struct PackedStack {
    blocks: Vec<PackedBlock>,
    shape: StackShape,
}

#[derive(Debug)]
struct PackedBlock {
    query_key_value: PackedLinear,
    attention_out: PackedLinear,
    attention_norm: Norm,
    ffn_in: PackedLinear,
    ffn_out: PackedLinear,
    ffn_norm: Norm,
}

#[derive(Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

/// Where a thread writes on its way.
#[derive(Default)]
struct Scratch {
    narrow: Vec<f32>,
    wide: Vec<f32>,
}

impl PackedStack {
    pub(crate) fn new(blocks: &[Block], shape: StackShape) -> Result<Self> {
        let packed = |block: &Block| {
            Ok(PackedBlock {
                query_key_value: block.query_key_value.packed()?,
                attention_out: block.attention_out.packed()?,
                attention_norm: Norm::new(&block.attention_norm)?,
                ffn_in: block.ffn_in.packed()?,
                ffn_out: block.ffn_out.packed()?,
                ffn_norm: Norm::new(&block.ffn_norm)?,
            })
        };
        Ok(Self { blocks: blocks.iter().map(packed).collect::<Result<_>>()?, shape })
    }

    /// Runs the chosen layers on `x` ([rows, width]).
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        layout: &Layout,
        layers: Range<usize>,
    ) -> Result<Tensor> {
        let AttentionPlan::Ragged { segments, buckets } = &layout.plan else {
            return Err(EncoderError::Config("a packed model encodes on the CPU alone".into()));
        };
        let bias = layout.bias.as_ref().map(numbers).transpose()?;
        let bias = buckets.as_deref().zip(bias.as_deref());
        let (rows, width) = x.dims2()?;
        let mut x = numbers(x)?;
        let mut now = vec![0.0; rows * 3 * width];
        let mut next = now.clone();
        let task = ops::packed_rows(rows, rayon::current_num_threads());
        let blocks = &self.blocks[layers];
        if let Some(first) = blocks.first() {
            let tasks = x.par_chunks(task * width).zip(now.par_chunks_mut(task * 3 * width));
            tasks.for_each_init(Scratch::default, |scratch, (x, qkv)| {
                self.ask(first, x, qkv, scratch);
            });
        }
        for (i, block) in blocks.iter().enumerate() {
            let tasks = x.par_chunks_mut(task * width).zip(next.par_chunks_mut(task * 3 * width));
            tasks.enumerate().for_each_init(Scratch::default, |scratch, (i_task, (x, qkv))| {
                let begin = i_task * task;
                let chosen = begin..begin + x.len() / width;
                let mut attended = vec![0.0; x.len()];
                let heads = self.shape.heads;
                ops::attend_rows((segments, bias), heads, &now, chosen, &mut attended);
                self.block(block, &attended, x, scratch);
                if let Some(next) = blocks.get(i + 1) {
                    self.ask(next, x, qkv, scratch);
                }
            });
            std::mem::swap(&mut now, &mut next);
        }
        Ok(Tensor::from_vec(x, (rows, width), &candle_core::Device::Cpu)?)
    }

    /// Queries, keys and values of some rows.
    fn ask(&self, block: &PackedBlock, x: &[f32], qkv: &mut [f32], scratch: &mut Scratch) {
        match self.shape.order {
            NormOrder::Pre => {
                let normed = block.attention_norm.of(x, &mut scratch.narrow);
                block.query_key_value.apply(normed, qkv);
            }
            NormOrder::Post => block.query_key_value.apply(x, qkv),
        }
    }

    /// What a block makes of some rows, once they have attended.
    fn block(&self, block: &PackedBlock, attended: &[f32], x: &mut [f32], scratch: &mut Scratch) {
        let Scratch { narrow, wide } = scratch;
        narrow.resize(x.len(), 0.0);
        block.attention_out.apply(attended, narrow);
        ops::axpy(1.0, narrow, x);
        let normed = match self.shape.order {
            NormOrder::Pre => block.ffn_norm.of(x, narrow),
            NormOrder::Post => {
                x.copy_from_slice(block.attention_norm.of(x, narrow));
                &*x
            }
        };
        wide.resize(x.len() / self.shape.width * self.shape.ffn, 0.0);
        block.ffn_in.apply(normed, wide);
        ops::gelu_in_place(wide);
        narrow.resize(x.len(), 0.0);
        block.ffn_out.apply(wide, narrow);
        ops::axpy(1.0, narrow, x);
        if self.shape.order == NormOrder::Post {
            x.copy_from_slice(block.ffn_norm.of(x, narrow));
        }
    }
}

impl Norm {
    fn new(norm: &LayerNorm) -> Result<Self> {
        Ok(Self { weight: numbers(&norm.weight)?, bias: numbers(&norm.bias)?, eps: norm.eps })
    }

    /// Rows of `x`, normalised into `out`.
    fn of<'a>(&self, x: &[f32], out: &'a mut Vec<f32>) -> &'a [f32] {
        out.resize(x.len(), 0.0);
        ops::layer_norm_rows(x, &self.weight, &self.bias, self.eps, out);
        out
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candle_core::Device;

    use super::*;
    use crate::{
        layers::Stack,
        ops::{
            BiasBuckets,
            check::{gap, noise},
        },
        params::Params,
        ragged::Segments,
    };

    /// Random weights, biases and norms included.
    fn stack(shape: StackShape) -> Stack {
        let mut params = Params::initialise(&[], 1).expect("none");
        for (i, spec) in Stack::specs("s", &shape).iter().enumerate() {
            params.insert(&spec.name, (noise(&spec.shape, i as u64) * 0.3).expect("scaled"));
        }
        Stack::load(&params, "s", shape).expect("stack")
    }

    #[test]
    fn packed_blocks_are_the_blocks() {
        for order in [NormOrder::Pre, NormOrder::Post] {
            let shape = StackShape { layers: 2, width: 24, heads: 3, ffn: 40, order, eps: 1e-5 };
            let plain = stack(shape);
            let mut packed = plain.clone();
            packed.pack().expect("packed");
            assert_eq!(packed.layers(), 2);
            for lengths in [vec![1], vec![130, 0, 7, 1], vec![3; 70]] {
                let segments = Arc::new(Segments::from_lengths(lengths.iter().copied()));
                let matrices: Vec<Vec<u8>> =
                    lengths.iter().map(|n| (0..n * n).map(|i| (i % 5) as u8).collect()).collect();
                let x = noise(&[segments.rows(), 24], 9);
                for bias in [None, Some(noise(&[5, 3], 4))] {
                    let buckets = BiasBuckets::new(matrices.iter().map(Vec::as_slice));
                    let buckets = bias.as_ref().map(|_| (buckets, 5));
                    let plan = AttentionPlan::new(&segments, buckets, &Device::Cpu).expect("plan");
                    let layout = Layout { plan, bias };
                    for layers in [0..2, 1..2, 0..0] {
                        let run = |stack: &Stack| stack.forward(&x, &layout, layers.clone());
                        let (ours, plain) =
                            (run(&packed).expect("ours"), run(&plain).expect("plain"));
                        assert!(gap(&ours, &plain) < 1e-4, "{order:?}, {lengths:?}, {layers:?}");
                    }
                }
            }
        }
    }
}
