//! The encoder stack: self-attention over all tokens with two-sided relative positions.

use candle_core::Tensor;

use super::{
    T5Config,
    attention::Attention,
    bias::Buckets,
    layers::{Dropout, FeedForward, RmsNorm},
    weights::Source,
};
use crate::error::Result;

/// The encoder's weights; the embedding is the model's.
#[derive(Clone, Debug)]
pub(super) struct EncoderStack {
    /// [buckets, heads], in the checkpoint a part of the first layer and used by all.
    table: Tensor,
    buckets: Buckets,
    blocks: Vec<Block>,
    norm: RmsNorm,
}

#[derive(Clone, Debug)]
struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    ffn_norm: RmsNorm,
    ffn: FeedForward,
}

impl EncoderStack {
    pub(super) fn load(source: &mut Source<'_>, config: &T5Config) -> Result<Self> {
        let shape = [config.relative_attention_num_buckets, config.num_heads];
        let name = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
        let table = source(name, &shape)?;
        let block = |i: usize, source: &mut Source<'_>| {
            let at = |part: &str| format!("encoder.block.{i}.layer.{part}");
            Ok(Block {
                attention_norm: RmsNorm::load(source, &at("0.layer_norm"), config)?,
                attention: Attention::load(source, &at("0.SelfAttention"), config)?,
                ffn_norm: RmsNorm::load(source, &at("1.layer_norm"), config)?,
                ffn: FeedForward::load(source, &at("1.DenseReluDense"), config)?,
            })
        };
        let blocks = (0..config.num_layers).map(|i| block(i, source)).collect::<Result<_>>()?;
        let norm = RmsNorm::load(source, "encoder.final_layer_norm", config)?;
        Ok(Self { table, buckets: config.buckets(true), blocks, norm })
    }

    /// Learned bias [1, heads, n, n] of every pair of positions.
    pub(super) fn position_bias(&self, n: usize) -> Result<Tensor> {
        self.buckets.bias(&self.table, 0, n, n)
    }

    /// The input of every layer and, last, the normed output; each [rows, n, d]. `hidden` is masked by `mask_bias`
    /// [rows, 1, 1, n].
    pub(super) fn forward(
        &self,
        embedded: Tensor,
        mask_bias: &Tensor,
        dropout: &mut Dropout,
    ) -> Result<Vec<Tensor>> {
        let bias = self.position_bias(embedded.dim(1)?)?.broadcast_add(mask_bias)?;
        let mut states = vec![dropout.apply(embedded)?];
        for block in &self.blocks {
            let x = states.last().expect("the embedding is there");
            states.push(block.forward(x, &bias, dropout)?);
        }
        let last = states.pop().expect("the embedding is there");
        states.push(dropout.apply(self.norm.forward(&last)?)?);
        Ok(states)
    }
}

impl Block {
    fn forward(&self, x: &Tensor, bias: &Tensor, dropout: &mut Dropout) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x)?;
        let memory = self.attention.key_value(&normed)?;
        let attended = self.attention.attend(&normed, &memory, bias, dropout)?;
        let x = (x + dropout.apply(attended)?)?;
        let fed = self.ffn.forward(&self.ffn_norm.forward(&x)?, dropout)?;
        Ok((x + dropout.apply(fed)?)?)
    }
}
