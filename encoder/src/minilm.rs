//! The text tower's beginning: weights of all-MiniLM-L6-v2 (Apache-2.0) under our names.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};

use crate::{
    config::TextConfig,
    error::{EncoderError, Result},
    params::Params,
};

/// Copies a BERT checkpoint in Hugging Face's names into the text tower of `params`.
///
/// The token-type row 0 is added to every position (texts have one segment), query, key and value become one matrix, and
/// linear weights are turned to [in, out].
///
/// # Errors
/// Names the tensor that is missing or whose shape does not fit the config.
pub(crate) fn load_into(params: &mut Params, config: &TextConfig, file: &Path) -> Result<()> {
    let source = Source { file, tensors: candle_core::safetensors::load(file, &Device::Cpu)? };
    params.insert(
        "text.words",
        source.get("embeddings.word_embeddings.weight", &[config.vocabulary, config.width])?,
    );
    let all = source.get("embeddings.position_embeddings.weight", &[512, config.width])?;
    let kind = source
        .get("embeddings.token_type_embeddings.weight", &[2, config.width])?
        .narrow(0, 0, 1)?;
    let positions = all.narrow(0, 0, config.positions.min(512))?.broadcast_add(&kind)?;
    params.insert("text.positions", positions);
    source.norm(params, "text.norm", "embeddings.LayerNorm", config.width)?;
    (0..config.layers).try_for_each(|i| source.layer(params, config, i))
}

struct Source<'a> {
    file: &'a Path,
    tensors: HashMap<String, Tensor>,
}

impl Source<'_> {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let fail = |reason: String| EncoderError::Model { path: self.file.to_path_buf(), reason };
        let tensor =
            self.tensors.get(name).ok_or_else(|| fail(format!("tensor `{name}` is missing")))?;
        if tensor.dims() != shape {
            return Err(fail(format!(
                "tensor `{name}` has shape {:?}, expected {shape:?}",
                tensor.dims()
            )));
        }
        Ok(tensor.to_dtype(DType::F32)?)
    }

    fn norm(&self, params: &mut Params, to: &str, from: &str, width: usize) -> Result<()> {
        params.insert(&format!("{to}.weight"), self.get(&format!("{from}.weight"), &[width])?);
        params.insert(&format!("{to}.bias"), self.get(&format!("{from}.bias"), &[width])?);
        Ok(())
    }

    fn weight(&self, name: &str, input: usize, output: usize) -> Result<Tensor> {
        Ok(self.get(&format!("{name}.weight"), &[output, input])?.t()?.contiguous()?)
    }

    fn linear(
        &self,
        params: &mut Params,
        to: &str,
        from: &str,
        input: usize,
        output: usize,
    ) -> Result<()> {
        params.insert(&format!("{to}.weight"), self.weight(from, input, output)?);
        params.insert(&format!("{to}.bias"), self.get(&format!("{from}.bias"), &[output])?);
        Ok(())
    }

    fn layer(&self, params: &mut Params, config: &TextConfig, i: usize) -> Result<()> {
        let (d, ffn) = (config.width, config.ffn);
        let (to, from) = (format!("text.layers.{i}"), format!("encoder.layer.{i}"));
        let part = |name: &str| format!("{from}.attention.self.{name}");
        let names = ["query", "key", "value"].map(part);
        let weights = names.iter().map(|n| self.weight(n, d, d)).collect::<Result<Vec<_>>>()?;
        let biases = names
            .iter()
            .map(|n| self.get(&format!("{n}.bias"), &[d]))
            .collect::<Result<Vec<_>>>()?;
        params.insert(
            &format!("{to}.query_key_value.weight"),
            Tensor::cat(&weights, 1)?.contiguous()?,
        );
        params.insert(&format!("{to}.query_key_value.bias"), Tensor::cat(&biases, 0)?);
        self.linear(
            params,
            &format!("{to}.attention_out"),
            &format!("{from}.attention.output.dense"),
            d,
            d,
        )?;
        self.norm(
            params,
            &format!("{to}.attention_norm"),
            &format!("{from}.attention.output.LayerNorm"),
            d,
        )?;
        self.linear(
            params,
            &format!("{to}.ffn_in"),
            &format!("{from}.intermediate.dense"),
            d,
            ffn,
        )?;
        self.linear(params, &format!("{to}.ffn_out"), &format!("{from}.output.dense"), ffn, d)?;
        self.norm(params, &format!("{to}.ffn_norm"), &format!("{from}.output.LayerNorm"), d)
    }
}
