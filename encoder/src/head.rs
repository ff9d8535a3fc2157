//! From a tower's hidden vectors to the shared space: the global vector and the part vectors with their weights.

use std::sync::Arc;

use candle_core::Tensor;

use crate::{
    error::{EncoderError, Result},
    layers::{Linear, unit_rows},
    ops,
    params::{Init, ParamSpec, Params},
    ragged::Segments,
};

/// Scale of the summed rows beside the weighted mean, so that both start at a like size.
const SUM_SCALE: f64 = 1.0 / 16.0;

/// The two projections of one tower.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    global_attention: Tensor,
    global: Linear,
    part_attention: Tensor,
    part: Linear,
    pooling: Pooling,
}

/// What the global vector is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pooling {
    /// A mean with learned weights.
    Mean,
    /// That mean beside a sum, which keeps counts: a mean cannot tell hexane from dodecane.
    MeanAndSum,
}

/// Part vectors before grouping, row for row with the hidden vectors they came from.
pub(crate) struct Parts {
    /// [rows, part_dim], not yet of unit length.
    pub(crate) vectors: Tensor,
    /// [rows], summing to one in each sequence.
    pub(crate) weights: Tensor,
}

/// Unit vectors of a tower, those of its features, or the sum of both at unit length; one must be there.
pub(crate) fn join(tower: Option<Tensor>, features: Option<Tensor>) -> Result<Tensor> {
    match (tower, features) {
        (Some(tower), Some(features)) => unit_rows(&(tower + features)?),
        (Some(tower), None) => Ok(tower),
        (None, Some(features)) => unit_rows(&features),
        (None, None) => Err(EncoderError::Config("neither a tower nor features to join".into())),
    }
}

impl Head {
    pub(crate) fn specs(
        name: &str,
        width: usize,
        pooling: Pooling,
        dims: (usize, usize),
    ) -> Vec<ParamSpec> {
        let input = if pooling == Pooling::Mean { width } else { 2 * width };
        let mut specs = vec![
            ParamSpec::new(format!("{name}.global_attention"), &[width, 1], Init::Zeros),
            ParamSpec::new(format!("{name}.part_attention"), &[width, 1], Init::Zeros),
        ];
        specs.extend(Linear::specs(&format!("{name}.global"), input, dims.0, 0.04));
        specs.extend(Linear::specs(&format!("{name}.part"), width, dims.1, 0.04));
        specs
    }

    pub(crate) fn load(params: &Params, name: &str, pooling: Pooling) -> Result<Self> {
        Ok(Self {
            global_attention: params.get(&format!("{name}.global_attention"))?,
            global: Linear::load(params, &format!("{name}.global"))?,
            part_attention: params.get(&format!("{name}.part_attention"))?,
            part: Linear::load(params, &format!("{name}.part"))?,
            pooling,
        })
    }

    /// Unit global vectors [sequences, global_dim]; `features` ([sequences, global_dim]), if any, are added to
    /// the unit vectors, and the sums scaled again.
    pub(crate) fn global(
        &self,
        hidden: &Tensor,
        segments: &Arc<Segments>,
        features: Option<Tensor>,
    ) -> Result<Tensor> {
        let weights =
            ops::segment_softmax(&hidden.matmul(&self.global_attention)?.squeeze(1)?, segments)?;
        let mean = ops::segment_weighted_sum(hidden, &weights, segments)?;
        let pooled = match self.pooling {
            Pooling::Mean => mean,
            Pooling::MeanAndSum => {
                let even = (weights.ones_like()? * SUM_SCALE)?;
                Tensor::cat(&[&mean, &ops::segment_weighted_sum(hidden, &even, segments)?], 1)?
            }
        };
        join(Some(unit_rows(&self.global.forward(&pooled)?)?), features)
    }

    /// Part vectors and weights of every row.
    pub(crate) fn parts(&self, hidden: &Tensor, segments: &Arc<Segments>) -> Result<Parts> {
        let weights =
            ops::segment_softmax(&hidden.matmul(&self.part_attention)?.squeeze(1)?, segments)?;
        Ok(Parts { vectors: self.part.forward(hidden)?, weights })
    }
}
