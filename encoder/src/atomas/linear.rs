//! A linear map with its weight as PyTorch stores it.

use candle_core::Tensor;

use crate::{
    error::Result,
    params::{Init, ParamSpec, Params},
};

/// `x W^T + b`, with `W` stored as [out, in].
#[derive(Clone, Debug)]
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Weight and bias of a map from `input` to `output` numbers, begun as PyTorch begins them (its bound on a uniform
    /// number, as a deviation of a normal one).
    pub(super) fn specs(name: &str, input: usize, output: usize) -> [ParamSpec; 2] {
        let deviation = 1.0 / (3.0 * input as f32).sqrt();
        [
            ParamSpec::new(format!("{name}.weight"), &[output, input], Init::Normal(deviation)),
            ParamSpec::new(format!("{name}.bias"), &[output], Init::Zeros),
        ]
    }

    pub(super) fn load(params: &Params, name: &str) -> Result<Self> {
        Ok(Self {
            weight: params.get(&format!("{name}.weight"))?,
            bias: params.get(&format!("{name}.bias"))?,
        })
    }

    /// Maps rows [rows, in] to [rows, out].
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?)
    }
}
