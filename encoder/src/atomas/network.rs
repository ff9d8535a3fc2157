//! The whole network: a T5 shared by both modalities, a global vector of each, and the hierarchy above the tokens.

use candle_core::Tensor;

#[cfg(test)]
use super::polymerise::Polymeriser;
use super::{
    alignment::{Hierarchy, Levels, Modality},
    batch::TokenBatch,
    config::{AtomasConfig, Padding},
};
use crate::{
    error::Result,
    layers::unit_rows,
    params::{Init, ParamSpec, Params},
    t5::{Dropout, T5},
};

/// First temperature of the global contrast, and of the levels as its logarithm's negative (CLIP, arXiv 2103.00020).
const FIRST_TEMPERATURE: f32 = 0.07;

/// What makes tokens and global vectors. There are two of it in training: the one that learns and its slow copy.
#[derive(Clone, Debug)]
pub(crate) struct GlobalEncoder {
    pub(crate) t5: T5,
    sums: [TokenSum; 2],
    padding: Padding,
}

/// Tokens and global vectors of a batch.
pub(crate) struct Encoded {
    /// [b, n, d], padding included.
    pub(crate) hidden: Tensor,
    /// Unit vectors [b, d].
    pub(crate) global: Tensor,
}

impl GlobalEncoder {
    /// Its weights under the released names; `copy` is empty, or `_m` for the slow copy.
    pub(super) fn specs(config: &AtomasConfig, copy: &str) -> Vec<ParamSpec> {
        let sums = Modality::BOTH
            .iter()
            .flat_map(|modality| config.linear_specs(&format!("{}_linear{copy}", modality.name())));
        config.t5_specs(&format!("molt5{copy}.")).chain(sums).collect()
    }

    pub(super) fn load(params: &Params, config: &AtomasConfig, copy: &str) -> Result<Self> {
        let t5 = T5::load(&config.t5, |name, _| params.get(&format!("molt5{copy}.{name}")))?;
        let sum = |modality: Modality| -> Result<TokenSum> {
            let name = format!("{}_linear{copy}", modality.name());
            Ok(TokenSum {
                weight: params.get(&format!("{name}.weight"))?,
                bias: params.get(&format!("{name}.bias"))?,
            })
        };
        let sums = [sum(Modality::Text)?, sum(Modality::Smiles)?];
        Ok(Self { t5, sums, padding: config.padding })
    }

    pub(crate) fn encode(
        &self,
        modality: Modality,
        batch: &TokenBatch,
        dropout: &mut Dropout,
    ) -> Result<Encoded> {
        let hidden = self.t5.encode_with_dropout(&batch.ids, &batch.mask, dropout)?;
        let mask = (self.padding == Padding::Masked).then_some(&batch.mask);
        let global = self.sums[modality as usize].forward(&hidden, mask)?;
        Ok(Encoded { hidden, global })
    }
}

/// A linear map over the token axis: each position has a weight, whatever stands there.
#[derive(Clone, Debug)]
struct TokenSum {
    /// [1, positions].
    weight: Tensor,
    /// [1], added to every number.
    bias: Tensor,
}

impl TokenSum {
    /// Unit vectors [b, d] of `hidden` [b, n, d]; without a `mask` [b, n] padding counts as any token.
    fn forward(&self, hidden: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (rows, positions, _) = hidden.dims3()?;
        let weight = self.weight.narrow(1, 0, positions)?;
        let weights = match mask {
            Some(mask) => mask.broadcast_mul(&weight)?,
            None => weight.broadcast_as((rows, positions))?.contiguous()?,
        };
        let sum = weights.unsqueeze(1)?.matmul(hidden)?.squeeze(1)?;
        unit_rows(&sum.broadcast_add(&self.bias)?)
    }
}

/// The network that learns and serves.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) encoder: GlobalEncoder,
    hierarchies: [Hierarchy; 2],
    /// Divides similarities in the global contrast.
    pub(crate) temperature: Tensor,
    /// Logarithm of what multiplies the scores of the levels.
    pub(crate) logit_scale: Tensor,
}

impl Network {
    /// Every weight of a model of this config, under the released names.
    pub(crate) fn specs(config: &AtomasConfig) -> Vec<ParamSpec> {
        let mut specs = GlobalEncoder::specs(config, "");
        for modality in Modality::BOTH {
            specs.extend(Hierarchy::specs(modality, config.t5.d_model));
        }
        specs.push(ParamSpec::new("temp", &[], Init::Value(FIRST_TEMPERATURE)));
        specs.push(ParamSpec::new("logit_scale", &[], Init::Value(-FIRST_TEMPERATURE.ln())));
        specs
    }

    pub(crate) fn load(params: &Params, config: &AtomasConfig) -> Result<Self> {
        let shape = config.hierarchy();
        let hierarchy = |modality| Hierarchy::load(params, modality, &shape);
        Ok(Self {
            encoder: GlobalEncoder::load(params, config, "")?,
            hierarchies: [hierarchy(Modality::Text)?, hierarchy(Modality::Smiles)?],
            temperature: params.get("temp")?,
            logit_scale: params.get("logit_scale")?,
        })
    }

    /// The step to `level` (1 or 2) of a modality.
    #[cfg(test)]
    pub(super) fn polymeriser(&self, modality: Modality, level: usize) -> &Polymeriser {
        self.hierarchies[modality as usize].polymeriser(level)
    }

    /// The three levels above the tokens of a batch.
    pub(crate) fn levels(
        &self,
        modality: Modality,
        batch: &TokenBatch,
        hidden: &Tensor,
    ) -> Result<Levels> {
        self.hierarchies[modality as usize].forward(&batch.rows(hidden)?)
    }
}
