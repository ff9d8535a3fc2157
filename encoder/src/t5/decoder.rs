//! The decoder stack: causal self-attention with one-sided relative positions, then attention to the encoder's output.

use candle_core::{Device, Tensor};

use super::{
    T5Config,
    attention::{Attention, KeyValue},
    bias::Buckets,
    layers::{Dropout, FeedForward, RmsNorm},
    weights::Source,
};
use crate::error::Result;

/// The decoder's weights; the embedding and the output head are the model's.
#[derive(Clone, Debug)]
pub(super) struct DecoderStack {
    /// [buckets, heads], in the checkpoint a part of the first layer and used by all. Cross-attention has none.
    table: Tensor,
    buckets: Buckets,
    blocks: Vec<Block>,
    norm: RmsNorm,
}

#[derive(Clone, Debug)]
struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    cross_norm: RmsNorm,
    cross: Attention,
    ffn_norm: RmsNorm,
    ffn: FeedForward,
}

/// What the decoder keeps between steps of generation: keys and values of what was generated, and of the sources.
///
/// There are `sources × beams` rows; the rows of one source stand in a run and share its keys and values.
#[derive(Clone, Debug)]
pub struct DecoderCache {
    /// Per layer, of the ids so far; empty before the first step.
    own: Vec<KeyValue>,
    /// Per layer, of the encoder's output.
    cross: Vec<KeyValue>,
    /// [sources, 1, 1, n].
    mask_bias: Tensor,
    length: usize,
}

impl DecoderCache {
    /// Ids decoded so far.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Keeps the rows given, in their order; a row may come more than once. The sources stay as they are.
    ///
    /// # Errors
    /// When a row is out of range.
    pub fn select_rows(&mut self, rows: &[u32]) -> Result<()> {
        if let Some(first) = self.own.first()
            && rows.len() == first.key.dim(0)?
            && rows.iter().enumerate().all(|(i, &row)| i == row as usize)
        {
            return Ok(());
        }
        let rows = self.index(rows)?;
        self.own = self.own.iter().map(|kv| kv.select(&rows)).collect::<Result<_>>()?;
        Ok(())
    }

    /// Keeps the sources given, in their order. The rows must be selected to match.
    ///
    /// # Errors
    /// When a source is out of range.
    pub fn select_sources(&mut self, sources: &[u32]) -> Result<()> {
        let sources = self.index(sources)?;
        self.cross = self.cross.iter().map(|kv| kv.select(&sources)).collect::<Result<_>>()?;
        self.mask_bias = self.mask_bias.index_select(&sources, 0)?;
        Ok(())
    }

    fn index(&self, ids: &[u32]) -> Result<Tensor> {
        Ok(Tensor::new(ids, &Device::Cpu)?.to_device(self.mask_bias.device())?)
    }
}

impl DecoderStack {
    pub(super) fn load(source: &mut Source<'_>, config: &T5Config) -> Result<Self> {
        let shape = [config.relative_attention_num_buckets, config.num_heads];
        let name = "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
        let table = source(name, &shape)?;
        let block = |i: usize, source: &mut Source<'_>| {
            let at = |part: &str| format!("decoder.block.{i}.layer.{part}");
            Ok(Block {
                attention_norm: RmsNorm::load(source, &at("0.layer_norm"), config)?,
                attention: Attention::load(source, &at("0.SelfAttention"), config)?,
                cross_norm: RmsNorm::load(source, &at("1.layer_norm"), config)?,
                cross: Attention::load(source, &at("1.EncDecAttention"), config)?,
                ffn_norm: RmsNorm::load(source, &at("2.layer_norm"), config)?,
                ffn: FeedForward::load(source, &at("2.DenseReluDense"), config)?,
            })
        };
        let blocks =
            (0..config.decoder_layers()).map(|i| block(i, source)).collect::<Result<_>>()?;
        let norm = RmsNorm::load(source, "decoder.final_layer_norm", config)?;
        Ok(Self { table, buckets: config.buckets(false), blocks, norm })
    }

    /// Learned bias [1, heads, n, n]; what lies after the query is not yet hidden.
    pub(super) fn position_bias(&self, n: usize) -> Result<Tensor> {
        self.buckets.bias(&self.table, 0, n, n)
    }

    /// A cache that has decoded nothing: keys and values of the sources' `hidden` [sources, n, d].
    pub(super) fn start(&self, hidden: &Tensor, mask_bias: Tensor) -> Result<DecoderCache> {
        let cross = self.blocks.iter().map(|b| b.cross.key_value(hidden)).collect::<Result<_>>()?;
        Ok(DecoderCache { own: Vec::new(), cross, mask_bias, length: 0 })
    }

    /// Normed output [rows, t, d] for the embedded ids [rows, t, d] that follow those of the cache, which takes them in.
    /// `own_mask` [rows, 1, 1, all ids] hides ids besides those that lie after a query.
    pub(super) fn forward(
        &self,
        embedded: Tensor,
        own_mask: Option<&Tensor>,
        cache: &mut DecoderCache,
        dropout: &mut Dropout,
    ) -> Result<Tensor> {
        let new = embedded.dim(1)?;
        let all = cache.length + new;
        let mut bias = self.buckets.bias(&self.table, cache.length, new, all)?;
        if new > 1 {
            bias = bias.broadcast_add(&causal(cache.length, new, bias.device())?)?;
        }
        if let Some(mask) = own_mask {
            bias = bias.broadcast_add(mask)?;
        }
        let mut own = Vec::with_capacity(self.blocks.len());
        let mut x = dropout.apply(embedded)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let normed = block.attention_norm.forward(&x)?;
            let memory = block.attention.key_value(&normed)?;
            let memory = match cache.own.get(i) {
                Some(earlier) => earlier.extend(&memory)?,
                None => memory,
            };
            let attended = block.attention.attend(&normed, &memory, &bias, dropout)?;
            own.push(memory);
            x = (x + dropout.apply(attended)?)?;
            let normed = block.cross_norm.forward(&x)?;
            let read = block.cross.attend(&normed, &cache.cross[i], &cache.mask_bias, dropout)?;
            x = (x + dropout.apply(read)?)?;
            let fed = block.ffn.forward(&block.ffn_norm.forward(&x)?, dropout)?;
            x = (x + dropout.apply(fed)?)?;
        }
        cache.own = own;
        cache.length = all;
        dropout.apply(self.norm.forward(&x)?)
    }
}

/// [1, 1, new, earlier + new]: 0 where a query may look, the least f32 where the key lies after it.
fn causal(earlier: usize, new: usize, device: &Device) -> Result<Tensor> {
    let all = earlier + new;
    let hide = |query: usize, key: usize| if key > earlier + query { f32::MIN } else { 0.0 };
    let data: Vec<f32> = (0..new).flat_map(|q| (0..all).map(move |k| hide(q, k))).collect();
    Ok(Tensor::from_vec(data, (1, 1, new, all), &Device::Cpu)?.to_device(device)?)
}
