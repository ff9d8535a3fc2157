//! The layers that both towers share.

use std::{ops::Range, sync::Arc};

use candle_core::Tensor;

use crate::{
    error::Result,
    ops::{self, AttentionPlan, PackedLinear},
    packed::PackedStack,
    params::{Init, ParamSpec, Params},
};

/// `x W + b`, with `W` stored as [in, out] so that its gradient is contiguous.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub(crate) fn specs(name: &str, input: usize, output: usize, deviation: f32) -> [ParamSpec; 2] {
        [
            ParamSpec::new(format!("{name}.weight"), &[input, output], Init::Normal(deviation)),
            ParamSpec::new(format!("{name}.bias"), &[output], Init::Zeros),
        ]
    }

    pub(crate) fn load(params: &Params, name: &str) -> Result<Self> {
        Ok(Self {
            weight: params.get(&format!("{name}.weight"))?,
            bias: params.get(&format!("{name}.bias"))?,
        })
    }

    /// Laid out for encoding.
    pub(crate) fn packed(&self) -> Result<PackedLinear> {
        Ok(PackedLinear::new(&self.weight, &self.bias)?)
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.weight)?.broadcast_add(&self.bias)?)
    }

    fn forward_gelu(&self, x: &Tensor) -> Result<Tensor> {
        Ok(ops::bias_gelu(&x.matmul(&self.weight)?, &self.bias)?)
    }
}

/// Layer normalisation.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
    pub(crate) eps: f32,
}

impl LayerNorm {
    pub(crate) fn specs(name: &str, width: usize) -> [ParamSpec; 2] {
        [
            ParamSpec::new(format!("{name}.weight"), &[width], Init::Ones),
            ParamSpec::new(format!("{name}.bias"), &[width], Init::Zeros),
        ]
    }

    pub(crate) fn load(params: &Params, name: &str, eps: f32) -> Result<Self> {
        let (weight, bias) =
            (params.get(&format!("{name}.weight"))?, params.get(&format!("{name}.bias"))?);
        Ok(Self { weight, bias, eps })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(ops::layer_norm(x, &self.weight, &self.bias, self.eps)?)
    }
}

/// Where a block normalises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NormOrder {
    /// Before each sub-layer, on the branch (steadier to train from nothing).
    Pre,
    /// After each sub-layer, on the sum (BERT).
    Post,
}

/// Sizes of a stack of transformer blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackShape {
    pub(crate) layers: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) ffn: usize,
    pub(crate) order: NormOrder,
    pub(crate) eps: f32,
}

/// A stack of transformer blocks over batches without padding.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    blocks: Vec<Block>,
    shape: StackShape,
    /// All blocks, once they only encode.
    packed: Option<Arc<PackedStack>>,
}

/// One transformer block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) query_key_value: Linear,
    pub(crate) attention_out: Linear,
    pub(crate) attention_norm: LayerNorm,
    pub(crate) ffn_in: Linear,
    pub(crate) ffn_out: Linear,
    pub(crate) ffn_norm: LayerNorm,
}

/// What attention needs to know of a batch besides its rows.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) plan: AttentionPlan,
    /// The table [buckets, heads] that the plan's buckets point into.
    pub(crate) bias: Option<Tensor>,
}

impl Stack {
    pub(crate) fn specs(name: &str, shape: &StackShape) -> Vec<ParamSpec> {
        let (d, ffn) = (shape.width, shape.ffn);
        // Residual branches start smaller in deeper stacks (GPT-2).
        let branch = 0.02 / (2.0 * shape.layers as f32).sqrt();
        let mut specs = Vec::new();
        for i in 0..shape.layers {
            let at = |part: &str| format!("{name}.layers.{i}.{part}");
            specs.extend(Linear::specs(&at("query_key_value"), d, 3 * d, 0.02));
            specs.extend(Linear::specs(&at("attention_out"), d, d, branch));
            specs.extend(LayerNorm::specs(&at("attention_norm"), d));
            specs.extend(Linear::specs(&at("ffn_in"), d, ffn, 0.02));
            specs.extend(Linear::specs(&at("ffn_out"), ffn, d, branch));
            specs.extend(LayerNorm::specs(&at("ffn_norm"), d));
        }
        specs
    }

    pub(crate) fn load(params: &Params, name: &str, shape: StackShape) -> Result<Self> {
        let block = |i: usize| {
            let at = |part: &str| format!("{name}.layers.{i}.{part}");
            Ok(Block {
                query_key_value: Linear::load(params, &at("query_key_value"))?,
                attention_out: Linear::load(params, &at("attention_out"))?,
                attention_norm: LayerNorm::load(params, &at("attention_norm"), shape.eps)?,
                ffn_in: Linear::load(params, &at("ffn_in"))?,
                ffn_out: Linear::load(params, &at("ffn_out"))?,
                ffn_norm: LayerNorm::load(params, &at("ffn_norm"), shape.eps)?,
            })
        };
        let blocks = (0..shape.layers).map(block).collect::<Result<_>>()?;
        Ok(Self { blocks, shape, packed: None })
    }

    /// From now on it only encodes, on the CPU.
    pub(crate) fn pack(&mut self) -> Result<()> {
        if self.packed.is_none() {
            self.packed = Some(Arc::new(PackedStack::new(&self.blocks, self.shape)?));
            self.blocks.clear();
        }
        Ok(())
    }

    pub(crate) fn layers(&self) -> usize {
        self.shape.layers
    }

    /// Runs the chosen layers on `x` ([rows, width]).
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        layout: &Layout,
        layers: Range<usize>,
    ) -> Result<Tensor> {
        if let Some(packed) = &self.packed {
            return packed.forward(x, layout, layers);
        }
        let mut x = x.clone();
        for block in &self.blocks[layers] {
            let Block { attention_norm, ffn_norm, .. } = block;
            let attend = |x: &Tensor| block.attend(x, layout, self.shape.heads);
            x = match self.shape.order {
                NormOrder::Pre => {
                    let x = ops::add(&x, &attend(&attention_norm.forward(&x)?)?)?;
                    ops::add(&x, &block.feed(&ffn_norm.forward(&x)?)?)?
                }
                NormOrder::Post => {
                    let x = attention_norm.forward(&ops::add(&x, &attend(&x)?)?)?;
                    ffn_norm.forward(&ops::add(&x, &block.feed(&x)?)?)?
                }
            };
        }
        Ok(x)
    }
}

impl Block {
    fn attend(&self, x: &Tensor, layout: &Layout, heads: usize) -> Result<Tensor> {
        let qkv = self.query_key_value.forward(x)?;
        self.attention_out.forward(&layout.plan.attend(&qkv, layout.bias.as_ref(), heads)?)
    }

    fn feed(&self, x: &Tensor) -> Result<Tensor> {
        self.ffn_out.forward(&self.ffn_in.forward_gelu(x)?)
    }
}

/// Divides every row of `x` by its length (at least 1e-6).
pub(crate) fn unit_rows(x: &Tensor) -> Result<Tensor> {
    let length = x.sqr()?.sum_keepdim(1)?.affine(1.0, 1e-12)?.sqrt()?;
    Ok(x.broadcast_div(&length)?)
}
