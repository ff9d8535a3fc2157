//! Multi-head attention of a T5: no biases, no division by the root of the head width, an additive bias instead.

use candle_core::Tensor;

use super::{
    T5Config,
    layers::{Dropout, Linear, softmax},
    weights::Source,
};
use crate::error::Result;

/// The four projections of one attention sub-layer.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
    head_width: usize,
}

/// Keys and values of one attention, each [rows, heads, positions, head width].
#[derive(Clone, Debug)]
pub(super) struct KeyValue {
    pub(super) key: Tensor,
    pub(super) value: Tensor,
}

impl KeyValue {
    /// These positions followed by those of `next`.
    pub(super) fn extend(&self, next: &Self) -> Result<Self> {
        Ok(Self {
            key: Tensor::cat(&[&self.key, &next.key], 2)?,
            value: Tensor::cat(&[&self.value, &next.value], 2)?,
        })
    }

    /// The chosen rows, in the order given.
    pub(super) fn select(&self, rows: &Tensor) -> Result<Self> {
        Ok(Self { key: self.key.index_select(rows, 0)?, value: self.value.index_select(rows, 0)? })
    }
}

impl Attention {
    pub(super) fn load(source: &mut Source<'_>, name: &str, config: &T5Config) -> Result<Self> {
        let (d, inner) = (config.d_model, config.inner());
        Ok(Self {
            query: Linear::load(source, &format!("{name}.q"), inner, d)?,
            key: Linear::load(source, &format!("{name}.k"), inner, d)?,
            value: Linear::load(source, &format!("{name}.v"), inner, d)?,
            out: Linear::load(source, &format!("{name}.o"), d, inner)?,
            heads: config.num_heads,
            head_width: config.d_kv,
        })
    }

    /// Keys and values of `x` [rows, positions, d].
    pub(super) fn key_value(&self, x: &Tensor) -> Result<KeyValue> {
        Ok(KeyValue {
            key: self.split(&self.key.forward(x)?)?,
            value: self.split(&self.value.forward(x)?)?,
        })
    }

    /// Attends from `x` [rows, queries, d] to `memory`, with `bias` broadcast over the scores
    /// [memory rows, heads, queries, keys].
    ///
    /// `rows` may be a multiple of the memory's rows: then each row of the memory serves that many rows of `x` in a run
    /// (the beams of one source), without a copy. `bias` is then one row of queries high.
    pub(super) fn attend(
        &self,
        x: &Tensor,
        memory: &KeyValue,
        bias: &Tensor,
        dropout: &mut Dropout,
    ) -> Result<Tensor> {
        let (rows, queries, _) = x.dims3()?;
        let sources = memory.key.dim(0)?;
        let shared = rows / sources * queries;
        let query =
            self.query.forward(x)?.reshape((sources, shared, self.heads * self.head_width))?;
        let scores = self.split(&query)?.matmul(&memory.key.t()?)?.broadcast_add(bias)?;
        let weights = dropout.apply(softmax(&scores)?)?;
        let mixed = weights.matmul(&memory.value)?.transpose(1, 2)?.contiguous()?;
        self.out.forward(&mixed.reshape((rows, queries, self.heads * self.head_width))?)
    }

    /// [rows, positions, heads * head width] to [rows, heads, positions, head width].
    fn split(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, positions, _) = x.dims3()?;
        let x = x.reshape((rows, positions, self.heads, self.head_width))?;
        Ok(x.transpose(1, 2)?.contiguous()?)
    }
}
